"""Prints the tables of all methods: privacy and usefulness for docs/related_methods.md, and README's.

    python -m recipes.methods_table

They come from `results/leaderboard/`: `methods.csv` and, for further seeds, `seed1.csv` and `seed2.csv` of
`recipes.leaderboard`; `usefulness.csv` of `recipes.measure_methods`. Action mAP is that of `anonlib reproduce
--full`, seed 8, and of the methods that it lacks `actions.csv` of `recipes.measure_actions`.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from anonlib.anonymizers.conditions import BROWS, JAW, MOUTH, NOSE
from anonlib.attack.attackers import KNOWS
from anonlib.networks.state_modifier import state_bits
from recipes.leaderboard import BOARD
from recipes.measure_actions import OUT as ACTIONS
from recipes.measure_methods import OUT

SEEDS = (BOARD, BOARD.with_name("seed1.csv"), BOARD.with_name("seed2.csv"))
FULL = BOARD.parents[1] / "laptop" / "seed8" / "strongest.csv"


class Fact(NamedTuple):
    """What is known of a method without measuring it."""

    name: str
    carried: float
    """Bytes of the face in a crop of 64 x 64 pixels that reach the picture that the method draws."""
    around: bool = False
    """Whether hair, ears and outline also stay, as pixels."""
    undone: str = "no"
    """Who gets the face back exactly. A restoring attacker guesses it, behind every method."""


PIXELS = 3 * 64 * 64
FACTS = {
    "unanonymized": Fact("clear", PIXELS, undone="not hidden"),
    "blur8": Fact("`blur8`", 3 * 8 * 8),  # the small picture
    "blur16": Fact("`blur16`", 3 * 16 * 16),
    "blur24": Fact("`blur24`", 3 * 24 * 24),
    "noise0.1": Fact("`noise0.1`", PIXELS),  # all pixels, each with noise
    "noise0.3": Fact("`noise0.3`", PIXELS),
    "noise0.5": Fact("`noise0.5`", PIXELS),
    "mask": Fact("`mask` (a black face)", 0),
    "edge": Fact("`edge`", 64 * 64 / 8),  # a bit for each pixel
    "superpixel": Fact("`superpixel`", 64 * 64 * 6 / 8 + 3 * 64),  # 64 colours, and which of them a pixel has
    "modifier": Fact("M-state (ours)", state_bits([1.0] * 6) / 8),  # six numbers with noise
    "M-redraw-start": Fact("the paper's M from `redraw`, before Algorithm 1", PIXELS),
    "ciagan": Fact("CIAGAN", 2 * len({*JAW, *NOSE, *MOUTH, *BROWS}), around=True),  # x and y of 39 points
    "live": Fact(
        "live de-identification, strength 1", PIXELS + 4 * 64
    ),  # the face and the target's descriptor
    "fit": Fact(
        "FIT, a random password for each picture",
        PIXELS,  # a code of 192 numbers and the details that it does not explain
        undone="yes, by whoever has T",
    ),
    "fit-one-password": Fact("FIT, one password for all", PIXELS, undone="yes, by whoever has T"),
    "swap": Fact("`swap`", 4 * 14 + 3 * 24 * 24, around=True),  # the state, and the blurred light
}
SHORT = ("unanonymized", "live", "swap", "ciagan", "blur8", "fit-one-password", "modifier", "mask")
"""The rows of README."""


def main() -> None:
    print("\n\n".join(tables()))


def tables() -> tuple[str, str, str]:
    """Privacy, usefulness, and the short table. A further seed counts if it has all methods."""
    boards = [table(path) for path in SEEDS if path.exists()]
    boards = [board for board in boards if board.keys() >= boards[0].keys()]
    known, kept = privacy(boards), usefulness(table(OUT), boards[0], table(ACTIONS) | table(FULL))
    return "\n".join(known), "\n".join(kept), "\n".join(short(known, kept))


def table(path: Path) -> dict[str, dict[str, str]]:
    """The rows of a CSV file by their method."""
    return {row["method"]: row for row in csv.DictReader(path.read_text().splitlines())}


def privacy(boards: Sequence[dict[str, dict[str, str]]]) -> list[str]:
    """A line a method, the least hidden first, as means over the seeds."""
    kinds = [*KNOWS, "rank1"]
    lines = [f"| method | strongest ↓ | {' | '.join(KNOWS)} | rank-1 ↓ |", "|---" * (len(kinds) + 2) + "|"]
    means = {name: {key: mean(boards, name, key) for key in ("accuracy", *kinds)} for name in boards[0]}
    for name in sorted(means, key=lambda name: -means[name]["accuracy"]):
        found = [float(board[name]["accuracy"]) for board in boards]
        row = boards[0][name]
        lo, hi = (min(found), max(found)) if len(boards) > 1 else (row["accuracy_lo"], row["accuracy_hi"])
        strongest = f"**{percent(means[name]['accuracy'])}** ({number(lo)} to {number(hi)})"
        cells = [strongest, *(percent(means[name][kind]) for kind in kinds)]
        lines.append(f"| {FACTS[name].name} | {' | '.join(cells)} |")
    return lines


def usefulness(
    rows: dict[str, dict[str, str]], board: dict[str, dict[str, str]], actions: dict[str, dict[str, str]]
) -> list[str]:
    """A line a method, in the order of the state that it keeps."""
    titles = (
        *("found by MTCNN / CenterFace ↑", "state kept ↑", "error of pose / mouth / smile ↓"),
        *("eyes move by ↓", "Fréchet ↓", "flicker", "ms a face ↓", "bytes of the face ↓"),
        *("can be undone", "action mAP ↑"),
    )
    lines = [f"| method | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    for name in sorted(rows, key=lambda name: float(board[name]["kept"])):
        row, fact = rows[name], FACTS[name]
        errors = " / ".join(f"{float(row[key]):.2f}" for key in ("pose", "mouth", "smile"))
        cells = (
            f"{percent(row['found_mtcnn'])} / {percent(row['found_centerface'])}",
            f"{float(board[name]['kept']):.2f}",
            errors,
            f"{float(row['eyes']):.2f}",
            f"{float(row['frechet']):.2f}",
            f"{float(row['flicker']):.2f}",
            f"{float(row['milliseconds']):.1f}",
            f"{fact.carried:,.{0 < fact.carried < 10:d}f}{', hair, ears' if fact.around else ''}",
            fact.undone,
            percent(actions[name]["action_map"]) if name in actions else "",
        )
        lines.append(f"| {fact.name} | {' | '.join(cells)} |")
    return lines


def short(known: Sequence[str], kept: Sequence[str]) -> list[str]:
    """Of both tables the rows of `SHORT`: strongest attacker, detection, state kept, can be undone."""
    cells = {row[1]: row[2:3] for row in map(split, known)}
    for row in map(split, kept):
        cells[row[1]] += [row[2], row[3], row[10]]
    names = ["method", *(FACTS[name].name for name in SHORT)]
    lines = [f"| {' | '.join([name, *cells[name]])} |" for name in names]
    return [lines[0], "|---" * 5 + "|", *lines[1:]]


def split(line: str) -> list[str]:
    """The cells of a line of a table, after an empty one."""
    return [cell.strip() for cell in line.split("|")]


def mean(boards: Sequence[dict[str, dict[str, str]]], name: str, key: str) -> float:
    return sum(float(board[name][key]) for board in boards) / len(boards)


def number(share: float | str) -> str:
    return f"{100 * float(share):.1f}"


def percent(share: float | str) -> str:
    return f"{number(share)}%"


if __name__ == "__main__":
    main()
