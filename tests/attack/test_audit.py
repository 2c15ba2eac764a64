"""The whole command with a tiny budget, what it refuses, and what its page shows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner, Result

from anonlib.attack import framing
from anonlib.attack.audit import request as audit_request
from anonlib.attack.audit.measure import Audit
from anonlib.attack.audit.pictures import picture_subjects, same_pictures, split_people
from anonlib.attack.audit.record import record
from anonlib.attack.audit.report import page, text_table
from anonlib.attack.audit.roc_picture import roc_svg
from anonlib.attack.framing import BeforeAfter, crop_given
from anonlib.attack.scores import Score
from anonlib.cli import app
from anonlib.data.face_crops import Crops
from anonlib.data.face_folders import FaceFolder
from anonlib.detection import Faces
from anonlib.errors import FaceDatasetError, ImageError
from anonlib.geometry import CANONICAL_LANDMARKS
from tests.attack.test_attackers import TINY

PEOPLE = [f"Person_{n:02d}" for n in range(40)]


def one_score(**changed: object) -> Score:
    values = {name: 0.6 for name in Score.__dataclass_fields__}
    names = {"attacker": "naive", "aligned_by": "found", "trained_on": "clear", "pairs": "two modified"}
    return Score(**{**values, **names, "curve": (0.1, 1.0), "far": 0.1, **changed})  # type: ignore[arg-type]


@pytest.fixture
def audit() -> Audit:
    strongest = one_score(attacker="retrained", trained_on="modified", aligned_by="original", accuracy=0.873)
    return Audit(
        method="<mine>",
        data="drawn people",
        scores=(strongest, one_score(accuracy=0.712)),
        clear=one_score(attacker="D", aligned_by="original", accuracy=0.98),
        skipped={"unseen: dlib": "its models are not installed"},
        rates={1e-3: 0.61},
        counts={"train_people": 6, "test_people": 8, "pairs": 16, "folds": 4, "pairs_of_a_fold": 4},
        warnings=("gallery of 8 people",),
        budget=TINY,
        seed=0,
        examples=torch.zeros(2, 3, 3, 8, 8, dtype=torch.uint8),
    )


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Forty people with two pictures each, before and after; a face is found in every picture."""
    monkeypatch.setenv("ANONLIB_CACHE", str(tmp_path / "cache"))
    for n, person in enumerate(PEOPLE):
        for k in (1, 2):
            for place, level in (("before", 3 * n), ("after", 200 - 3 * n)):
                path = tmp_path / place / person / f"{k}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (40, 40), (level, 200, 100 + k)).save(path)
    monkeypatch.setattr(framing, "MtcnnDetector", lambda **_: find)
    return tmp_path / "before", tmp_path / "after"


def find(frames: Tensor) -> list[Faces]:
    box, points = torch.tensor([[10.0, 10.0, 30.0, 30.0]]), 10 + 20 * CANONICAL_LANDMARKS[None]
    return [Faces(boxes=box, scores=torch.ones(1), landmarks=points) for _ in frames]


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["audit", *map(str, words)])


def test_the_strongest_number_comes_first_and_the_page_holds_everything_itself(audit: Audit) -> None:
    content = page(audit, record(audit, command="anonlib audit mine", device="cpu", seconds=1))
    assert content.index("87.3%") < content.index("71.2%") < content.index("<table>")
    assert "<mine>" not in content and "&lt;mine&gt;" in content
    assert 'src="http' not in content and "<script" not in content and "href" not in content
    assert content.count("data:image/png") == 6
    assert "dlib did not run: its models are not installed" in content and "gallery of 8 people" in content
    real = page(replace(audit, examples=None), record(audit, command="x", device="cpu", seconds=1))
    assert "data:image" not in real and "because they are of real people" in real


def test_the_text_names_the_bound_and_what_an_attacker_has(audit: Audit) -> None:
    first, bound, found, *_ = text_table(audit).splitlines()
    assert "87.3%" in first and "upper bound" in bound and "71.2%" in found


def test_curves_fall_with_the_rate_and_names_are_escaped() -> None:
    picture = roc_svg({"a<b": ((0.001, 0.1, 1.0), (0.0, 0.5, 1.0))})
    assert "a&lt;b" in picture and ">0.001<" in picture
    points = picture.split('points="')[2].split('"')[0].split()
    xs, ys = zip(*(map(float, point.split(",")) for point in points), strict=True)
    assert list(xs) == sorted(xs) and list(ys) == sorted(ys, reverse=True)
    np.testing.assert_allclose(np.diff(xs), [2 * np.diff(xs)[1], np.diff(xs)[1]], atol=0.2)


@pytest.mark.slow
def test_a_method_is_audited_on_drawn_people() -> None:
    request = audit_request.AuditRequest(method="mask", budget=TINY)
    found = audit_request.run_audit(request, progress=False)
    assert found.examples is not None and not found.examples[1].any()
    assert found.counts["test_people"] == 8 and found.warnings
    naive = [one for one in found.scores if one.attacker == "naive" and one.aligned_by == "found"]
    assert naive[0].accuracy <= 0.75
    json.dumps(record(found, command=request.command(), device="cpu", seconds=1))


@pytest.mark.slow
def test_folders_are_audited_and_written(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = folders
    whole = audit_request.run_audit

    def tiny(request: audit_request.AuditRequest, **options: object) -> Audit:
        return whole(replace(request, budget=TINY), **options)  # type: ignore[arg-type]

    monkeypatch.setattr(audit_request, "run_audit", tiny)
    done = run("--originals", before, "--anonymized", after, "--out", tmp_path / "x.html", "--device", "cpu")
    assert done.exit_code == 0, done.output
    written = json.loads((tmp_path / "x.json").read_text())
    assert written["command"] == "anonlib audit --originals before --anonymized after --seed 0"
    assert written["counts"]["test_people"] == 8 and written["data"] == "pictures in before"
    assert "after, pictures in before: the strongest attacker" in done.output
    assert "data:image" not in (tmp_path / "x.html").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing to audit: give a METHOD"),
        (["--originals", "a"], "--originals A and --anonymized B belong together"),
        (["blur8", "--originals", "a", "--anonymized", "b"], "leave out METHOD, --weights and --root"),
        (["blur99"], "anonymizer 'blur99' is unknown"),
        (["--weights", "none.safetensors"], "none.safetensors are missing or damaged"),
        (["blur8", "--root", "nowhere"], "face root 'nowhere' is no folder"),
    ],
)
def test_what_cannot_be_audited_is_refused(words: list[str], message: str) -> None:
    done = run(*words)
    assert done.exit_code == 2 and message in " ".join(done.output.split())


def test_a_missing_picture_is_named(folders: tuple[Path, Path]) -> None:
    before, after = folders
    (after / "Person_03" / "2.png").unlink()
    for pair in ((before, after), (after, before)):
        with pytest.raises(FaceDatasetError, match=r"after' has no picture 'Person_03/2.png' \(1 of 2 of"):
            same_pictures(*map(FaceFolder, pair))


def test_another_size_is_refused(folders: tuple[Path, Path]) -> None:
    before, after = (folder / "Person_00" / "1.png" for folder in folders)
    Image.new("RGB", (30, 40)).save(after)
    with pytest.raises(ImageError, match=r"has 30x40 pixels and .* has 40x40"):
        crop_given({before: after}, detector=find, progress=False)


def test_given_pictures_are_cropped_at_the_same_place(folders: tuple[Path, Path]) -> None:
    before, after = (folder / "Person_05" / "1.png" for folder in folders)
    faces = crop_given({before: after}, detector=find, progress=False)
    assert faces.original.images[0, :, 96, 96].tolist() == [15, 200, 101]
    assert faces.modified.images[0, :, 96, 96].tolist() == [185, 200, 101]
    torch.testing.assert_close(faces.original.landmarks, faces.modified.landmarks)


def test_people_are_split_by_seed_or_by_the_folds_of_lfw(folders: tuple[Path, Path]) -> None:
    folder = FaceFolder(folders[0])
    parts = split_people(folder, TINY, seed=0)
    assert [len(parts[name]) for name in ("train", "validation", "test")] == [6, 4, 8]
    assert len({name for part in parts.values() for name in part}) == 18
    assert split_people(folder, TINY, seed=1) != parts
    fold = "{0}\t1\t2\n{1}\t1\t2\n{0}\t1\t{2}\t1\n{1}\t1\t{3}\t1"
    lines = [fold.format(*PEOPLE[n : n + 4]) for n in range(0, 40, 4)]
    (folders[0] / "pairs.txt").write_text("\n".join(["10\t2", *lines]))
    parts = split_people(folder, replace(TINY, test_people=99, people=99), seed=0)
    assert {name: sorted(part) for name, part in parts.items()} == {
        "train": PEOPLE[:16],
        "validation": PEOPLE[16:20],
        "test": PEOPLE[20:],
    }
    (folders[0] / "pairs.txt").unlink()
    for person in PEOPLE[:5]:
        (folders[0] / person / "2.png").unlink()
    with pytest.raises(FaceDatasetError, match="has 35 people with two pictures or more"):
        split_people(FaceFolder(folders[0]), TINY, seed=0)


def test_pictures_without_a_face_are_left_out_and_counted(folders: tuple[Path, Path]) -> None:
    def crop(paths: object) -> BeforeAfter:
        count = len(paths)  # type: ignore[arg-type]
        there = torch.ones(count, dtype=torch.bool)
        there[0] = count != 16  # of the test people
        points = torch.rand(count, 5, 2)
        black = torch.zeros(count, 3, 8, 8, dtype=torch.uint8)
        return BeforeAfter(
            original=Crops(images=black, landmarks=points, found=there),
            modified=Crops(images=black + 1, landmarks=points + 1, found=~there),
        )

    people, again, without = picture_subjects(FaceFolder(folders[0]), crop, TINY, seed=0)
    assert without == 1 and again == 0.0
    assert len(people.original.test.clear) == 14  # the first picture, and so the first person, is left out
    part = people.found.test
    torch.testing.assert_close(part.modified.landmarks, part.clear.landmarks + 1)
    original = people.original.test
    torch.testing.assert_close(original.modified.landmarks, original.clear.landmarks)
