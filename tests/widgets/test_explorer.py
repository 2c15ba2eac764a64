"""The explorer's callback: a state in, pictures out, and nothing drawn twice for nothing."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from anonlib.anonymizers import create
from anonlib.attack.verification import anonymize_faces
from anonlib.config import profile
from anonlib.errors import FaceDatasetError
from anonlib.experiment.actions import anonymize_clips
from anonlib.networks import SphereFace
from anonlib.widgets import explorer_pictures as draw
from anonlib.widgets.explorer import ConsistencyExplorer
from anonlib.widgets.explorer_pictures import ExplorerState, Material
from anonlib.world.actions import render_clips
from anonlib.world.faces import SyntheticPeople, synthetic_faces


@pytest.fixture(scope="module")
def material() -> Material:
    faces = synthetic_faces([3, 5, 7], images=2, size=64, seed=0)
    clip = render_clips(clips=1, frames=4, split="test", seed=4, heads=SyntheticPeople())
    torch.manual_seed(0)
    return Material(
        before=faces,
        after=anonymize_faces(faces, create("blur8")),
        clip_before=clip,
        clip_after=anonymize_clips(clip, create("blur8")),
        names=["Ann", "<Bo>", "Cy"],
        classifier=SphereFace(profile("smoke").classifier, people=2),
    )


@pytest.fixture
def explorer(material: Material) -> ConsistencyExplorer:
    return ConsistencyExplorer(
        material.before,
        material.after,
        material.classifier,
        names=material.names,
        clip_before=material.clip_before,
        clip_after=material.clip_after,
        shown=2,
    )


def sources(html: str) -> list[str]:
    return re.findall(r'src="([^"]+)"', html)


def test_it_begins_with_the_first_people_in_full_strength(explorer: ConsistencyExplorer) -> None:
    assert explorer.state == ExplorerState(people=(0, 1), strength=1.0, frame=0)
    assert explorer.description.startswith("pictures of Ann, <Bo>, original and modified")


def test_strength_changes_the_modified_pictures_only(explorer: ConsistencyExplorer) -> None:
    before = sources(explorer.faces.value)
    heat, clip, curve = explorer.heat.value, explorer.clip.value, explorer.curve.value
    explorer.strength.value = 0.5
    after = sources(explorer.faces.value)
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True, False]
    assert "modified (strength 0.5)" in explorer.faces.value
    assert explorer.heat.value != heat
    assert explorer.clip.value != clip
    assert explorer.curve.value != curve


def test_without_strength_modified_pictures_are_the_originals(explorer: ConsistencyExplorer) -> None:
    explorer.strength.value = 0
    for html in (explorer.faces.value, explorer.clip.value):
        found = sources(html)
        assert found[0::2] == found[1::2]


def test_people_change_rows_maps_and_numbers_but_not_the_clip(explorer: ConsistencyExplorer) -> None:
    clip, numbers = explorer.clip.value, explorer.numbers.value
    explorer.people.value = (2, 0)
    assert [re.sub(",.*", "", alt) for alt in re.findall('alt="([^"]+)"', explorer.faces.value)] == [
        "Cy",
        "Cy",
        "Ann",
        "Ann",
    ]
    assert explorer.numbers.value != numbers
    assert explorer.clip.value == clip


def test_a_frame_changes_the_clip_and_leaves_the_people(explorer: ConsistencyExplorer) -> None:
    faces, clip, curve = explorer.faces.value, explorer.clip.value, explorer.curve.value
    explorer.frame.value = 3
    assert explorer.state is not None
    assert explorer.state.frame == 2
    assert "frame 3 of 4, original" in explorer.clip.value
    assert explorer.clip.value != clip
    assert explorer.curve.value != curve
    assert explorer.faces.value == faces


def test_one_person_has_no_similarity_to_another(explorer: ConsistencyExplorer) -> None:
    explorer.people.value = (1,)
    assert explorer.numbers.value.count("<td>–</td>") == 3


def test_nobody_is_asked_for(explorer: ConsistencyExplorer) -> None:
    explorer.people.value = ()
    assert "Choose one person or more" in explorer.faces.value
    assert explorer.heat.value == ""
    assert explorer.description == "nobody is chosen"
    assert explorer._repr_mimebundle_()[0]["image/png"]
    explorer.people.value = (0,)
    assert "Ann" in explorer.faces.value


def test_names_cannot_smuggle_html(explorer: ConsistencyExplorer) -> None:
    assert "<Bo>" not in explorer.faces.value
    assert "&lt;Bo&gt;" in explorer.faces.value


def test_without_a_front_end_there_is_a_picture(explorer: ConsistencyExplorer) -> None:
    data, _ = explorer._repr_mimebundle_()
    width, height = Image.open(BytesIO(b64decode(data["image/png"]))).size
    assert width > 400
    assert height > 600


def test_numbers_are_means_over_the_pairs(material: Material) -> None:
    state = ExplorerState(people=(0, 2), strength=1.0)
    clear = draw.features(material, (0, 2), 0.0)
    within = [clear[0] @ clear[1], clear[2] @ clear[3]]
    first = draw.similarity_html(material, state).split("original, original</th>")[1]
    assert first.startswith(f"<td>{np.mean(within):.2f}</td>")


@pytest.mark.parametrize("people", [(0,), (0, 1, 2), (0, 1, 2) * 3])
def test_faces_fit_a_small_screen(material: Material, people: tuple[int, ...]) -> None:
    html = draw.faces_html(material, ExplorerState(people=people))
    sizes = [(int(w), int(h)) for w, h in re.findall('width="([0-9]+)" height="([0-9]+)"', html)]
    assert sum(width for width, _ in sizes[:2]) <= draw.WIDTH
    assert sum(height + 4 for _, height in sizes[::2]) <= draw.HEIGHT
    assert sizes[0][1] == draw.SIDE or len(people) > 3


def test_play_turns_into_pause(explorer: ConsistencyExplorer) -> None:
    for going, name in ((True, "Pause"), (False, "Play")):
        explorer.play.value = going
        assert explorer.play.description == name


def test_the_chosen_come_in_the_order_of_choosing(material: Material) -> None:
    assert draw.chosen(material.before, (2, 0)).labels.tolist() == [2, 2, 0, 0]


def test_pictures_stand_under_one_another() -> None:
    pngs = [draw.picture_png(torch.full((3, 2, w), v)) for w, v in ((4, 0.0), (6, 0.5))]
    sheet = np.asarray(Image.open(BytesIO(draw.stacked(pngs))))[..., 0]
    assert sheet.tolist() == [[0] * 4 + [255] * 2] * 2 + [[128] * 6] * 2


def test_people_need_as_many_pictures_as_each_other(material: Material) -> None:
    clips = {"clip_before": material.clip_before, "clip_after": material.clip_after}
    faces = material.before
    few = replace(faces, images=faces.images[:5], labels=faces.labels[:5], landmarks=faces.landmarks[:5])
    with pytest.raises(FaceDatasetError, match="people have 1 to 2 pictures: give the same number"):
        ConsistencyExplorer(few, few, material.classifier, **clips)
