"""The data sets of the paper: whose they are, what they hold, where they can be had.

Addresses and checksums are taken from public documentation and code, named beside them; nothing is
guessed. Where nobody published a checksum, the SHA-256 of the first download is kept and compared
from then on.
"""

from __future__ import annotations

from dataclasses import dataclass

from anonlib.errors import DatasetError


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file, and the places that have it, byte for byte."""

    name: str
    """Of the file."""
    urls: tuple[str, ...]
    """Tried in this order; `gdrive:ID` is a file on Google Drive."""
    digest: str = ""
    """`sha256:...` or `md5:...` as published; empty if nobody published one."""
    keep: tuple[tuple[str, str], ...] = ()
    """Of an archive: what in it goes where below the root. Empty for a plain file."""

    @property
    def places(self) -> tuple[str, ...]:
        """What is there below the root once it was fetched."""
        return tuple(place for _, place in self.keep) or (self.name,)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """An entry of the catalog."""

    name: str
    title: str
    holds: str
    size: str
    terms: str
    ask: str
    """Where to read the terms or to ask for access."""
    parts: tuple[tuple[Source, ...], ...] = ()
    """What is downloaded: for each part the sources that do, the best first."""
    by_hand: str = ""
    """What a human must fetch, or can where the sources fail."""


_UMASS = ("https://vis-www.cs.umass.edu/lfw/", "http://vis-www.cs.umass.edu/lfw/")
_FIGSHARE = "https://ndownloader.figshare.com/files/"
_TUE = ("https://files.is.tue.mpg.de/jhmdb/", "http://files.is.tue.mpg.de/jhmdb/")


def _lfw_list(name: str, figshare: str, sha256: str) -> tuple[Source, ...]:
    """Checksums and the copy on figshare: scikit-learn's `sklearn/datasets/_lfw.py`."""
    urls = (*(host + name for host in _UMASS), _FIGSHARE + figshare)
    return (Source(name=name, urls=urls, digest=f"sha256:{sha256}"),)


def _jhmdb(name: str, folder: str, md5: str) -> Source:
    """MD5: a public download script; JHMDB's authors published none."""
    urls = tuple(host + name for host in _TUE)
    return Source(name=name, urls=urls, digest=f"md5:{md5}", keep=((folder, folder),))


_LFW = DataSet(
    name="lfw",
    title="Labeled Faces in the Wild, deep-funneled",
    holds="13,233 pictures of 5,749 people; 6,000 pairs",
    size="0.12 GB",
    terms="research; pictures of real people from the news, rights stay with their owners",
    ask="http://vis-www.cs.umass.edu/lfw/",
    parts=(
        (
            # MD5: torchvision's datasets/lfw.py.
            Source(
                name="lfw-deepfunneled.tgz",
                urls=tuple(host + "lfw-deepfunneled.tgz" for host in _UMASS),
                digest="md5:68331da3eb755a505a502b5aacb3c201",
                keep=(("lfw-deepfunneled", "lfw-deepfunneled"),),
            ),
            # A copy at the Internet Archive that several public projects name.
            Source(
                name="lfw-deepfunneled.zip",
                urls=("https://archive.org/download/lfw-dataset/lfw-deepfunneled.zip",),
                keep=(("lfw-deepfunneled", "lfw-deepfunneled"),),
            ),
            # The same pictures, aligned otherwise: scikit-learn's copy.
            Source(
                name="lfw-funneled.tgz",
                urls=(_FIGSHARE + "5976015",),
                digest="sha256:b47c8422c8cded889dc5a13418c4bc2abbda121092b3533a83306f90d900100a",
                keep=(("lfw_funneled", "lfw_funneled"),),
            ),
        ),
        _lfw_list("pairs.txt", "5976006", "ea42330c62c92989f9d7c03237ed5d591365e89b3e649747777b70e692dc1592"),
        _lfw_list(
            "pairsDevTrain.txt", "5976012", "1d454dada7dfeca0e7eab6f65dc4e97a6312d44cf142207be28d688be92aabfa"
        ),
        _lfw_list(
            "pairsDevTest.txt", "5976009", "7cb06600ea8b2814ac26e946201cdb304296262aad67d046a16a7ec85d0ff87c"
        ),
    ),
    by_hand=(
        "The authors' server is often down. scikit-learn's fetch_lfw_pairs() fetches the funneled "
        "pictures and the lists from figshare; copies of lfw-deepfunneled are on archive.org "
        "(lfw-dataset)."
    ),
)
_TUBER = Source(
    # Named in the README of amazon-science/tubelet-transformer; frames, flow and JHMDB-GT.pkl.
    name="JHMDB.tar.gz",
    urls=("gdrive:1JFZomNYiTkfmjPX1M6syVAHCTm0jRtmj",),
    keep=(("Frames", "Rename_Images"), ("JHMDB-GT.pkl", "JHMDB-GT.pkl")),
)
_JHMDB = DataSet(
    name="jhmdb",
    title="JHMDB, 21 actions",
    holds="928 clips of 21 actions, three splits, the outline of the actor in every frame",
    size="0.2 GB of clips, and masks of unknown size",
    terms="not stated where we looked: ask the authors; the clips show real people",
    ask="http://jhmdb.is.tue.mpg.de/",
    parts=(
        (
            _jhmdb("JHMDB_video.zip", "ReCompress_Videos", "0aca5af988892c8c2afe652a30544b8c"),
            # A copy of all 928 clips, at a fixed commit.
            Source(
                name="jhmdb-clips.tar.gz",
                urls=(
                    "https://codeload.github.com/rvk7895/EleAtt-RNN-for-Action-Classification/"
                    "tar.gz/89a020ac24f6c6dd5821f6fd4fe0dc1634c705a2",
                ),
                keep=(("ReCompress_Videos", "ReCompress_Videos"),),
            ),
            _TUBER,
        ),
        (_jhmdb("splits.zip", "splits", "15b9f2f7a99d63c07f3be0c9ecde43b5"),),
        (
            _jhmdb("puppet_mask.zip", "puppet_mask", "eebf6c6c71faa16709b709b758710d17"),
            _TUBER,
            _jhmdb("joint_positions.zip", "joint_positions", "3d1ac91bcb8544ddfdd9547997db239f"),
        ),
    ),
    by_hand=(
        "The authors' server was reported down in October 2025 (mmpose issue 3248). Frames and "
        "JHMDB-GT.pkl: https://drive.google.com/drive/folders/1BvGywlAGrACEqRyfYbz3wzlVV3cDFkct "
        "(MOC-Detector). Copies that nobody vouches for: "
        "https://opendatalab.com/OpenDataLab/JHMDB. For splits/ ask the authors or a colleague who "
        "has them: 63 small text files, which we found nowhere else."
    ),
)
_CASIA = DataSet(
    name="casia-webface",
    title="CASIA-WebFace",
    holds="494,414 pictures of 10,575 people",
    size="half a million small pictures",
    terms="research only, after signing the authors' agreement",
    ask="http://www.cbsr.ia.ac.cn/english/CASIA-WebFace-Database.html",
    by_hand=(
        "Sign the agreement at the address above and ask for the pictures. If it is down: "
        "InsightFace lists an aligned copy for non-commercial research "
        "(https://github.com/deepinsight/insightface/tree/master/recognition/_datasets_), as "
        "RecordIO: turn it into PERSON/PICTURE.jpg with InsightFace's rec2image.py. Unpack the "
        "pictures to ROOT/PERSON/PICTURE.jpg."
    ),
)
_DALY = DataSet(
    name="daly",
    title="DALY, daily actions in YouTube videos",
    holds="510 videos of 10 actions, boxed at keyframes; 310 for training, 200 for testing",
    size="31 hours of video",
    terms="not stated where we looked: ask INRIA; the videos are their owners' on YouTube",
    ask="http://thoth.inrialpes.fr/daly/getdaly.php",
    by_hand=(
        "Annotations: daly1.1.0.pkl, from the page above; we know no other address of it. Videos: "
        "many are gone from YouTube, so ask INRIA for its copies at "
        "http://thoth.inrialpes.fr/daly/requestaccess.php; ids of the others stand in the "
        "annotations. Put them to ROOT/daly1.1.0.pkl and ROOT/videos/ID.mp4."
    ),
)
CATALOG = {entry.name: entry for entry in (_LFW, _CASIA, _JHMDB, _DALY)}
"""Entries by name, in the order of the paper."""


def data_set(name: str) -> DataSet:
    """An entry by name.

    Raises:
        DatasetError: there is none.

    >>> data_set("lfw").holds
    '13,233 pictures of 5,749 people; 6,000 pairs'
    """
    if name not in CATALOG:
        raise DatasetError(f"data set '{name}' is unknown: use one of {', '.join(CATALOG)}")
    return CATALOG[name]
