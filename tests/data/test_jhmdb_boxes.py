from __future__ import annotations

import csv
import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from anonlib.data.jhmdb_boxes import (
    JOINT_MARGIN,
    SOURCES,
    csv_boxes,
    jhmdb_boxes,
    joint_boxes,
    mask_boxes,
    tube_boxes,
)
from anonlib.errors import ActionDatasetError, DatasetError

MASK, PICKLE, DRAWN, JOINTS, DETECTED = SOURCES


def write_mask(root: Path, clip: str, boxes: list[tuple[int, int, int, int] | None]) -> Path:
    """Puppets as filled rectangles; None is a frame without the actor."""
    mask = np.zeros((240, 320, len(boxes)), np.uint8)
    for frame, box in enumerate(boxes):
        if box is not None:
            mask[box[1] : box[3], box[0] : box[2], frame] = 1
    path = root / "puppet_mask" / "wave" / clip / "puppet_mask.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"part_mask": mask}, do_compression=True)
    return path


def write_joints(root: Path, clip: str, joints: np.ndarray) -> Path:
    path = root / "joint_positions" / "wave" / clip / "joint_positions.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"pos_img": joints, "pos_world": joints / 100, "scale": np.ones(3)})
    return path


def write_tubes(root: Path, tubes: dict[str, list[list[float]]]) -> Path:
    """As the ACT detector's: a pickle of Python 2."""
    content = {
        "labels": ["wave"],
        "gttubes": {f"wave/{c}": {0: [np.array(t, np.float32)]} for c, t in tubes.items()},
        "nframes": {f"wave/{c}": len(t) for c, t in tubes.items()},
        "train_videos": [[]],
        "test_videos": [[f"wave/{c}" for c in tubes]],
        "resolution": {f"wave/{c}": (240, 320) for c in tubes},
    }
    root.mkdir(exist_ok=True)
    (root / "JHMDB-GT.pkl").write_bytes(pickle.dumps(content, 2))
    return root / "JHMDB-GT.pkl"


def write_csv(root: Path, name: str, rows: list[str], *, score: bool = False) -> Path:
    root.mkdir(exist_ok=True)
    header = "clip,class,frame,x1,y1,x2,y2" + ",score" * score
    (root / name).write_text("\n".join([header, *rows]) + "\n")
    return root / name


def test_a_box_holds_every_pixel_of_the_actor(tmp_path: Path) -> None:
    path = write_mask(tmp_path, "a", [(0, 0, 1, 1), (10, 20, 30, 50), (300, 200, 320, 240)])
    expected = [[0, 0, 1, 1], [10, 20, 30, 50], [300, 200, 320, 240]]
    assert mask_boxes(path).tolist() == expected


def test_frames_without_the_actor_lie_between_their_neighbours(tmp_path: Path) -> None:
    a, b = (10, 20, 30, 50), (40, 20, 60, 80)
    boxes = mask_boxes(write_mask(tmp_path, "a", [None, a, None, None, b, None]))
    between = [[20, 20, 40, 60], [30, 20, 50, 70]]
    assert boxes.tolist() == [list(a), list(a), *between, list(b), list(b)]


def test_a_box_of_joints_is_enlarged_and_cut_to_the_frame(tmp_path: Path) -> None:
    joints = np.full((2, 15, 2), 50.0)
    joints[0, 1, 0], joints[1, 2, 0] = 69, 89  # frame 1: x 50..69, y 50..89, counted from 1
    joints[:, 3, 1] = -20, 260  # frame 2: beyond the left and the lower edge
    boxes = joint_boxes(write_joints(tmp_path, "a", joints))
    margin = JOINT_MARGIN * 40
    np.testing.assert_allclose(boxes[0], [49 - margin, 49 - margin, 69 + margin, 89 + margin])
    margin = JOINT_MARGIN * 211
    np.testing.assert_allclose(boxes[1], [0, 49 - margin, 50 + margin, 240])


def test_boxes_of_a_csv_count_from_1_with_inclusive_end(tmp_path: Path) -> None:
    rows = ["a,wave,2,1,1,320,240", "a,wave,1,72,49,248,240", "b,wave,1,1,2,3,4"]
    boxes = csv_boxes(write_csv(tmp_path, "boxes.csv", rows))
    assert boxes["a"][0].tolist() == [[71, 48, 248, 240], [0, 0, 320, 240]]
    assert boxes["b"][0].tolist() == [[0, 1, 3, 4]] and boxes["a"][1] is None
    rows = ["a,wave,1,1,1,2,2,0.25", "a,wave,2,1,1,2,2,0.75"]
    assert csv_boxes(write_csv(tmp_path, "boxes.csv", rows, score=True))["a"][1] == 0.5


def test_tubes_count_from_1_unless_a_box_begins_at_0(tmp_path: Path) -> None:
    tubes = {"a": [[1, 72, 49, 248, 240], [2, 1, 1, 320, 240]], "b": [[1, 5, 6, 7, 8]]}
    boxes = tube_boxes(write_tubes(tmp_path, tubes))
    assert boxes["a"].tolist() == [[71, 48, 248, 240], [0, 0, 320, 240]]
    assert boxes["b"].tolist() == [[4, 5, 7, 8]]
    tubes["b"] = [[1, 0, 6, 319, 239]]
    assert tube_boxes(write_tubes(tmp_path, tubes))["b"].tolist() == [[0, 6, 320, 240]]


def test_each_clip_takes_the_best_source_that_has_it(tmp_path: Path) -> None:
    joints = np.full((2, 15, 1), 50.0)
    joints[:, 0] = 60
    clips = {"mask": 1, "pickle": 2, "drawn": 3, "joints": 4, "detected": 5}
    row = "{},wave,1,1,1,9,9"
    write_mask(tmp_path, "mask", [(0, 0, 7, 7)])
    write_tubes(tmp_path, {c: [[1, 1, 1, 8, 8]] for c, n in clips.items() if n <= 2})
    write_csv(tmp_path, "boxes_a.csv", [row.format(c) for c, n in clips.items() if n <= 3])
    for clip in ("mask", "drawn", "joints"):
        write_joints(tmp_path, clip, joints)
    rows = [row.format(clip) + ",0.5" for clip in clips]
    write_csv(tmp_path, "boxes_b.csv", rows, score=True)
    found = jhmdb_boxes(tmp_path)
    assert {clip: b.source for clip, b in found.items()} == {
        "mask": MASK,
        "pickle": PICKLE,
        "drawn": DRAWN,
        "joints": JOINTS,
        "detected": DETECTED,
    }
    assert found["mask"].boxes.tolist() == [[0, 0, 7, 7]] and found["mask"].score is None
    assert found["pickle"].boxes.tolist() == [[0, 0, 8, 8]] and found["detected"].score == 0.5
    assert list(jhmdb_boxes(tmp_path, ["joints", "nobody"])) == ["joints"]


def test_a_root_without_boxes_is_named(tmp_path: Path) -> None:
    with pytest.raises(ActionDatasetError, match=r"holds no boxes: put puppet_mask/.* or JHMDB-GT"):
        jhmdb_boxes(tmp_path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a,wave,1,1,1,9"], r"boxes\.csv', line 2: 'clip' and a number for each of frame, x1"),
        (["a,wave,1,1,1,9,9", "a,wave,one,1,1,9,9"], "line 3"),
        (["a,wave,1,1,1,9,9", "a,wave,3,1,1,9,9"], "clip a does not have one box for each of its frames"),
        (["a,wave,1,1,1,9,9", "a,wave,1,1,1,9,9"], "clip a does not have one box"),
        (["a,wave,2,1,1,9,9"], "clip a does not have one box"),
        (["a,wave,1,1,1,nan,9"], "clip a does not have one box"),
    ],
)
def test_a_damaged_csv_is_named(tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(ActionDatasetError, match=message):
        csv_boxes(write_csv(tmp_path, "boxes.csv", rows))


def test_damaged_annotations_are_named(tmp_path: Path) -> None:
    path = write_mask(tmp_path, "a", [None, None])
    with pytest.raises(ActionDatasetError, match="shows the actor in none of its 2 frames"):
        mask_boxes(path)
    whole = path.read_bytes()
    for cut in (0, 60, 130, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:cut])
        with pytest.raises(ActionDatasetError, match="is damaged or holds no 'part_mask'"):
            mask_boxes(path)
    savemat(path, {"part_mask": np.zeros((2, 3))})
    with pytest.raises(ActionDatasetError, match=r"'part_mask' is \(2, 3\), not \(H, W, T\) num"):
        mask_boxes(path)
    joints = write_joints(tmp_path, "a", np.zeros((3, 15, 2)))
    with pytest.raises(ActionDatasetError, match=r"'pos_img' is \(3, 15, 2\), not \(2, 15, T\)"):
        joint_boxes(joints)


def test_damaged_tubes_are_named(tmp_path: Path) -> None:
    path = write_tubes(tmp_path, {"a": [[1, 1, 1, 9, 9], [3, 1, 1, 9, 9]]})
    with pytest.raises(ActionDatasetError, match="clip wave/a does not have one box for each"):
        tube_boxes(path)
    for content in ({"labels": []}, [1], {"gttubes": {"wave/a": {0: [np.zeros((2, 4))]}}}):
        path.write_bytes(pickle.dumps(content, 2))
        with pytest.raises(ActionDatasetError, match="holds no gttubes of 'ACTION/CLIP'"):
            tube_boxes(path)
    path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(DatasetError, match=r"asks for 'os\.system'"):
        tube_boxes(path)


def test_the_real_boxes(shared: Path) -> None:
    found = jhmdb_boxes(shared / "datasets" / "jhmdb")
    drawn = {name: b for name, b in found.items() if b.score is None}
    assert len(found) == 928 and len(drawn) == 268
    assert sum(len(b.boxes) for b in drawn.values()) == 9126
    assert sum(len(b.boxes) for b in found.values()) == 31838
    corners = np.concatenate([b.boxes for b in found.values()])
    assert corners.min() >= 0 and (corners.max(0) <= [320, 240, 320, 240]).all()
    assert (corners[:, 2:] > corners[:, :2]).all()
    with (shared / "datasets" / "jhmdb" / "boxes_split1_test.csv").open() as file:
        first = next(csv.DictReader(file))
    expected = [int(first["x1"]) - 1, int(first["y1"]) - 1, int(first["x2"]), int(first["y2"])]
    assert found[first["clip"]].boxes[0].tolist() == expected
