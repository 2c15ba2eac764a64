"""Table 1, Fig. 4 and the ablations as CSV, with the paper's published values beside ours.

All of them are computed from what a run keeps in `predictions/` and `stages/`, so that anybody can
compute them again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from anonlib.anonymizers import names
from anonlib.assets import data_path
from anonlib.attack.verification import verify_scores
from anonlib.data.jhmdb import TOUCHES_FACE
from anonlib.experiment.predictions import load_predictions, load_test, pairs_of, read_arrays, summarize
from anonlib.experiment.run import read_json
from anonlib.files import write_atomically
from anonlib.metrics.average_precision import interval, matched_bootstrap, mean_over_classes
from anonlib.world import ACTIONS, FACE_RELATED

Row = dict[str, Any]
OURS, RANDOM = "modifier", "modifier_random_label"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """Where the results of an experiment are."""

    out: Path
    table1: Path
    figure4: Path
    ablation_classifier: Path
    ablation_random_label: Path
    action_groups: Path
    comparisons: Path
    faces_found: Path


def tables_of(out: Path) -> dict[str, list[Row]]:
    """Every table of a run, computed from its stored predictions.

    Raises:
        CheckpointError: predictions or stages are missing or damaged.
    """
    folder, stages = out / "predictions", out / "stages"
    test, world = load_test(folder), read_json(stages / "world.json")
    said = {name: load_predictions(folder, name, test) for name in (*names(), RANDOM)}
    results = {name: summarize(predictions, test) for name, predictions in said.items()}
    samples = {name: matched_bootstrap(said[name].matches, clips=test.clip) for name in names()}
    random_label = results.pop(RANDOM)
    pairs = pairs_of(test)
    attacks = {
        name: asdict(verify_scores(scores, pairs))
        for name, scores in read_arrays(folder / "attacks.npz").items()
    }
    objectives = {"ascent": results[OURS], "random_label": random_label}
    return {
        "table1": table1(results, world["actions"]),
        "figure4": figure4(results, world["actions"]),
        "ablation_classifier": ablation_classifier(attacks),
        "ablation_random_label": ablation_random_label(objectives, read_json(stages / "quality.json")),
        "action_groups": action_groups(results, samples, world["actions"]),
        "comparisons": comparisons(results, samples),
        "faces_found": world["faces_found"],
    }


def write_tables(out: Path) -> Reproduction:
    """Writes `tables_of` the run as CSV files into its folder."""
    paths = {name: write_csv(out / f"{name}.csv", rows) for name, rows in tables_of(out).items()}
    return Reproduction(out=out, **paths)


def published(name: str) -> dict[str, dict[str, str]]:
    """A table of the paper from `data/paper`, by the value of its first column."""
    with data_path("paper", f"{name}.csv").open(newline="") as file:
        return {next(iter(row.values())): row for row in csv.DictReader(file)}


def write_csv(path: Path, rows: Iterable[Row]) -> Path:
    """Writes rows with the columns of the first; fractions with four digits."""
    write_atomically(path, as_csv(rows).encode())
    return path


def as_csv(rows: Iterable[Row]) -> str:
    """The content of such a file."""
    rows = list(rows)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()})
    return buffer.getvalue()


def table1(results: Mapping[str, Row], actions: Sequence[str]) -> list[Row]:
    """Average precision of each class, a row a method, and the paper's where it has the classes.

    Implements Ren et al., Table 1.
    """
    paper = published("table1")
    known = (*ACTIONS, "map") if tuple(actions) == ACTIONS else ()
    return [
        {"method": method}
        | dict(zip(actions, row["per_class"], strict=True))
        | {"map": row["map"]}
        | {f"paper_{k}": paper.get(method, {}).get(k, "") for k in known}
        for method, row in results.items()
    ]


def action_groups(
    results: Mapping[str, Row], samples: Mapping[str, np.ndarray], actions: Sequence[str]
) -> list[Row]:
    """mAP over the actions about the face and over the others, with 95% intervals.

    Args:
        results: of each method, `per_class` among them.
        samples: of each method `(R, C)`, from `matched_bootstrap`.
        actions: names of the classes.
    """
    about = [action in TOUCHES_FACE or action in FACE_RELATED for action in actions]
    rows = []
    for method, drawn in samples.items():
        once = np.asarray(results[method]["per_class"])
        row: Row = {"method": method}
        for group, chosen in (("face", np.array(about)), ("other", ~np.array(about))):
            lo, hi = interval(mean_over_classes(drawn[:, chosen]))
            row |= {
                f"{group}_map": float(mean_over_classes(once[None, chosen])[0]),
                f"{group}_map_lo": lo,
                f"{group}_map_hi": hi,
            }
        rows.append(row)
    return rows


def comparisons(results: Mapping[str, Row], samples: Mapping[str, np.ndarray]) -> list[Row]:
    """Ours beside every other method: ratio and difference of mAP on the same resampled clips.

    `hides_as_well` says whether the other's verification error is ours or more.
    """
    means = {name: mean_over_classes(drawn) for name, drawn in samples.items()}
    ours, rows = results[OURS], []
    for name, row in results.items():
        if name == OURS:
            continue
        hides = row["verification"]["accuracy"] <= ours["verification"]["accuracy"]
        ratio = interval(_ratio(means[OURS], means[name]))
        difference = interval(means[OURS] - means[name])
        rows.append(
            {
                "method": name,
                "hides_as_well": hides,
                "map_ratio": float(_ratio(ours["map"], row["map"])),
                "map_ratio_lo": ratio[0],
                "map_ratio_hi": ratio[1],
                "map_difference": ours["map"] - row["map"],
                "map_difference_lo": difference[0],
                "map_difference_hi": difference[1],
            }
        )
    return rows


def _ratio(ours: ArrayLike, other: ArrayLike) -> np.ndarray:
    """Ours over the other; NaN where the other is 0."""
    ours, other = np.asarray(ours, np.float64), np.asarray(other, np.float64)
    return np.divide(ours, other, out=np.full_like(ours, np.nan), where=other > 0)


def ablation_random_label(objectives: Mapping[str, Row], quality: Mapping[str, Row]) -> list[Row]:
    """Gradient ascent on the true identity, or descent towards a random one (section 5.6)."""
    return [
        {
            "objective": objective,
            "l1": quality[objective]["l1"],
            "gradient_energy_ratio": quality[objective]["gradient_energy_ratio"],
            "action_map": row["map"],
            "action_map_lo": row["map_lo"],
            "action_map_hi": row["map_hi"],
            "verification_error": 1 - row["verification"]["accuracy"],
        }
        for objective, row in objectives.items()
    ]


def figure4(results: Mapping[str, Row], actions: Sequence[str] = ACTIONS) -> list[Row]:
    """Verification error and action mAP with 95% intervals, a row a method.

    Implements Ren et al., Fig. 4. The paper prints no numbers for JHMDB, so there are none here.
    """
    paper = published("figure4") if tuple(actions) == ACTIONS else {}
    return [
        {
            "method": method,
            "verification_error": 1 - row["verification"]["accuracy"],
            "verification_error_lo": 1 - row["verification"]["hi"],
            "verification_error_hi": 1 - row["verification"]["lo"],
            "action_map": row["map"],
            "action_map_lo": row["map_lo"],
            "action_map_hi": row["map_hi"],
            "paper_action_map": paper.get(method, {}).get("action_map", ""),
        }
        for method, row in results.items()
    ]


def ablation_classifier(faces: Mapping[str, Row]) -> list[Row]:
    """Verification accuracy of D on original and modified faces, and of a D retrained on them.

    Implements Ren et al., section 5.6, Does the face classifier remain accurate?
    Differs from the paper: `modified_retrained` and `modified_original` are ours.
    """
    paper = published("ablation_classifier")
    return [
        {
            "faces": name,
            "verification_accuracy": row["accuracy"],
            "verification_accuracy_lo": row["lo"],
            "verification_accuracy_hi": row["hi"],
            "equal_error_rate": row["eer"],
            "tar_at_far_0.001": row["tar"],
            "paper": paper.get(name, {}).get("verification_accuracy", ""),
        }
        for name, row in faces.items()
    ]
