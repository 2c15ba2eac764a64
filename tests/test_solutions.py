"""Every exercise of the course: the solution passes its test cell, the empty stub does not."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch

from anonlib.attack import bit_by_bit
from anonlib.config import FitConfig
from anonlib.experiment import agreement
from anonlib.networks import FaceTransformer
from anonlib.study import scene
from anonlib.study.exercises import GRADING
from anonlib.training import identification_loss
from anonlib.types import FaceImages

FOLDER = Path(__file__).parents[1] / "notebooks"
CHAPTERS = sorted(path.stem for path in (FOLDER / "solutions").glob("*.py"))
each = pytest.mark.parametrize("chapter", CHAPTERS)


def code_cells(chapter: str) -> list[Any]:
    cells = nbformat.read(FOLDER / f"{chapter}.ipynb", as_version=4).cells
    return [cell for cell in cells if cell.cell_type == "code"]


def graded(chapter: str, role: str) -> dict[str, Any]:
    """The cells of one role, `solution` or `grade`, by their grade_id."""
    about = [(cell, cell.metadata.get("nbgrader", {})) for cell in code_cells(chapter)]
    return {grader["grade_id"]: cell for cell, grader in about if grader.get(role)}


def exercises() -> list[tuple[str, str]]:
    return [(chapter, name) for chapter in CHAPTERS for name in graded(chapter, "solution")]


def everything_imported(chapter: str) -> dict[str, Any]:
    """The names that a test cell may use: imports of the chapter, the profile and the seed."""
    names: dict[str, Any] = {}
    for cell in code_cells(chapter):
        plain = "\n".join(line for line in cell.source.splitlines() if not line.startswith("%"))
        tree = ast.parse(plain)
        imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        exec(compile(ast.Module(imports, []), chapter, "exec"), names)
    return names | {"SEED": 0}


@each
def test_an_exercise_is_a_stub_and_a_test_cell_right_after_it(chapter: str) -> None:
    cells = code_cells(chapter)
    stubs, tests = graded(chapter, "solution"), graded(chapter, "grade")
    assert stubs and [f"{name}-test" for name in stubs] == list(tests)
    for name, stub in stubs.items():
        test = tests[f"{name}-test"]
        assert cells.index(test) == cells.index(stub) + 1
        assert test.metadata.nbgrader.locked and test.metadata.nbgrader.points > 0
        assert set(stub.metadata.nbgrader) | {"points"} == set(test.metadata.nbgrader)
        assert "raise NotImplementedError" in stub.source and '"""' in stub.source


@pytest.mark.parametrize(("chapter", "name"), exercises())
def test_the_solution_passes_and_the_stub_does_not(
    chapter: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    test = graded(chapter, "grade")[f"{name}-test"].source
    names = everything_imported(chapter)
    for earlier in graded(chapter, "solution"):  # a test cell may use functions that were chosen before
        exec(graded(chapter, "solution")[earlier].source, names)
        exec(graded(chapter, "grade")[f"{earlier}-test"].source, names)
        if earlier == name:
            break
    assert "your version is not finished yet: the library's is used" in capsys.readouterr().out
    monkeypatch.setenv(GRADING, "1")
    with pytest.raises(AssertionError, match="not finished yet"):
        exec(test, names)
    solution = (FOLDER / "solutions" / f"{chapter}.py").read_text()
    exec(compile(solution, f"{chapter}.py", "exec"), names)
    exec(test, names)
    assert "your version is used" in capsys.readouterr().out


def solutions(chapter: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec((FOLDER / "solutions" / f"{chapter}.py").read_text(), names)
    return names


def test_a_soft_paste_changes_the_middle_and_not_the_rim() -> None:
    frame, face, box = torch.zeros(3, 40, 60), torch.ones(3, 16, 16), torch.tensor([20.0, 10, 30, 20])
    change = solutions("01_face_detection")["paste_soft"](frame, face, box)
    assert change[:, 15, 25].eq(1).all() and change[:, 7, 25].max() < 0.6 and not change[:, 5, 25].any()


def test_ten_folds_by_hand() -> None:
    scores = np.array([0.45, 0.3, 0.1, 0.05, 0.9, 0.8, 0.2, 0.1, 0.9, 0.85, 0.7, 0.15])
    same, fold = np.array([True, True, False, False] * 3), np.repeat([2, 0, 1], 4)
    found = solutions("03_face_identification")["ten_folds"](scores, same, fold)
    assert found.tolist() == [1, 0.75, 0.5]


def test_right_boxes_by_hand() -> None:
    true = [[0.0, 0, 10, 10], [20, 0, 30, 10]]
    boxes = [[0.0, 0, 10, 8], [0, 0, 10, 9], [20, 0, 30, 5], [4, 0, 14, 10]]
    right = solutions("04_action_detection")["right_of"](boxes, [0.7, 0.9, 0.8, 0.95], true)
    assert right.tolist() == [False, True, True, False]


def test_eq_3_outside_the_head_by_hand() -> None:
    original, mask = torch.zeros(1, 3, 2, 2), torch.tensor([[[[1.0, 0], [0, 0]]]])
    modified = torch.tensor([[[[9.0, 0.3], [0, 0]]]]).expand(1, 3, 2, 2)
    loss = solutions("05_adversarial_training")["spare_the_background"](modified, original, mask, 2.0)
    assert abs(loss - 0.2) < 1e-6


def test_the_uniform_label_is_the_mean_over_all_people() -> None:
    now = scene(0)
    arguments = now.players.classifier, now.faces.images, now.faces, 5.0
    each = [
        identification_loss(*arguments[:2], replace(now.faces, labels=torch.full((4,), person)), anneal=5.0)
        for person in range(6)
    ]
    mean = solutions("07_random_label_or_ascent")["uniform_label"](*arguments)
    torch.testing.assert_close(mean, torch.cat(each).mean())


def test_both_sets_of_faces_are_together() -> None:
    def faces(shade: int) -> FaceImages:
        images = torch.full((2, 3, 4, 4), shade, dtype=torch.uint8)
        return FaceImages(images=images, labels=torch.arange(2), landmarks=torch.zeros(2, 5, 2))

    both = solutions("08_is_the_classifier_robust")["together"](faces(1), faces(2))
    assert both.images[:, 0, 0, 0].tolist() == [1, 1, 2, 2] and both.labels.tolist() == [0, 1, 0, 1]
    assert both.landmarks.shape == (4, 5, 2)


def test_a_mosaic_of_the_upper_face_leaves_the_mouth() -> None:
    faces = torch.rand(2, 3, 10, 10)
    changed = solutions("06_privacy_against_utility")["upper"](faces)
    assert torch.equal(changed[:, :, 6:], faces[:, :, 6:])
    torch.testing.assert_close(changed[:, :, 0, 0], faces[:, :, :3, :5].mean(dim=(2, 3)))


def test_half_of_a_persons_pictures_are_a_new_track() -> None:
    assert solutions("09_identity_consistency")["halves"]([0, 0, 1, 0, 0, 1]).tolist() == [0, 0, 2, 1, 1, 3]


def test_the_answers_that_a_share_needs() -> None:
    functions = solutions("11_the_user_study")
    needed = functions["answers_needed"](0.8, 0.5)
    lows = [functions["wilson"](round(0.8 * n), n)[0] for n in (needed - 1, needed)]
    assert lows[0] <= 0.5 < lows[1]


def test_pairs_in_the_same_order_are_those_of_the_library() -> None:
    first, second = {"a": 1, "b": 2, "c": 3}, {"a": 5, "b": 9, "c": 7, "d": 0}
    found = solutions("12_reproducing_the_tables")["same_order"](first, second)
    assert found == agreement(first, second) == (2, 3)


def test_bits_of_a_password_are_found_one_after_the_other() -> None:
    torch.manual_seed(0)
    network, hidden = FaceTransformer(FitConfig(code=32, width=4)).eval(), torch.rand(2, 3, 64, 64)
    mine = solutions("15_password_conditioned_transformers")["bit_by_bit"](network, hidden)
    assert torch.equal(mine, bit_by_bit(network, hidden))


def test_a_box_is_kept_for_some_frames() -> None:
    seen = np.array([[True, False, False, False, True, False], [False, True, False, False, False, False]])
    held = solutions("10_the_live_demo")["hold"](seen, 2)
    assert held.astype(int).tolist() == [[1, 1, 1, 0, 1, 1], [0, 1, 1, 1, 0, 0]]
