"""Compares a folder with the official data set: layout, counts, checksums. Nothing is changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from anonlib.data.catalog import CATALOG, data_set
from anonlib.data.daly import ANNOTATIONS, DALY, find_frames
from anonlib.data.face_folders import CASIAWebFace, FaceFolder
from anonlib.data.images import count_frames
from anonlib.data.jhmdb import JHMDB
from anonlib.data.jhmdb_boxes import jhmdb_boxes
from anonlib.data.lfw import LFW, Picture, lfw_pairs
from anonlib.errors import DatasetError

OFFICIAL = {
    "lfw": {"people": 5749, "pictures": 13233, "pairs": 6000},
    "casia-webface": {"people": 10575, "pictures": 494414},
    "jhmdb": {
        "clips": 928,
        "actions": 21,
        "lists of splits": 63,
        "training clips in split 1": 660,
        "test clips in split 1": 268,
        "training clips in split 2": 658,
        "test clips in split 2": 270,
        "training clips in split 3": 663,
        "test clips in split 3": 265,
    },
    "daly": {"videos": 510, "training videos": 310, "test videos": 200},
}
"""Official counts of each data set."""
_ENDS = {".jpg": b"\xff\xd9", ".jpeg": b"\xff\xd9", ".png": b"IEND\xaeB`\x82"}
"""Last bytes of complete pictures; zeros may follow."""


@dataclass(slots=True, kw_only=True)
class Findings:
    """The result of a check."""

    name: str
    facts: list[str] = field(default_factory=list)
    """What is there, one line each."""
    faults: list[str] = field(default_factory=list)
    """What is wrong, one line each."""

    def count(self, what: str, found: int) -> None:
        """Adds a count as a fact, and as a fault if it differs from the official count."""
        expected = OFFICIAL[self.name][what]
        self.facts.append(f"{found:,} {what}" + f" of {expected:,}" * (found != expected))
        if found != expected:
            self.faults.append(f"{found:,} {what} instead of {expected:,}")


def check(root: str | Path, name: str | None = None, *, progress: bool = True) -> Findings:
    """Compares a folder with the official data set; without a name, the layout tells which.

    Raises:
        DatasetError: the root is missing, the name is unknown, or no layout is recognised.
    """
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(f"data root '{root}' is no folder: check the path")
    findings = Findings(name=data_set(name).name if name else recognise(root))
    checks = {"lfw": _check_lfw, "casia-webface": _check_casia, "jhmdb": _check_jhmdb, "daly": _check_daly}
    try:
        checks[findings.name](root, findings, progress)
    except DatasetError as error:
        findings.faults.append(str(error))
    return findings


def recognise(root: Path) -> str:
    """Name of the data set whose layout a folder has; raises a DatasetError if it has that of none."""
    for name, marks in (
        ("daly", ANNOTATIONS),
        ("jhmdb", ("ReCompress_Videos", "Rename_Images", "puppet_mask", "JHMDB-GT.pkl")),
        ("lfw", ("pairs.txt", "lfw-deepfunneled", "lfw_funneled")),
    ):
        if any((root / mark).exists() for mark in marks):
            return name
    try:
        if all(person.isdigit() for person in FaceFolder(root).people):
            return "casia-webface"
        reason = "names of people are no numbers"
    except DatasetError as error:
        reason = str(error)
    raise DatasetError(
        f"data root '{root}' has the layout of none of {', '.join(CATALOG)}: check the path, name the data "
        f"set with --as, or see data/README.md ({reason})"
    )


def _check_lfw(root: Path, findings: Findings, progress: bool) -> None:
    import pooch

    for (source,) in CATALOG["lfw"].parts[1:]:
        path, digest = root / source.name, source.digest.removeprefix("sha256:")
        if not path.is_file():
            findings.faults.append(f"{path.name} is missing")
        elif pooch.file_hash(path, alg="sha256") != digest:
            findings.faults.append(f"{path.name} is not the official list (wrong sha256)")
        else:
            findings.facts.append(f"{path.name}: checksum as published")
    lfw = LFW(root)
    findings.count("people", len(lfw.people))
    pictures = {path.stem: path for person in lfw.people for path in lfw.pictures(person)}
    findings.count("pictures", len(pictures))
    if (root / "people.txt").is_file():
        rows = [line.split("\t") for line in (root / "people.txt").read_text(encoding="utf-8").splitlines()]
        counts = [(row[0], int(row[1])) for row in rows if len(row) == 2 and row[1].isdigit()]
        counted = {(name, number) for name, count in counts for number in range(1, count + 1)}
        _check_named(counted, "people.txt", set(pictures), findings)
    _check_pictures(pictures.values(), findings, progress)
    if (root / "pairs.txt").is_file():
        pairs = lfw_pairs(root)
        findings.count("pairs", len(pairs))
        named = {picture for pair in pairs for picture in (pair.first, pair.second)}
        _check_named(named, "pairs.txt", set(pictures), findings)


def _check_named(named: set[Picture], by: str, there: set[str], findings: Findings) -> None:
    stems = {f"{name}_{number:04d}" for name, number in named}
    findings.faults += (f"{stem}.jpg is missing, which {by} names" for stem in sorted(stems - there))


def _check_casia(root: Path, findings: Findings, progress: bool) -> None:
    casia = CASIAWebFace(root, minimum=1)
    findings.count("people", len(casia.people))
    pictures = [path for person in casia.people for path in casia.pictures(person)]
    findings.count("pictures", len(pictures))
    alone = len(casia.people) - len(casia.people_with(2))
    findings.facts.append(f"{alone:,} people with one picture, who are left out of training")
    _check_pictures(pictures, findings, progress)


def _check_pictures(pictures: Iterable[Path], findings: Findings, progress: bool) -> None:
    for path in tqdm(list(pictures), desc="pictures", unit="picture", disable=not progress):
        if not _ends_well(path):
            findings.faults.append(f"{path.parent.name}/{path.name} is empty or cut short")


def _ends_well(path: Path) -> bool:
    """Whether a picture ends as its format does; it is empty or cut short otherwise."""
    end = _ENDS.get(path.suffix.lower())
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 256))
        tail = file.read().rstrip(b"\0")
    return bool(tail) and (end is None or end in tail)


def _check_jhmdb(root: Path, findings: Findings, progress: bool) -> None:
    data = JHMDB(root)
    findings.count("clips", len(data.clips))
    findings.count("actions", len(data.actions))
    kinds = sorted({path.suffix for path in data.clips.values() if path.is_file()})
    if kinds not in ([], [".avi"]):
        findings.facts.append(f"clips are {', '.join(kinds)}, not the official .avi: fine")
    lists = sum(_check_split(root, number, set(data.clips), findings) for number in (1, 2, 3))
    findings.count("lists of splits", lists)
    clips = tqdm(data.clips.items(), desc="clips", unit="clip", disable=not progress)
    frames = {name: count_frames(path) for name, path in clips}
    findings.faults += (
        f"clip {name} is empty or cannot be opened" for name, count in frames.items() if not count
    )
    boxes = jhmdb_boxes(root, data.clips)
    for source, count in Counter(found.source for found in boxes.values()).items():
        findings.facts.append(f"{count:,} clips with boxes from {source}")
    for name, count in frames.items():
        if name not in boxes:
            findings.faults.append(f"clip {name} has no boxes")
        elif count not in (0, len(boxes[name].boxes)):
            findings.faults.append(f"clip {name} has {count} frames and {len(boxes[name].boxes)} boxes")


def _check_split(root: Path, number: int, clips: set[str], findings: Findings) -> int:
    """Counts the clips of a split and names every fault; returns the number of its lists."""
    parts: dict[str, list[str]] = {"1": [], "2": [], "0": []}
    files = sorted((root / "splits").glob(f"*_test_split{number}.txt"))
    for path in files:
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, part = line.strip().rpartition(" ")
            if part in parts:
                parts[part].append(Path(name.strip()).stem)
            elif line.strip():
                findings.faults.append(f"splits/{path.name}: '{line}' is no 'CLIP.avi 1 or 2'")
    findings.count(f"training clips in split {number}", len(parts["1"]))
    findings.count(f"test clips in split {number}", len(parts["2"]))
    missing = sorted({*parts["1"], *parts["2"]} - clips)
    findings.faults += (f"clip {name} is missing, which split {number} names" for name in missing)
    return len(files)


def _check_daly(root: Path, findings: Findings, progress: bool) -> None:
    daly = DALY(root)
    train, test = daly.split()
    findings.count("videos", len(daly.videos))
    findings.count("training videos", len(train))
    findings.count("test videos", len(test))
    findings.facts.append(f"{len(daly.keyframes()):,} boxes at keyframes")
    for video in tqdm(daly.videos, desc="videos", unit="video", disable=not progress):
        if not daly.keyframes([video]):
            findings.faults.append(f"video {video} has no annotated keyframe")
        try:
            path = find_frames(root, video)
        except DatasetError:
            findings.faults.append(f"video {video} is missing, and so are its frames")
            continue
        if path.is_file() and not _opens(path):
            findings.faults.append(f"video {video} is empty or cannot be opened")


def _opens(path: Path) -> bool:
    import av

    try:
        with av.open(str(path)) as video:
            return bool(video.streams.video)
    except (av.FFmpegError, OSError):
        return False
