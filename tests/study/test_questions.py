"""Which pictures the study is made of."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch
from PIL import Image

from anonlib.anonymizers import create
from anonlib.data.face_folders import FaceFolder
from anonlib.errors import ConfigError, FaceDatasetError
from anonlib.geometry import CANONICAL_LANDMARKS
from anonlib.study.questions import Study, build_study, folder_study, synthetic_study
from anonlib.types import FaceImages


def make_faces(people: int = 12, pictures: int = 8) -> FaceImages:
    count = people * pictures
    return FaceImages(
        images=torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 8, 8).clone(),
        labels=torch.arange(people).repeat_interleave(pictures),
        landmarks=torch.zeros(count, 5, 2),
    )


def invert(faces: torch.Tensor) -> torch.Tensor:
    return 1 - faces


@pytest.fixture(scope="module")
def study() -> Study:
    return build_study(make_faces(), invert, method="invert")


def of(study: Study, kind: str) -> list:
    return [question for question in study.questions if question.kind == kind]


def test_twelve_pairs_of_each_kind_and_the_truth_is_the_labels(study: Study) -> None:
    labels = study.before.labels
    pairs = of(study, "Q1")
    assert Counter(q.truth for q in pairs) == {"same": 12, "different": 12}
    for question in pairs:
        first, second = question.faces
        assert first != second
        assert (labels[first] == labels[second]).item() == (question.truth == "same")
    assert len({frozenset(q.faces) for q in pairs}) == 24


def test_sixteen_faces_of_six_people_of_whom_no_picture_serves_twice(study: Study) -> None:
    named, known = of(study, "Q2"), of(study, "known")
    assert sorted(Counter(q.truth for q in named).values()) == [2, 2, 3, 3, 3, 3]
    assert list(study.names) == list(study.introduced) == [q.truth for q in known]
    assert list(study.names.values()) == ["Alex", "Billie", "Charlie", "Dana", "Eli", "Frankie"]
    used = [face for q in (*named, *known) for face in q.faces]
    used += [face for faces in study.introduced.values() for face in faces]
    assert len(used) == len(set(used)) == 16 + 6 + 18
    for question in (*named, *known):
        assert str(study.before.labels[question.faces[0]].item()) == question.truth
    for label, faces in study.introduced.items():
        assert {str(study.before.labels[face].item()) for face in faces} == {label}


def test_at_last_twelve_modified_faces_and_one_question(study: Study) -> None:
    (last,) = of(study, "Q3")
    assert study.questions[-1] is last
    assert (len(last.faces), last.truth) == (12, "")
    assert torch.equal(study.after.images, 255 - study.before.images)


def test_people_known_to_all_are_asked_for_once_each_without_introduction() -> None:
    names = [f"celebrity {i}" for i in range(18)]
    study = build_study(make_faces(18, 2), invert, method="invert", names=names, people=16, introduce=0)
    assert [len(of(study, kind)) for kind in ("Q1", "Q2", "known", "Q3")] == [24, 16, 16, 1]
    assert len({q.truth for q in of(study, "Q2")}) == 16
    assert all(study.names[label] == f"celebrity {label}" for label in study.names)
    assert set(study.introduced.values()) == {()}


def test_choices_are_those_of_the_paper(study: Study) -> None:
    assert study.choices("Q1") == ("same", "different")
    assert study.choices("Q2") == study.choices("known") == (*study.names, "no idea")
    assert study.choices("Q3") == ("yes", "no")


def test_participants_meet_all_questions_in_orders_of_their_own(study: Study) -> None:
    one, other = study.in_order(1), study.in_order(2)
    assert one == study.in_order(1)
    assert one != other
    assert set(one) == set(other) == set(study.questions)
    assert list(dict.fromkeys(q.kind for q in one)) == ["Q1", "Q2", "known", "Q3"]
    assert [q.kind for q in one] == [q.kind for q in study.questions]


def test_the_key_names_pictures_and_method(study: Study) -> None:
    faces = make_faces()
    assert build_study(faces, invert, method="invert").key == study.key
    assert build_study(faces, invert, method="invert").questions == study.questions
    others = (
        build_study(faces, invert, method="other"),
        build_study(faces, invert, method="invert", seed=1),
        build_study(make_faces(13), invert, method="invert"),
        build_study(faces, invert, method="invert", names=list("abcdefghijkl")),
    )
    assert len({study.key, *(other.key for other in others)}) == 5


def test_too_few_people_or_pictures_are_refused() -> None:
    with pytest.raises(FaceDatasetError, match="needs 6 people with 7 pictures or more and there"):
        build_study(make_faces(12, 6), invert, method="invert")
    with pytest.raises(ConfigError, match="Q2 about 1 people, 3 pictures each: use 2"):
        build_study(make_faces(), invert, method="invert", people=1)


def test_synthetic_people_differ_by_the_seed() -> None:
    studies = [synthetic_study(create("mask"), method="mask", people=8, size=16, seed=s) for s in (0, 0, 1)]
    assert torch.equal(studies[0].before.images, studies[1].before.images)
    assert not torch.equal(studies[0].before.images, studies[2].before.images)
    assert studies[0].before.images.shape == (80, 3, 16, 16)
    assert (studies[0].after.images == 0).all()


def test_a_folders_names_are_the_names_and_nobody_without_two_faces_is_asked_for(tmp_path: Path) -> None:
    """Person n's pictures are of red 10 n + k; black ones show no face."""
    for n in range(10):
        (tmp_path / f"Person_{n}").mkdir()
        for k in range(8):
            red = 0 if n == 4 and k else 10 * n + k + 10
            picture = Image.new("RGB", (40, 40), (red, 60 * bool(red), 90 * bool(red)))
            picture.save(tmp_path / f"Person_{n}" / f"{k}.png")

    def detect(pictures):
        return [CANONICAL_LANDMARKS * 30 if picture.any() else None for picture in pictures]

    study = folder_study(tmp_path, invert, method="invert", size=16, detect=detect)
    assert study.before.labels.unique().tolist() == list(range(9))
    assert "Person 4" not in study.names.values()
    for question in of(study, "Q2"):
        red = int(study.before.images[question.faces[0], 0, 8, 8])
        assert study.names[question.truth] == f"Person {red // 10 - 1}"


def test_no_face_of_a_folder_is_kept_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector with a `cache_key` has its crops cached elsewhere, but not in a study."""
    monkeypatch.setenv("ANONLIB_CACHE", str(tmp_path / "cache"))
    for n in range(8):
        (tmp_path / "people" / f"Person_{n}").mkdir(parents=True)
        for k in range(8):
            picture = Image.new("RGB", (40, 40), (10 * n + k + 10, 60, 90))
            picture.save(tmp_path / "people" / f"Person_{n}" / f"{k}.png")

    class Detector:
        cache_key = "test"

        def __call__(self, pictures):
            return [CANONICAL_LANDMARKS * 30 for _ in pictures]

    FaceFolder(tmp_path / "people", detect=Detector(), progress=False).load(size=16, minimum=2)
    assert list((tmp_path / "cache").rglob("*.npz"))
    shutil.rmtree(tmp_path / "cache")
    folder_study(tmp_path / "people", invert, method="invert", size=16, detect=Detector())
    assert not (tmp_path / "cache").exists()


def test_a_folder_without_faces_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Ann").mkdir()
    for k in range(2):
        Image.new("RGB", (40, 40)).save(tmp_path / "Ann" / f"{k}.png")
    with pytest.raises(FaceDatasetError, match="has nobody with two faces"):
        folder_study(tmp_path, invert, method="invert", detect=lambda pictures: [None] * 2)
