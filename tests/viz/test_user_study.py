from __future__ import annotations

import io
import math

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from anonlib.viz.user_study import plot_questions, plot_shares

NAN = math.nan
PAPER = pd.DataFrame(
    {
        "question": ["Q1", "Q2", "Q3"],
        "share": [0.533, 0.1975, 0.8],
        "lo": [0.47, 0.13, 0.49],
        "hi": [0.6, 0.3, 0.94],
        "people_lo": [NAN] * 3,
        "people_hi": [NAN] * 3,
    }
)
OURS = pd.DataFrame(
    {
        "question": ["Q1", "Q3"],
        "share": [0.6, 1.0],
        "lo": [0.5, 0.7],
        "hi": [0.7, 1.0],
        "people_lo": [0.4, NAN],
        "people_hi": [0.8, NAN],
    }
)


def draw(figure: Figure) -> Figure:
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    return figure


def test_each_study_has_its_shares_in_the_rows_of_the_questions() -> None:
    (axes,) = draw(plot_shares({"the paper": PAPER, "ours": OURS})).axes
    paper, ours = axes.containers
    assert paper[0].get_xdata().tolist() == [0.533, 0.1975, 0.8]
    assert np.round(np.asarray(paper[0].get_ydata(), float)).tolist() == [0, 1, 2]
    assert np.round(np.asarray(ours[0].get_ydata(), float)).tolist() == [0, 2]
    assert np.allclose([s[:, 0] for s in ours[2][0].get_segments()], [[0.5, 0.7], [0.7, 1.0]])
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert [label[:2] for label in labels] == ["Q1", "Q2", "Q3"]


def test_the_interval_over_participants_is_a_thin_line() -> None:
    (axes,) = draw(plot_shares({"ours": OURS})).axes
    thin = axes.collections[-1]
    assert thin.get_segments()[0][:, 0].tolist() == [0.4, 0.8]
    assert thin.get_linewidth()[0] < 1


def test_one_question_of_each_kind_is_shown() -> None:
    faces = torch.linspace(0, 1, 12).view(-1, 1, 1, 1).expand(-1, 3, 4, 4)
    figure = draw(
        plot_questions(
            pair=faces[:2], people={"Ann": faces[3], "Bo": faces[4]}, face=faces[5], together=faces[:8]
        )
    )
    grid = np.array(figure.axes).reshape(4, 7)
    assert [[len(axes.images) for axes in row].count(1) for row in grid] == [2, 2, 1, 7]
    assert [axes.get_title() for axes in grid[1][:2]] == ["Ann", "Bo"]
    assert [row[0].get_title(loc="left")[:2] for row in grid] == ["Q1", "", "Q2", "Q3"]
    assert grid[2][0].images[0].get_array()[0, 0, 0] == np.float32(faces[5, 0, 0, 0])
