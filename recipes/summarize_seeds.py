"""Summarize several seeds of the `laptop` profile beside the aims.

    python -m recipes.summarize_seeds results/laptop/seed3 results/laptop/seed4

Writes `summary.csv` into the folder above the runs and prints it as a Markdown table.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

BARS: dict[str, tuple[str, float | None, str]] = {
    "M-state, D retrained, original's landmarks: two modified": ("<=", 0.66, ""),
    "M-state, D retrained, original's landmarks: modified and clear": ("<=", 0.60, ""),
    "M-state, D retrained, found landmarks: two modified": ("<=", 0.60, ""),
    "M-state, D retrained, found landmarks: modified and clear": ("<=", 0.56, ""),
    "M-state, D trained on modified and clear faces: two modified": ("", None, ""),
    "M-state, D trained on modified and clear faces: modified and clear": ("<=", 0.60, ""),
    "M-state, D co-trained (naive): two modified": ("<=", 0.58, "0.6695"),
    "M-state, D co-trained (naive): modified and clear": ("", None, ""),
    "the paper's M, D retrained, original's landmarks: two modified": ("", None, ""),
    "the paper's M, D retrained, original's landmarks: modified and clear": ("", None, ""),
    "the paper's M, D co-trained (naive): two modified": ("", None, "0.6695"),
    "D on clear faces": (">=", 0.9475, "0.9475"),
    "action mAP, un-anonymized": ("", None, "0.5685"),
    "action mAP, M-state": ("", None, "0.5232"),
    "action mAP, M-state / un-anonymized": (">=", 0.95, "0.92"),
    "action mAP, the paper's M / un-anonymized": (">=", 0.95, "0.92"),
    "M-state minus the best hand-crafted method that hides as well (naive)": (">", 0.0, "> 0"),
    "L1, gradient ascent": ("", None, ""),
    "L1, random label": ("", None, ""),
    "gradient energy left, gradient ascent": ("", None, ""),
    "gradient energy left, random label": ("", None, ""),
    "action mAP, random label": ("", None, ""),
    "minutes": ("<=", 20.0, ""),
    "peak memory, GB": ("<=", 4.0, ""),
}
"""Quantity: comparison and bar, if there is one, and the paper's value."""
ATTACKS = (
    *("modified_retrained", "modified_original_retrained"),
    *("modified_retrained_found", "modified_original_retrained_found"),
    *("modified_together_found", "modified_original_together_found"),
    *("modified", "modified_original"),
    *("modifier_picture:modified_retrained", "modifier_picture:modified_original_retrained"),
    *("modifier_picture:modified", "original"),
)
"""Rows of ablation_classifier.csv, in the order of the first quantities."""


def measured(run: Path) -> dict[str, float]:
    """The quantities of one run folder."""
    faces = pd.read_csv(run / "ablation_classifier.csv").set_index("faces")["verification_accuracy"]
    figure4 = pd.read_csv(run / "figure4.csv").set_index("method")
    labels = pd.read_csv(run / "ablation_random_label.csv").set_index("objective")
    record = pd.read_json(run / "run.json", typ="series")
    ours, clear = figure4.loc["modifier"], figure4.loc["unanonymized"]
    paper = figure4.loc["modifier_picture"]
    rivals = figure4.drop(["modifier", "modifier_picture", "unanonymized"])
    rivals = rivals[rivals.verification_error >= ours.verification_error]
    values = [
        *(faces[name] for name in ATTACKS),
        clear.action_map,
        ours.action_map,
        ours.action_map / clear.action_map,
        paper.action_map / clear.action_map,
        ours.action_map - rivals.action_map.max(),
        labels.l1["ascent"],
        labels.l1["random_label"],
        labels.gradient_energy_ratio["ascent"],
        labels.gradient_energy_ratio["random_label"],
        labels.action_map["random_label"],
        record["minutes_this_command"],
        record["peak_memory_gb"],
    ]
    return dict(zip(BARS, values, strict=True))


def verdict(values: pd.Series, comparison: str, bar: float | None) -> str:
    """Whether every seed passes, or how many do."""
    if bar is None:
        return ""
    passed = {">=": values >= bar, "<=": values <= bar, ">": values > bar}[comparison]
    return "met" if passed.all() else f"missed by {int((~passed).sum())} of {len(values)} seeds"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    runs: list[Path] = parser.parse_args().runs
    table = pd.DataFrame({run.name: measured(run) for run in runs})
    summary = table.assign(
        mean=table.mean(axis=1),
        paper=[paper for _, _, paper in BARS.values()],
        bar=[f"{sign} {bar}" if bar is not None else "" for sign, bar, _ in BARS.values()],
        verdict=[verdict(table.loc[k], sign, bar) for k, (sign, bar, _) in BARS.items()],
    )
    summary.index.name = "quantity"
    summary.round(4).to_csv(runs[0].parent / "summary.csv")
    header = [summary.index.name, *summary.columns]
    print("| " + " | ".join(header) + " |\n|" + "---|" * len(header))
    for name, row in summary.iterrows():
        cells = [f"{v:.3f}" if isinstance(v, float) else str(v) for v in row]
        print("| " + " | ".join([str(name), *cells]) + " |")


if __name__ == "__main__":
    main()
