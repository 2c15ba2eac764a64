"""What the consistency explorer shows: plain functions from a state to pictures and HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from html import escape
from io import BytesIO

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from torch import Tensor

from anonlib.attack.verification import face_features
from anonlib.experiment import identity_consistency
from anonlib.networks import SphereFace
from anonlib.types import ActionFrames, FaceImages
from anonlib.viz.identification import plot_consecutive, plot_similarity
from anonlib.viz.pictures import plot_people
from anonlib.widgets.static import enlarged, figure_png, image_tag, picture_png

WIDTH, HEIGHT = 600, 316
"""Largest width and height of the table of faces on the screen, in pixels."""
SIDE = 96
"""Largest side of a face on the screen, in pixels; its source has twice as many."""
TEXT = 11.5
"""Points of the letters in a figure at 80 pixels an inch: about 13 pixels."""
FRAME_WIDTH = 250
TRACK_SIDE = 64
"""Side of the face crops of the clip that D compares, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplorerState:
    """What the reader has chosen."""

    people: tuple[int, ...]
    """Labels of the people shown."""
    strength: float = 1.0
    """s of f + s (M(f) - f)."""
    frame: int = 0
    """Frame of the clip, counted from 0."""

    @property
    def modified(self) -> str:
        """The strength in words."""
        return f"modified (strength {self.strength:.1f})"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """The pictures and clips to choose from, modified once in advance."""

    before: FaceImages
    after: FaceImages
    classifier: SphereFace
    clip_before: ActionFrames
    clip_after: ActionFrames
    names: Sequence[str]
    """A name for each label."""

    def named(self, state: ExplorerState) -> list[str]:
        """The names of the chosen people."""
        return [self.names[person] for person in state.people]


def chosen(faces: FaceImages, people: Sequence[int]) -> FaceImages:
    """The pictures of these people, in the order of `people`."""
    rows = torch.cat([(faces.labels == person).nonzero().flatten() for person in people])
    return faces.select(rows)


@lru_cache(maxsize=64)
def strip(material: Material, person: int, strength: float) -> bytes:
    """A person's pictures, modified with this strength, side by side as a PNG."""
    before, after = (chosen(x, [person]).images[:] for x in (material.before, material.after))
    images = identity_consistency.blend(before, after, strength=strength)
    large = F.interpolate(images.float() / 255, (2 * SIDE, 2 * SIDE), mode="bicubic").clamp(0, 1)
    return picture_png(F.pad(large, (2, 2, 2, 2), value=1).permute(1, 2, 0, 3).flatten(2))


def faces_html(material: Material, state: ExplorerState) -> str:
    """A table with one row per person: the original and the modified pictures, sized to fit."""
    images = len(material.before) // len(material.names)
    side = min(SIDE, WIDTH // (2 * images), HEIGHT // len(state.people) - 4)
    rows = [f"<tr><td></td><th>original</th><th>modified, s = {state.strength:.1f}</th></tr>"]
    for person, name in zip(state.people, material.named(state), strict=True):
        cells = [
            image_tag(
                strip(material, person, strength), description=f"{name}, {kind} pictures", width=images * side
            )
            for strength, kind in ((0.0, "original"), (state.strength, state.modified))
        ]
        rows.append(f"<tr><th>{escape(name)}</th><td>{cells[0]}</td><td>{cells[1]}</td></tr>")
    return f"<table style='line-height: 1.2'>{''.join(rows)}</table>"


def figure_tag(figure: Figure, *, description: str) -> str:
    """A figure at 80 pixels an inch, with a source of twice as many, and letters as large as the page's."""
    figure.draw_without_rendering()  # makes the labels of the ticks
    for text in figure.findobj(Text):
        text.set_fontsize(TEXT)
    png = figure_png(figure, dpi=160)
    return image_tag(png, description=description, width=round(80 * figure.get_figwidth()))


@lru_cache(maxsize=64)
def features(material: Material, people: tuple[int, ...], strength: float) -> np.ndarray:
    """Unit features of these people's pictures, modified with this strength."""
    before, after = (chosen(x, people) for x in (material.before, material.after))
    return face_features(
        material.classifier, identity_consistency.blend_faces(before, after, strength=strength)
    )


def comparisons(material: Material, state: ExplorerState) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Title to the two sets of unit features that are compared."""
    before = features(material, state.people, 0.0)
    after = features(material, state.people, state.strength)
    return {
        "original, original": (before, before),
        "modified, modified": (after, after),
        "modified, original": (after, before),
    }


def pairs(material: Material, state: ExplorerState) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Title to the similarities of pairs of pictures within people and between people."""
    labels = chosen(material.before, state.people).labels
    return {
        name: identity_consistency.pair_similarities(first, second, labels)
        for name, (first, second) in comparisons(material, state).items()
    }


def similarity_figure(material: Material, state: ExplorerState) -> Figure:
    """Heat maps of the similarities of all pictures of the chosen people."""
    return plot_similarity(
        {name: one @ other.T for name, (one, other) in comparisons(material, state).items()},
        names=material.named(state),
        images=len(features(material, state.people, 0.0)) // len(state.people),
    )


def similarity_html(material: Material, state: ExplorerState) -> str:
    """A table of the mean similarities within the chosen people and between them."""
    style = "<style>.anonlib-means :is(th, td) { text-align: left; padding-right: 1.5em }</style>"
    rows = ["<tr><th>mean cosine similarity</th><th>one person</th><th>two people</th></tr>"]
    for name, groups in pairs(material, state).items():
        means = (f"{group.mean():.2f}" if len(group) else "–" for group in groups)
        rows.append(f"<tr><th>{name}</th><td>{'</td><td>'.join(means)}</td></tr>")
    head = "<table class='anonlib-means' role='status' style='line-height: 1.4'>"
    return f"{style}{head}{''.join(rows)}</table>"


def clip_frames(material: Material, state: ExplorerState) -> tuple[Tensor, Tensor]:
    """The chosen frame before and after modification, `(3, H, W)` in [0, 1]."""
    before = material.clip_before.frames[state.frame]
    after = identity_consistency.blend(
        before, material.clip_after.frames[state.frame], strength=state.strength
    )
    return before.float() / 255, after.float() / 255


def clip_html(material: Material, state: ExplorerState) -> str:
    """The chosen frame before and after modification, side by side."""
    where = f"frame {state.frame + 1} of {len(material.clip_before)}"
    before, after = (
        image_tag(picture_png(enlarged(frame)), description=f"{where}, {kind}", width=FRAME_WIDTH)
        for frame, kind in zip(clip_frames(material, state), ("original", state.modified), strict=True)
    )
    return f"<table><tr><td>{before}</td><td>{after}</td></tr></table>"


@lru_cache(maxsize=32)
def clip_similarity(material: Material, strength: float) -> np.ndarray:
    """Similarity of consecutive faces of the first person in the clip, modified with this strength."""
    clear = material.clip_before
    frames = identity_consistency.blend(clear.frames, material.clip_after.frames, strength=strength)
    person = int(clear.identities[0][0])
    track = identity_consistency.face_track(replace(clear, frames=frames), person=person, size=TRACK_SIDE)
    return identity_consistency.consecutive_similarity(face_features(material.classifier, track))


def curve_figure(material: Material, state: ExplorerState) -> Figure:
    """The curves of `clip_similarity`, with the chosen frame marked."""
    curves = {
        "original": clip_similarity(material, 0.0),
        "modified": clip_similarity(material, state.strength),
    }
    groups = pairs(material, state)
    levels = {f"{kind}, other days": float(groups[f"{kind}, {kind}"][0].mean()) for kind in curves}
    return plot_consecutive(curves, levels=levels, frame=state.frame)


def picture(material: Material, state: ExplorerState) -> bytes:
    """Everything in one PNG, for readers without a front end."""
    before, after = (chosen(x, state.people).images[:] for x in (material.before, material.after))
    images = (
        torch.stack([before, identity_consistency.blend(before, after, strength=state.strength)]).float()
        / 255
    )
    before, after = images.unflatten(1, (len(state.people), -1))
    after_title = f"modified, s = {state.strength:.1f}"
    people = plot_people(before, after, names=material.named(state), after_title=after_title)
    frames = F.pad(torch.stack(clip_frames(material, state)), (4, 4, 4, 4), value=1)
    return stacked(
        [
            figure_png(people, dpi=95),
            figure_png(similarity_figure(material, state), dpi=80),
            picture_png(torch.cat([*frames], dim=-1)),
            figure_png(curve_figure(material, state), dpi=80),
        ]
    )


def stacked(pngs: Sequence[bytes]) -> bytes:
    """Pictures below one another on white, as one PNG."""
    images = [Image.open(BytesIO(png)).convert("RGB") for png in pngs]
    sheet = Image.new("RGB", (max(i.width for i in images), sum(i.height for i in images)), "white")
    top = 0
    for image in images:
        sheet.paste(image, (0, top))
        top += image.height
    buffer = BytesIO()
    sheet.save(buffer, format="png", optimize=True)
    return buffer.getvalue()
