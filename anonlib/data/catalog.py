"""The data sets of the paper: what they hold, their terms, and where to download them.

Addresses and checksums come from public documentation and code, named beside them. Where no checksum
is published, `download` records the SHA-256 of the first download.
"""

from __future__ import annotations

from dataclasses import dataclass

from anonlib.errors import DatasetError


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file, and the addresses that have identical copies of it."""

    name: str
    urls: tuple[str, ...]
    """Tried in this order; `gdrive:ID` is a file on Google Drive."""
    digest: str = ""
    """Published checksum, `sha256:...` or `md5:...`; empty if there is none."""
    keep: tuple[tuple[str, str], ...] = ()
    """For an archive: names in it, and their places below the root. Empty for a plain file."""

    @property
    def places(self) -> tuple[str, ...]:
        """What is below the root after the download."""
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
    """Address of the terms, and where to ask for access."""
    parts: tuple[tuple[Source, ...], ...] = ()
    """What is downloaded: for each part, alternative sources, the best first."""
    by_hand: str = ""
    """How to get what cannot be downloaded, or where all sources fail."""


_UMASS = ("https://vis-www.cs.umass.edu/lfw/", "http://vis-www.cs.umass.edu/lfw/")
_FIGSHARE = "https://ndownloader.figshare.com/files/"
_TUE = ("https://files.is.tue.mpg.de/jhmdb/", "http://files.is.tue.mpg.de/jhmdb/")


def _lfw_list(name: str, figshare: str, sha256: str) -> tuple[Source, ...]:
    """Checksums and the copy on figshare are from scikit-learn's `sklearn/datasets/_lfw.py`."""
    urls = (*(host + name for host in _UMASS), _FIGSHARE + figshare)
    return (Source(name=name, urls=urls, digest=f"sha256:{sha256}"),)


def _jhmdb(name: str, folder: str, md5: str) -> Source:
    """The MD5 checksums are from a public download script; JHMDB's authors published none."""
    urls = tuple(host + name for host in _TUE)
    return Source(name=name, urls=urls, digest=f"md5:{md5}", keep=((folder, folder),))


_LFW = DataSet(
    name="lfw",
    title="Labeled Faces in the Wild, deep-funneled",
    holds="13,233 pictures of 5,749 people; 6,000 pairs",
    size="0.12 GB",
    terms="research; pictures of real people from the news, whose owners keep the rights",
    ask="http://vis-www.cs.umass.edu/lfw/",
    parts=(
        (
            # The MD5 checksum is from torchvision's datasets/lfw.py.
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
            # scikit-learn's copy: the same pictures, aligned by another method.
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
        "The authors' server is often down. scikit-learn's fetch_lfw_pairs() downloads the funneled pictures "
        "and the lists from figshare. Copies of lfw-deepfunneled are on archive.org (lfw-dataset)."
    ),
)
_TUBER = Source(
    # From the README of amazon-science/tubelet-transformer: frames, optical flow and JHMDB-GT.pkl.
    name="JHMDB.tar.gz",
    urls=("gdrive:1JFZomNYiTkfmjPX1M6syVAHCTm0jRtmj",),
    keep=(("Frames", "Rename_Images"), ("JHMDB-GT.pkl", "JHMDB-GT.pkl")),
)
_JHMDB = DataSet(
    name="jhmdb",
    title="JHMDB, 21 actions",
    holds="928 clips of 21 actions, three splits, a mask of the actor in every frame",
    size="0.2 GB of clips, and masks of unknown size",
    terms="we found none: ask the authors; the clips show real people",
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
        "The authors' server was reported down in October 2025 (mmpose issue 3248). Frames and JHMDB-GT.pkl: "
        "https://drive.google.com/drive/folders/1BvGywlAGrACEqRyfYbz3wzlVV3cDFkct (MOC-Detector). "
        "Copies without checksums: https://opendatalab.com/OpenDataLab/JHMDB. For splits/, 63 small text "
        "files, ask the authors or a colleague: we found no other copy."
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
        "Sign the agreement at the address above and ask for the pictures. If it is down: InsightFace lists "
        "an aligned copy for non-commercial research "
        "(https://github.com/deepinsight/insightface/tree/master/recognition/_datasets_) as RecordIO; "
        "convert it with InsightFace's rec2image.py. Unpack the pictures to ROOT/PERSON/PICTURE.jpg."
    ),
)
_DALY = DataSet(
    name="daly",
    title="DALY, daily actions in YouTube videos",
    holds="510 videos of 10 actions, boxed at keyframes; 310 for training, 200 for testing",
    size="31 hours of video",
    terms="we found none: ask INRIA; the videos belong to their owners on YouTube",
    ask="http://thoth.inrialpes.fr/daly/getdaly.php",
    by_hand=(
        "Annotations: daly1.1.0.pkl, from the page above; we know no other address. Videos: many are gone "
        "from YouTube, so ask INRIA for copies at http://thoth.inrialpes.fr/daly/requestaccess.php; the "
        "annotations hold the ids of all. Put them at ROOT/daly1.1.0.pkl and ROOT/videos/ID.mp4."
    ),
)
CATALOG = {entry.name: entry for entry in (_LFW, _CASIA, _JHMDB, _DALY)}
"""Entries by name, in the order in which the paper names them."""


def data_set(name: str) -> DataSet:
    """The entry with a name; raises a DatasetError if there is none."""
    if name not in CATALOG:
        raise DatasetError(f"data set '{name}' is unknown: use one of {', '.join(CATALOG)}")
    return CATALOG[name]
