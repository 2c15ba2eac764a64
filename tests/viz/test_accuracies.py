from __future__ import annotations

import io

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from anonlib.viz.curves import plot_accuracies

OURS = pd.DataFrame(
    {
        "faces": ["original", "modified", "modified_original"],
        "verification_accuracy": [0.98, 0.65, 0.55],
        "verification_accuracy_lo": [0.97, 0.63, 0.50],
        "verification_accuracy_hi": [0.99, 0.69, 0.60],
    }
)
PAPER = pd.DataFrame({"faces": ["modified", "original"], "verification_accuracy": [0.67, 0.95]})


def draw(figure: Figure) -> Figure:
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    return figure


def test_each_experiment_has_its_markers_in_the_rows_of_its_faces() -> None:
    figure = draw(plot_accuracies({"ours": OURS, "the paper": PAPER}))
    ours, paper = (container[0] for container in figure.axes[0].containers)
    assert ours.get_xdata().tolist() == [0.98, 0.65, 0.55]
    assert np.round(np.asarray(ours.get_ydata(), float)).tolist() == [0, 1, 2]
    assert np.round(np.asarray(paper.get_ydata(), float)).tolist() == [1, 0]
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == ["original", "modified", "modified original"]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["ours", "the paper"]


def test_bars_span_the_intervals_where_there_are_any() -> None:
    figure = draw(plot_accuracies({"ours": OURS, "the paper": PAPER}))
    ours, paper = (container[2][0].get_segments() for container in figure.axes[0].containers)
    np.testing.assert_allclose([s[:, 0] for s in ours], [[0.97, 0.99], [0.63, 0.69], [0.5, 0.6]])
    np.testing.assert_allclose([s[:, 0] for s in paper], [[0.67, 0.67], [0.95, 0.95]])


def test_one_experiment_stands_in_the_middle_of_its_rows() -> None:
    (axes,) = draw(plot_accuracies({"ours": OURS})).axes
    assert axes.containers[0][0].get_ydata().tolist() == [0, 1, 2]
