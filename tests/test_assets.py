from __future__ import annotations

from pathlib import Path

import pytest

from anonlib.assets import data_path, own_sets
from anonlib.errors import DatasetError


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANONLIB_DATA", str(tmp_path))
    return tmp_path


def test_shipped_files_are_looked_for_in_the_readers_folder_first(own: Path) -> None:
    shipped = data_path("paper", "table1.csv")
    (own / "paper").mkdir()
    (own / "paper" / "figure4.csv").touch()
    assert shipped.is_relative_to(Path(__file__).parents[1] / "data")
    assert data_path("paper", "figure4.csv") == own / "paper" / "figure4.csv"
    assert data_path("paper", "table1.csv") == shipped


def test_sets_that_are_there_are_found(own: Path) -> None:
    for name in ("jhmdb", "lfw", "photos"):
        (own / name).mkdir()
    (own / "daly").touch()  # a file, not a folder
    assert own_sets() == {"lfw": own / "lfw", "jhmdb": own / "jhmdb"}


def test_without_the_variable_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANONLIB_DATA", raising=False)
    assert own_sets() == {}


def test_the_data_folder_of_a_clone_holds_no_sets_and_is_no_mistake(own: Path) -> None:
    (own / "weights").mkdir()
    assert own_sets() == {}


def test_a_folder_without_anything_known_is_a_mistake(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own / "LFW-faces").mkdir()
    with pytest.raises(DatasetError, match=r"holds no lfw, casia-webface, jhmdb or daly: set it"):
        own_sets()
    monkeypatch.setenv("ANONLIB_DATA", str(own / "nowhere"))
    with pytest.raises(DatasetError, match=r"nowhere', which is not a folder: check the path"):
        own_sets()
