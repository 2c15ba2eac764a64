"""Rows, their order and the highlighted method."""

from __future__ import annotations

import pandas as pd

from anonlib.viz import plot_leaderboard


def test_the_best_hidden_method_is_on_top_and_mine_is_bold() -> None:
    board = pd.DataFrame({"method": ["blur8", "mask", "mine"], "accuracy": [0.9, 0.5, 0.7]})
    board = board.assign(kept=[0.8, 0.0, 0.3], naive=[0.8, 0.5, 0.6])
    for column in ("accuracy", "kept"):
        board[f"{column}_lo"], board[f"{column}_hi"] = board[column] - 0.05, board[column] + 0.05
    figure = plot_leaderboard(board, highlight="mine")
    left, right = figure.axes
    texts = left.get_yticklabels()
    assert [text.get_text() for text in texts] == ["Masked", "mine", "Blur (8×8)"]
    assert [text.get_fontweight() for text in texts] == ["normal", "bold", "normal"]
    assert left.yaxis_inverted() and "state" in right.get_xlabel()
