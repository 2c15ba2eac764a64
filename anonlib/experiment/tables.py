"""Table 1, Fig. 4 and the ablations as CSV, with the paper's published values beside ours."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from anonlib.anonymizers import SWAP, names
from anonlib.assets import data_path
from anonlib.experiment.attack_stages import ATTACKS, COLUMNS, TWO_CLEAR
from anonlib.experiment.datasets import AT_THE_FACE
from anonlib.experiment.full_tables import ablation_game, evidence, strongest
from anonlib.experiment.methods import NO_CLASSIFIER, NO_DETECTOR, OURS, PAPER, RANDOM, START
from anonlib.experiment.mixtures import mixtures
from anonlib.experiment.predictions import attacks_file, summarize, summarize_attacks
from anonlib.experiment.run import read_json
from anonlib.files import write_atomically
from anonlib.metrics.average_precision import interval, mean_over_classes
from anonlib.types import ACTIONS

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """The files with the results of an experiment, and their folder `out`."""

    out: Path
    table1: Path
    figure4: Path
    ablation_classifier: Path
    ablation_random_label: Path
    action_groups: Path
    comparisons: Path
    faces_found: Path
    mixtures: Path | None = None
    strongest: Path | None = None
    ablation_game: Path | None = None
    evidence: Path | None = None


def tables_of(out: Path) -> dict[str, list[Row]]:
    """Every table of a run, computed from its stored predictions.

    Raises:
        CheckpointError: predictions or stages are missing or damaged.
    """
    folder, data = out / "predictions", read_json(out / "stages" / "world.json")
    quality = read_json(out / "stages" / "quality.json")
    measured = [name for name in (*names(), PAPER) if (out / "stages" / f"method-{name}.json").exists()]
    results = {name: summarize(folder, name) for name in measured}
    objectives = {"ascent": results.get(PAPER, results[OURS]), "random_label": summarize(folder, RANDOM)}
    attacks = {name: summarize_attacks(folder, name) for name in (OURS, PAPER) if name in results}
    tables = {
        "table1": table1(results, data["actions"]),
        "figure4": figure4(results, data["actions"]),
        "ablation_classifier": attackers(attacks),
        "ablation_random_label": ablation_random_label(objectives, quality),
        "action_groups": action_groups(results, data["actions"]),
        "comparisons": comparisons(results),
        "faces_found": data["faces_found"],
    }
    if (folder / "mixtures.npz").exists():  # older runs have none
        tables["mixtures"] = mixtures(folder)
        tables["evidence"] = evidence(results, data["actions"])
    return tables | _of_full_run(out, results)


def _of_full_run(out: Path, results: Mapping[str, Row]) -> dict[str, list[Row]]:
    """The tables of `anonlib reproduce --full`, or none."""
    folder = out / "predictions"
    if not attacks_file(folder, NO_DETECTOR).exists():
        return {}
    extra = [
        name for name in (SWAP, START, NO_CLASSIFIER, NO_DETECTOR) if attacks_file(folder, name).exists()
    ]
    everything = {**results, **{name: summarize(folder, name) for name in extra}}
    attacks = {name: summarize_attacks(folder, name) for name in everything}
    game = {name: everything[name] for name in (START, NO_CLASSIFIER, NO_DETECTOR, OURS)}
    return {"strongest": strongest(everything, attacks), "ablation_game": ablation_game(game, folder, OURS)}


def write_tables(out: Path) -> Reproduction:
    """Writes `tables_of` the run as CSV files into its folder."""
    paths = {name: write_csv(out / f"{name}.csv", rows) for name, rows in tables_of(out).items()}
    return Reproduction(out=out, **paths)


def published(name: str) -> dict[str, dict[str, str]]:
    """A table of the paper from `data/paper`, by the value of its first column."""
    return read_csv(data_path("paper", f"{name}.csv"))


def of_the_paper(name: str) -> dict[str, dict[str, str]]:
    """`published`, with the paper's numbers for its M also for `PAPER`."""
    table = published(name)
    return {**table, PAPER: table[OURS]}


def read_csv(path: Path) -> dict[str, dict[str, str]]:
    """The rows of a CSV file, by the value of their first column."""
    with path.open(newline="") as file:
        return {next(iter(row.values())): row for row in csv.DictReader(file)}


def write_csv(path: Path, rows: Iterable[Row]) -> Path:
    """Writes `as_csv` of the rows to a file."""
    write_atomically(path, as_csv(rows).encode())
    return path


def as_csv(rows: Iterable[Row]) -> str:
    """Rows as CSV with the columns of the first row; fractions have four digits."""
    rows = list(rows)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()})
    return buffer.getvalue()


def table1(results: Mapping[str, Row], actions: Sequence[str]) -> list[Row]:
    """Average precision of each class, one row per method, with the paper's if it has the classes.

    Implements Ren et al., Table 1.
    """
    paper = of_the_paper("table1")
    known = (*ACTIONS, "map") if tuple(actions) == ACTIONS else ()
    return [
        {"method": method}
        | dict(zip(actions, row["per_class"], strict=True))
        | {"map": row["map"]}
        | {f"paper_{k}": paper.get(method, {}).get(k, "") for k in known}
        for method, row in results.items()
    ]


def figure4(results: Mapping[str, Row], actions: Sequence[str] = ACTIONS) -> list[Row]:
    """Verification error and action mAP with 95% intervals, one row per method.

    Implements Ren et al., Fig. 4. The paper prints no numbers for JHMDB, so there are none here.
    """
    paper = of_the_paper("figure4") if tuple(actions) == ACTIONS else {}
    return [
        {
            "method": method,
            "verification_error": 1 - row["verification"]["accuracy"],
            "verification_error_lo": 1 - row["verification"]["hi"],
            "verification_error_hi": 1 - row["verification"]["lo"],
            **_action_map(row),
            "paper_action_map": paper.get(method, {}).get("action_map", ""),
        }
        for method, row in results.items()
    ]


def _action_map(row: Row) -> Row:
    return {"action_map": row["map"], "action_map_lo": row["map_lo"], "action_map_hi": row["map_hi"]}


def _with_interval(name: str, value: float, samples: np.ndarray) -> Row:
    """A value and the 95% interval of its `(R,)` resamples, as three columns."""
    low, high = interval(samples)
    return {name: float(value), f"{name}_lo": low, f"{name}_hi": high}


def action_groups(results: Mapping[str, Row], actions: Sequence[str]) -> list[Row]:
    """mAP over the actions at the face and over the others, with 95% intervals."""
    at_the_face = np.array([action in AT_THE_FACE for action in actions])
    rows = []
    for method, result in results.items():
        row: Row = {"method": method}
        for group, chosen in (("face", at_the_face), ("other", ~at_the_face)):
            precision = np.asarray(result["per_class"])[None, chosen]
            samples = mean_over_classes(result["samples"][:, chosen])
            row |= _with_interval(f"{group}_map", mean_over_classes(precision)[0], samples)
        rows.append(row)
    return rows


def comparisons(results: Mapping[str, Row]) -> list[Row]:
    """Ratio and difference of our mAP and every other method's, on the same resampled clips.

    `hides_as_well` says whether the other's verification error is at least ours.
    """
    means = {name: mean_over_classes(row["samples"]) for name, row in results.items()}
    ours, rows = results[OURS], []
    for name, row in results.items():
        if name != OURS:
            hides = row["verification"]["accuracy"] <= ours["verification"]["accuracy"]
            ratios, differences = _ratio(means[OURS], means[name]), means[OURS] - means[name]
            rows.append(
                {"method": name, "hides_as_well": hides}
                | _with_interval("map_ratio", float(_ratio(ours["map"], row["map"])), ratios)
                | _with_interval("map_difference", ours["map"] - row["map"], differences)
            )
    return rows


def _ratio(ours: ArrayLike, other: ArrayLike) -> np.ndarray:
    """Ours divided by the other; NaN where the other is 0."""
    return np.asarray(ours) / np.where(np.asarray(other) > 0, other, np.nan)


def ablation_random_label(objectives: Mapping[str, Row], quality: Mapping[str, Row]) -> list[Row]:
    """Gradient ascent on the true identity, or descent towards a random one (section 5.6)."""
    return [
        {
            "objective": objective,
            "l1": quality[objective]["l1"],
            "gradient_energy_ratio": quality[objective]["gradient_energy_ratio"],
            **_action_map(row),
            "verification_error": 1 - row["verification"]["accuracy"],
        }
        for objective, row in objectives.items()
    ]


def ablation_classifier(faces: Mapping[str, Row]) -> list[Row]:
    """Verification accuracy of D on original and modified faces, and of a D retrained on them.

    Implements Ren et al., section 5.6, Does the face classifier remain accurate?
    Differs from the paper: all but `original` and `modified` are ours, see `attacks.ATTACKS`.
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


def attackers(methods: Mapping[str, Mapping[str, Row]]) -> list[Row]:
    """`ablation_classifier` of each learned method with the attackers' `COLUMNS`, the worst attack first.

    Pairs of two clear faces come last. The name of an attack on another method than `OURS` begins with that
    method. Old runs lack these columns.
    """
    if list(methods) == [OURS] and "modified_original_retrained" not in methods[OURS]:
        return ablation_classifier(methods[OURS])
    rows = [
        {
            "faces": row["faces"] if method == OURS else f"{method}:{row['faces']}",
            "method": method,
            **dict(zip(COLUMNS, ATTACKS[row["faces"]], strict=True)),
            **{column: value for column, value in row.items() if column != "faces"},
        }
        for method, faces in methods.items()
        for row in ablation_classifier(faces)
    ]
    return sorted(rows, key=lambda row: (row["pairs"] == TWO_CLEAR, -row["verification_accuracy"]))
