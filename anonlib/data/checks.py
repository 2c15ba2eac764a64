"""Whether a folder holds the data set it should: layout, counts, checksums. Nothing is changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from anonlib.data.catalog import CATALOG, data_set
from anonlib.data.daly import ANNOTATIONS, DALY, find_frames
from anonlib.data.download import digest
from anonlib.data.face_folders import CASIAWebFace, FaceFolder
from anonlib.data.jhmdb_boxes import csv_boxes, tube_boxes
from anonlib.data.lfw import LFW
from anonlib.errors import DatasetError

_CLIPS = ("ReCompress_Videos", "Rename_Images")
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
"""How many there are of what in each data set."""
_ENDS = {".jpg": b"\xff\xd9", ".jpeg": b"\xff\xd9", ".png": b"IEND\xaeB`\x82"}
"""How whole pictures end; zeros may follow."""


@dataclass(slots=True, kw_only=True)
class Findings:
    """What a check found."""

    name: str
    """Of the data set."""
    facts: list[str] = field(default_factory=list)
    """What is there, a line each."""
    faults: list[str] = field(default_factory=list)
    """What is wrong, a line for each file."""

    def count(self, what: str, found: int) -> None:
        """Notes a number, and a fault if it is not the official one."""
        expected = OFFICIAL[self.name][what]
        self.facts.append(f"{found:,} {what}" + f" of {expected:,}" * (found != expected))
        if found != expected:
            self.faults.append(f"{found:,} {what} instead of {expected:,}")


def check(root: str | Path, name: str | None = None, *, progress: bool = True) -> Findings:
    """Compares a folder with the official data set.

    Args:
        root: the folder.
        name: of the data set; by default the layout tells.
        progress: whether to show a progress bar.

    Raises:
        DatasetError: the root is missing, the name is unknown, or no layout is recognised.
    """
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(f"data root '{root}' is no folder: check the path")
    findings = Findings(name=data_set(name).name if name else recognise(root))
    try:
        _CHECKS[findings.name](root, findings, progress)
    except DatasetError as error:
        findings.faults.append(str(error))
    return findings


def recognise(root: Path) -> str:
    """Name of the data set whose layout a folder has.

    Raises:
        DatasetError: none.
    """
    if any((root / name).is_file() for name in ANNOTATIONS):
        return "daly"
    if any((root / name).exists() for name in (*_CLIPS, "puppet_mask", "JHMDB-GT.pkl")):
        return "jhmdb"
    if any((root / name).exists() for name in ("pairs.txt", "lfw-deepfunneled", "lfw_funneled")):
        return "lfw"
    try:
        people = FaceFolder(root).people
        reason = "its folders have no numbers as names"
    except DatasetError as error:
        people, reason = (), str(error)
    if people and all(person.isdigit() for person in people):
        return "casia-webface"
    raise DatasetError(
        f"data root '{root}' has the layout of none of {', '.join(CATALOG)}: check the path, name the data "
        f"set with --as, or see data/README.md ({reason})"
    )


def _check_lfw(root: Path, findings: Findings, progress: bool) -> None:
    for sources in CATALOG["lfw"].parts[1:]:
        _check_list(root, sources[0].name, sources[0].digest, findings)
    lfw = LFW(root)
    findings.count("people", len(lfw.people))
    pictures = {path.stem: path for person in lfw.people for path in lfw.pictures(person)}
    findings.count("pictures", len(pictures))
    findings.faults += _missing_of_lfw(root, set(pictures))
    findings.faults += _damaged(pictures.values(), progress)
    if (root / "pairs.txt").is_file():
        pairs = lfw.pairs()
        findings.count("pairs", len(pairs))
        named = {f"{n}_{k:04d}" for pair in pairs for n, k in (pair.first, pair.second)}
        findings.faults += (
            f"{stem}.jpg is missing, which pairs.txt names" for stem in sorted(named - set(pictures))
        )


def _check_list(root: Path, name: str, published: str, findings: Findings) -> None:
    kind, _, expected = published.partition(":")
    path = root / name
    if not path.is_file():
        findings.faults.append(f"{name} is missing")
    elif digest(path, kind) != expected:
        findings.faults.append(f"{name} is not the official list (wrong {kind})")
    else:
        findings.facts.append(f"{name}: checksum as published")


def _missing_of_lfw(root: Path, stems: set[str]) -> list[str]:
    """Pictures that people.txt counts and that are not there."""
    path = root / "people.txt"
    if not path.is_file():
        return []
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    wanted = {
        f"{row[0]}_{k:04d}"
        for row in rows
        if len(row) == 2 and row[1].isdigit()
        for k in range(1, int(row[1]) + 1)
    }
    return [f"{stem}.jpg is missing, which people.txt counts" for stem in sorted(wanted - stems)]


def _check_casia(root: Path, findings: Findings, progress: bool) -> None:
    casia = CASIAWebFace(root, minimum=1)
    findings.count("people", len(casia.people))
    pictures = [path for person in casia.people for path in casia.pictures(person)]
    findings.count("pictures", len(pictures))
    alone = len(casia.people) - len(casia.people_with(2))
    findings.facts.append(f"{alone:,} people with one picture, who are left out of training")
    findings.faults += _damaged(pictures, progress)


def _check_jhmdb(root: Path, findings: Findings, progress: bool) -> None:
    inner = next((name for name in _CLIPS if (root / name).is_dir()), None)
    if inner is None:
        raise DatasetError(f"neither {_CLIPS[0]}/ nor {_CLIPS[1]}/ is there")
    clips = {
        path.stem if path.is_file() else path.name: path
        for path in sorted((root / inner).glob("[!.]*/[!.]*"))
    }
    findings.count("clips", len(clips))
    findings.count("actions", len({path.parent.name for path in clips.values()}))
    kinds = Counter(path.suffix if path.is_file() else "folders" for path in clips.values())
    if any(kind not in (".avi", "folders") for kind in kinds):
        findings.facts.append(f"clips are {', '.join(sorted(kinds))}, not the official .avi: fine")
    findings.count("lists of splits", sum(_check_split(root, n, set(clips), findings) for n in (1, 2, 3)))
    _check_boxes(root, clips, findings, progress)


def _check_split(root: Path, number: int, clips: set[str], findings: Findings) -> int:
    """Counts the clips of a split; how many lists there are."""
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
    findings.faults += (
        f"clip {name} is missing, which split {number} names"
        for name in sorted({*parts["1"], *parts["2"]} - clips)
    )
    return len(files)


def _check_boxes(root: Path, clips: dict[str, Path], findings: Findings, progress: bool) -> None:
    """How many clips each source boxes, and whether a clip has as many frames as boxes."""
    counts: dict[str, int] = {}
    for folder in ("puppet_mask", "joint_positions"):
        if found := {path.name for path in (root / folder).glob("*/*") if path.is_dir()}:
            findings.facts.append(f"{folder}: {len(found):,} clips")
            counts |= dict.fromkeys(found, -1)
    for path in (*sorted(root.glob("JHMDB-GT*.pkl")), *sorted(root.glob("boxes*.csv"))):
        boxes = (
            tube_boxes(path)
            if path.suffix == ".pkl"
            else {name: found[0] for name, found in csv_boxes(path).items()}
        )
        findings.facts.append(f"{path.name}: boxes of {len(boxes):,} clips")
        counts |= {name: len(rows) for name, rows in boxes.items()}
    findings.facts.append(f"{len(counts.keys() & clips.keys()):,} clips with boxes")
    findings.faults += (f"clip {name} has no boxes" for name in sorted(clips.keys() - counts.keys()))
    for name, path in tqdm(clips.items(), desc="clips", unit="clip", disable=not progress):
        frames, boxes_there = _frames(path), counts.get(name, -1)
        if frames == 0:
            findings.faults.append(f"clip {name} is empty or cannot be opened")
        elif boxes_there not in (-1, frames):
            findings.faults.append(f"clip {name} has {frames} frames and {boxes_there} boxes")


def _frames(path: Path) -> int:
    """Frames of a clip, counted without decoding them; 0 if it cannot be opened."""
    if path.is_dir():
        return sum(1 for _ in path.glob("[!.]*.[pj][np]g"))
    import av

    try:
        with av.open(str(path)) as video:
            return sum(packet.size > 0 for packet in video.demux(video.streams.video[0]))
    except (av.FFmpegError, IndexError, OSError):
        return 0


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


def _damaged(pictures: Iterable[Path], progress: bool) -> list[str]:
    """Pictures that are empty or cut short: they do not end as their kind does."""
    bar = tqdm(list(pictures), desc="pictures", unit="picture", disable=not progress)
    return [f"{path.parent.name}/{path.name} is empty or cut short" for path in bar if not _ends_well(path)]


def _ends_well(path: Path) -> bool:
    end = _ENDS.get(path.suffix.lower())
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 256))
        tail = file.read().rstrip(b"\0")
    return bool(tail) and (end is None or end in tail)


_CHECKS: dict[str, Callable[[Path, Findings, bool], None]] = {
    "lfw": _check_lfw,
    "casia-webface": _check_casia,
    "jhmdb": _check_jhmdb,
    "daly": _check_daly,
}
