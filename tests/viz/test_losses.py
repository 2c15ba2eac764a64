from __future__ import annotations

import io

import pandas as pd
from matplotlib.figure import Figure

from anonlib.viz.losses import plot_losses
from anonlib.viz.styles import ORANGE, SKY

HISTORY = pd.DataFrame({"step": [0, 10, 19], "D modified": [1.0, 2.0, 3.0], "L_det": [3.0, 2.0, 4.0]})
PHASES = {"game": 0, "A alone": 15}


def draw(figure: Figure) -> Figure:
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    return figure


def spans(figure: Figure) -> list[tuple[float, float]]:
    boxes = [patch.get_bbox() for patch in figure.axes[1].patches]
    return [(box.x0, box.x1) for box in boxes]


def test_each_phase_is_a_band_up_to_the_next_and_the_last_to_the_end() -> None:
    figure = draw(plot_losses(HISTORY, phases=PHASES))
    assert spans(figure) == [(0, 15), (15, 19)]
    colors = [patch.get_facecolor()[:3] for patch in figure.axes[0].patches]
    assert colors == [tuple(int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)) for c in (SKY, ORANGE)]


def test_bands_reach_as_far_as_the_training_will_go() -> None:
    figure = draw(plot_losses(HISTORY, phases=PHASES, steps=40))
    assert spans(figure) == [(0, 15), (15, 40)]
    assert figure.axes[0].get_xlim() == (0, 40)


def test_phases_are_named_once_over_the_middle_of_their_bands() -> None:
    first, second = draw(plot_losses(HISTORY, phases=PHASES)).axes
    assert [(text.get_text(), text.xy[0]) for text in first.texts] == [("game", 7.5), ("A alone", 17)]
    assert not second.texts


def test_the_losses_of_the_paper_have_its_names() -> None:
    figure = draw(plot_losses(HISTORY))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["D on modified faces, $L_D(M(f), i_f)$", "$L_{det}$, Eq. (1)"]
    assert not figure.axes[0].patches


def test_other_names_lose_their_underscores_but_not_in_formulas() -> None:
    history = pd.DataFrame({"step": [0, 1], "loss_box_reg": [1.0, 2.0], "$L_D$ of M": [1.0, 2.0]})
    titles = [axes.get_title(loc="left") for axes in draw(plot_losses(history)).axes]
    assert titles == ["loss box reg", "$L_D$ of M"]


def test_the_running_mean_is_centred_and_shorter_at_the_ends() -> None:
    mean = draw(plot_losses(HISTORY, smooth=3)).axes[0].lines[1]
    assert mean.get_ydata().tolist() == [1.5, 2, 2.5]


def test_a_history_that_has_not_begun_is_an_empty_panel() -> None:
    (axes,) = draw(plot_losses(pd.DataFrame({"step": []}), phases=PHASES, steps=20)).axes
    assert not axes.lines
    assert axes.get_xlim() == (0, 20)
