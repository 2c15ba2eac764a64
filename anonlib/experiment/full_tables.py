"""Tables that Ren et al. lack: the strongest attacker, what Algorithm 1 adds, which actions need the face."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anonlib.experiment.attack_stages import ATTACKS, COLUMNS, TWO_CLEAR
from anonlib.experiment.predictions import load_attacks, load_cosines, load_pairs, summarize
from anonlib.metrics.average_precision import interval, mean_over_classes
from anonlib.metrics.intervals import mean_interval
from anonlib.metrics.verification import verification_accuracy

Row = dict[str, Any]
RETRAINED = "modified_retrained"
"""The attack of `ablation_game`: a D retrained on modified faces compares two of them."""


def strongest(results: Mapping[str, Row], attacks: Mapping[str, Mapping[str, Row]]) -> list[Row]:
    """Fig. 4 by the attacker who recognises most, a row for each method; the naive attacker beside it.

    All methods meet D trained on clear faces and D retrained on modified ones, which compare two modified
    faces, or a modified and a clear one. Learned methods also meet the attackers of
    ablation_classifier.csv, so they are judged more strictly.

    Implements Ren et al., Fig. 4. Differs from the paper: its attacker is the naive one.
    """
    rows = []
    for method, faces in attacks.items():
        known = {kind: row for kind, row in faces.items() if ATTACKS[kind][-1] != TWO_CLEAR}
        kind = max(known, key=lambda kind: known[kind]["accuracy"])
        result = results[method]
        rows.append(
            {
                "method": method,
                "verification_error": 1 - known[kind]["accuracy"],
                "verification_error_lo": 1 - known[kind]["hi"],
                "verification_error_hi": 1 - known[kind]["lo"],
                **dict(zip(COLUMNS, ATTACKS[kind], strict=True)),
                "naive_verification_error": 1 - result["verification"]["accuracy"],
                "action_map": result["map"],
                "action_map_lo": result["map_lo"],
                "action_map_hi": result["map_hi"],
            }
        )
    return rows


def ablation_game(results: Mapping[str, Row], folder: Path, ours: str) -> list[Row]:
    """M before Algorithm 1, after it, and after it without the gradient of D or of A.

    The verification error is that of `RETRAINED`. Differences are to `ours`; their 95% intervals are over
    the same folds and the same resampled clips.
    """
    pairs = load_pairs(folder)
    errors = {
        name: 1 - verification_accuracy(cosines, pairs.same, pairs.fold).per_fold
        for name in results
        for cosines in (load_attacks(folder, name)[RETRAINED],)
    }
    means = {name: mean_over_classes(row["samples"]) for name, row in results.items()}
    rows = []
    for name, result in results.items():
        row: Row = {"method": name, "verification_error": float(errors[name].mean())}
        row |= _columns("verification_error", mean_interval(errors[name]))
        difference = errors[name] - errors[ours]
        row["error_difference"] = float(difference.mean())
        row |= _columns("error_difference", mean_interval(difference))
        row |= {"action_map": result["map"], "map_difference": result["map"] - results[ours]["map"]}
        rows.append(row | _columns("map_difference", interval(means[name] - means[ours])))
    return rows


def paired_differences(folder: Path, method: str, other: str) -> Row:
    """What one method has more than another in verification error and action mAP, on the same test set.

    The 95% intervals are of the difference: over the same folds, by the attacker of Fig. 4, and over the same
    resampled clips.

    Args:
        folder: the predictions of a run.
        method: name of a file of predictions.
        other: the same of the method that is subtracted.
    """
    pairs, two = load_pairs(folder), (method, other)
    right = [verification_accuracy(load_cosines(folder, name), pairs.same, pairs.fold) for name in two]
    error = right[1].per_fold - right[0].per_fold
    found = [summarize(folder, name) for name in two]
    samples = [mean_over_classes(result["samples"]) for result in found]
    row: Row = {"verification_error": float(error.mean()), "action_map": found[0]["map"] - found[1]["map"]}
    row |= _columns("verification_error", mean_interval(error))
    return row | _columns("action_map", interval(samples[0] - samples[1]))


def evidence(results: Mapping[str, Row], actions: Sequence[str]) -> list[Row]:
    """How much an action depends on the face: its average precision on clear frames minus that on masked
    frames, with 95% intervals, the largest first.

    Only an action with `evidence`, where the interval is above 0, can show that a method keeps what A needs.
    """
    clear, mask, ours = (results[name] for name in ("unanonymized", "mask", "modifier"))
    rows = []
    for k, action in enumerate(actions):
        lost = float(clear["per_class"][k] - mask["per_class"][k])
        low, high = interval(clear["samples"][:, k] - mask["samples"][:, k])
        precision = {name: row["per_class"][k] for name, row in (("clear", clear), ("mask", mask))}
        rows.append(
            {"action": action, **precision, "modifier": ours["per_class"][k], "clear_minus_mask": lost}
            | _columns("clear_minus_mask", (low, high))
            | {"evidence": low > 0}
        )
    return sorted(rows, key=lambda row: -row["clear_minus_mask"])


def _columns(name: str, ends: tuple[float, float]) -> Row:
    return {f"{name}_lo": ends[0], f"{name}_hi": ends[1]}
