from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import shutil
import tarfile
import threading
import types
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from anonlib.data import download as module
from anonlib.data.catalog import CATALOG, DataSet, Source, data_set
from anonlib.data.download import download, fetch, unpack
from anonlib.errors import DatasetError

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server:
    """Serves `files`; breaks off after `cuts[path]` bytes of an answer, once for each number."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"/a.bin": CONTENT}
        self.cuts: dict[str, list[int]] = {}
        self.errors: dict[str, list[int]] = {}
        self.ranges = True
        self.tag = '"1"'
        self.asked: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.asked.append((request.path, wanted))
        if self.errors.get(request.path):
            return request.send_error(self.errors[request.path].pop(0))
        if request.path not in self.files:
            return request.send_error(404)
        content, start = self.files[request.path], 0
        fresh = request.headers.get("If-Range", self.tag) == self.tag
        if wanted and self.ranges and fresh:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])  # type: ignore[index]
            if start >= len(content):
                request.send_response(416)
                request.send_header("Content-Range", f"bytes */{len(content)}")
                request.send_header("Content-Length", "0")
                return request.end_headers()
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(content) - start))
        request.send_header("ETag", self.tag)
        request.end_headers()
        cut = self.cuts.get(request.path) or [len(content)]
        request.wfile.write(content[start : start + cut.pop(0)])
        return None

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = Server()
    yield running
    running.close()


def source(server: Server, *paths: str, name: str = "a.bin", **options: Any) -> Source:
    return Source(name=name, urls=tuple(server.url + p for p in paths or ("/a.bin",)), **options)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("digest", [f"sha256:{SHA256}", f"md5:{MD5.upper()}"])
def test_a_file_is_fetched_and_verified(server: Server, tmp_path: Path, digest: str) -> None:
    path = fetch(source(server, digest=digest), tmp_path, progress=False)
    assert path.read_bytes() == CONTENT
    assert names(tmp_path) == ["a.bin", "a.bin.sha256"][: 1 + digest.startswith("md5")]
    asked = len(server.asked)
    assert fetch(source(server, digest=digest), tmp_path, progress=False) == path
    assert len(server.asked) == asked
    path.write_bytes(CONTENT[:-1])
    assert fetch(source(server, digest=digest), tmp_path, progress=False) == path
    assert path.read_bytes() == CONTENT


def test_a_broken_connection_is_resumed(server: Server, tmp_path: Path) -> None:
    server.cuts["/a.bin"] = [300_000, 100, len(CONTENT)]
    path = fetch(source(server, digest=f"sha256:{SHA256}"), tmp_path, progress=False)
    assert path.read_bytes() == CONTENT
    ranges = ["bytes=300000-", "bytes=300100-"]
    assert [wanted for _, wanted in server.asked] == [None, *ranges]


def test_an_interruption_keeps_the_part_and_the_next_run_goes_on(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(response: Any, file: Any, length: int) -> None:
        file.write(response.read(length))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch(source(server), tmp_path, progress=False)
    size = (tmp_path / "a.bin.part").stat().st_size
    assert 0 < size < len(CONTENT) and not (tmp_path / "a.bin").exists()
    assert fetch(source(server), tmp_path, progress=False).read_bytes() == CONTENT
    assert server.asked[-1] == ("/a.bin", f"bytes={size}-")
    assert names(tmp_path) == ["a.bin", "a.bin.sha256"]


def test_a_server_without_ranges_starts_over(server: Server, tmp_path: Path) -> None:
    server.ranges, server.cuts["/a.bin"] = False, [300_000, len(CONTENT)]
    assert fetch(source(server), tmp_path, progress=False).read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_starts_over(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(b"old" * 100)
    (tmp_path / "a.bin.part.from").write_text(f'{server.url}/a.bin\n"0"\n')
    assert fetch(source(server), tmp_path, progress=False).read_bytes() == CONTENT


def test_a_part_without_missing_bytes_starts_over(server: Server, tmp_path: Path) -> None:
    for more in (b"", b"x"):
        (tmp_path / "a.bin.part").write_bytes(CONTENT + more)
        (tmp_path / "a.bin.part.from").write_text(f'{server.url}/a.bin\n"1"\n')
        path = fetch(source(server, digest=f"sha256:{SHA256}"), tmp_path, progress=False)
        assert path.read_bytes() == CONTENT
        path.unlink()


def test_a_part_of_another_address_is_not_gone_on_with(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(b"other")
    (tmp_path / "a.bin.part.from").write_text("http://elsewhere/a.bin\n\n")
    assert fetch(source(server), tmp_path, progress=False).read_bytes() == CONTENT


def test_a_part_waits_for_its_own_address(server: Server, tmp_path: Path) -> None:
    """An address that is tried before it and fails takes nothing away."""
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:1000])
    (tmp_path / "a.bin.part.from").write_text(f'{server.url}/a.bin\n"1"\n')
    chosen = source(server, "/gone", "/a.bin", digest=f"sha256:{SHA256}")
    assert fetch(chosen, tmp_path, progress=False).read_bytes() == CONTENT
    assert server.asked == [("/gone", None), ("/a.bin", "bytes=1000-")]


def test_mirrors_are_tried_in_order(server: Server, tmp_path: Path) -> None:
    server.files["/bad"] = b"<html>moved</html>"
    server.errors["/busy"] = [503] * len(module.PAUSES)
    chosen = source(server, "/gone", "/busy", "/bad", "/a.bin", digest=f"sha256:{SHA256}")
    assert fetch(chosen, tmp_path, progress=False).read_bytes() == CONTENT
    paths = [path for path, _ in server.asked]
    assert paths == ["/gone", *["/busy"] * len(module.PAUSES), "/bad", "/a.bin"]


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.errors["/a.bin"] = [503, 429]
    assert fetch(source(server), tmp_path, progress=False).read_bytes() == CONTENT


def test_every_failure_is_named_and_nothing_is_left(server: Server, tmp_path: Path) -> None:
    server.files["/bad"] = b"other"
    chosen = Source(
        name="a.bin",
        urls=(server.url + "/gone", server.url + "/bad", "http://127.0.0.1:9/x"),
        digest=f"sha256:{SHA256}",
    )
    with pytest.raises(DatasetError) as caught:
        fetch(chosen, tmp_path, progress=False)
    text = str(caught.value)
    assert "/gone: HTTP 404" in text and "Connection refused" in text
    assert "/bad: SHA256 hash of downloaded file (a.bin) does not match the known hash" in text
    assert f"but got {hashlib.sha256(b'other').hexdigest()}" in text
    assert names(tmp_path) == []


def test_a_connection_that_always_breaks_keeps_what_came(server: Server, tmp_path: Path) -> None:
    server.cuts["/a.bin"] = [1000] * len(module.PAUSES)
    with pytest.raises(DatasetError, match="the connection broke"):
        fetch(source(server), tmp_path, progress=False)
    assert (tmp_path / "a.bin.part").stat().st_size == 1000 * len(module.PAUSES)


def test_without_a_published_checksum_the_first_download_counts(server: Server, tmp_path: Path) -> None:
    path = fetch(source(server), tmp_path, progress=False)
    assert (tmp_path / "a.bin.sha256").read_text() == f"{SHA256}  a.bin\n"
    path.unlink()
    server.files["/a.bin"] = b"replaced"
    with pytest.raises(DatasetError, match=f"does not match the known hash: expected {SHA256}"):
        fetch(source(server), tmp_path, progress=False)


def test_a_full_disk_is_no_fault_of_the_mirror(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = types.SimpleNamespace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OSError, match="No space left") as caught:
        fetch(source(server, "/a.bin", "/a.bin"), tmp_path, progress=False)
    assert caught.value.errno == errno.ENOSPC and len(server.asked) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_disk_that_fills_up_meanwhile(server: Server, tmp_path: Path) -> None:
    os.symlink("/dev/full", tmp_path / "a.bin.part")
    (tmp_path / "a.bin.part.from").write_text(f"{server.url}/a.bin\n\n")
    with pytest.raises(OSError, match="No space left"):
        fetch(source(server, "/a.bin", "/a.bin"), tmp_path, progress=False)
    assert len(server.asked) == 1


def test_google_drive_goes_through_gdown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gdown
    from gdown.exceptions import FileURLRetrievalError

    seen: dict[str, Any] = {}

    def stand_in(**options: Any) -> None:
        seen.update(options)
        Path(options["output"]).write_bytes(CONTENT)

    monkeypatch.setattr(gdown, "download", stand_in)
    chosen = Source(name="a.bin", urls=("gdrive:AbC_1",), digest=f"md5:{MD5}")
    assert fetch(chosen, tmp_path, progress=False).read_bytes() == CONTENT
    assert seen["id"] == "AbC_1" and seen["resume"]

    def refuse(**_: Any) -> None:
        raise FileURLRetrievalError

    monkeypatch.setattr(gdown, "download", refuse)
    (tmp_path / "a.bin").unlink()
    with pytest.raises(DatasetError, match="gdrive:AbC_1: Google Drive refuses"):
        fetch(chosen, tmp_path, progress=False)


def tar(path: Path, *members: tuple[str, bytes | None], kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(path, "w:gz") as file:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd" if kind != tarfile.REGTYPE else ""
            info.size = len(content or b"")
            file.addfile(info, io.BytesIO(content or b""))
    return path


def zipped(path: Path, *members: tuple[str, bytes], mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            file.writestr(info, content)
    return path


@pytest.mark.parametrize("pack", [tar, zipped])
def test_folders_are_taken_out_of_an_archive(tmp_path: Path, pack: Callable[..., Path]) -> None:
    archive = pack(tmp_path / "x", ("top/lfw/lfw/Ann/1.jpg", b"1"), ("top/GT.pkl", b"2"), ("flow/3", b"3"))
    unpack(archive, tmp_path / "r", [("lfw", "pictures"), ("GT.pkl", "GT.pkl")], progress=False)
    found = {p.relative_to(tmp_path / "r").as_posix() for p in (tmp_path / "r").rglob("*") if p.is_file()}
    assert found == {"pictures/Ann/1.jpg", "GT.pkl"}


def test_what_a_mac_adds_is_left_out(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x", ("d/1", b"1"), ("__MACOSX/d/._1", b"2"))
    unpack(archive, tmp_path / "r", [("d", "d")], progress=False)
    assert names(tmp_path / "r") == ["d"] and names(tmp_path / "r" / "d") == ["1"]


def test_an_archive_without_the_folder_is_the_folder(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "splits.zip", ("a_test_split1.txt", b"x"))
    unpack(archive, tmp_path / "r", [("splits", "splits")], progress=False)
    assert names(tmp_path / "r" / "splits") == ["a_test_split1.txt"]


IS_LINK = "a link or device: fetch it again from its official place"


@pytest.mark.parametrize("pack", [tar, zipped])
@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/../../evil", "a/b/../../../evil"])
def test_names_that_lead_out_are_refused(tmp_path: Path, pack: Callable[..., Path], name: str) -> None:
    archive = pack(tmp_path / "x", ("a/good", b"1"), (name, b"2"))
    with pytest.raises(DatasetError, match="a path outside of the archive: fetch it again"):
        unpack(archive, tmp_path / "r", [("a", "a")], progress=False)
    assert names(tmp_path) == ["r", "x"] and names(tmp_path / "r") == []


@pytest.mark.parametrize("pack", [tar, zipped])
@pytest.mark.parametrize("name", ["a\\..\\..\\evil", "C:/evil", "C:\\evil"])
@pytest.mark.parametrize("kept", ["a", "everything"])
def test_names_of_windows_do_not_lead_out(
    tmp_path: Path, pack: Callable[..., Path], name: str, kept: str
) -> None:
    """They are plain names here; zipfile and tarfile's data filter know them on Windows."""
    archive = pack(tmp_path / "x", ("a/good", b"1"), (name, b"2"))
    unpack(archive, tmp_path / "r", [(kept, "a")], progress=False)
    assert names(tmp_path) == ["r", "x"] and names(tmp_path / "r") == ["a"]


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(DatasetError, match=IS_LINK):
        unpack(tar(tmp_path / "x", ("a/b", None), kind=kind), tmp_path / "r", [("a", "a")])
    assert names(tmp_path / "r") == []


def test_links_beside_what_is_wanted_are_passed_over(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x", "w") as file:
        link, plain = tarfile.TarInfo("other/link"), tarfile.TarInfo("a/b")
        link.type, link.linkname, plain.size = tarfile.SYMTYPE, "/etc/passwd", 1
        file.addfile(link)
        file.addfile(plain, io.BytesIO(b"1"))
    unpack(tmp_path / "x", tmp_path / "r", [("a", "a")], progress=False)
    assert names(tmp_path / "r") == ["a"]


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x", ("a/b", b"/etc/passwd"), mode=0o120777)
    with pytest.raises(DatasetError, match=IS_LINK):
        unpack(archive, tmp_path / "r", [("a", "a")], progress=False)


@pytest.mark.parametrize("pack", [tar, zipped])
@pytest.mark.parametrize("limit", ["MOST_FILES", "MOST_BYTES"])
def test_bombs_are_refused(
    tmp_path: Path, pack: Callable[..., Path], limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"anonlib.data.download.{limit}", 3)
    archive = pack(tmp_path / "x", *((f"a/{n}", bytes(2)) for n in range(4)))
    with pytest.raises(DatasetError, match="unpacks to more than"):
        unpack(archive, tmp_path / "r", [("a", "a")], progress=False)
    assert names(tmp_path / "r") == []


@pytest.mark.parametrize("pack", [tar, zipped])
def test_a_damaged_archive_is_named(tmp_path: Path, pack: Callable[..., Path]) -> None:
    archive = pack(tmp_path / "x", ("a/b", os.urandom(5000)))
    whole = archive.read_bytes()
    for content in (whole[:2000], b"", b"<html>moved</html>"):
        archive.write_bytes(content)
        with pytest.raises(DatasetError, match=r"x' is damaged .*: fetch it again"):
            unpack(archive, tmp_path / "r", [("a", "a")], progress=False)
    assert names(tmp_path / "r") == []


def test_a_data_set_takes_the_first_source_that_works(server: Server, tmp_path: Path) -> None:
    for name, pack in (("/evil.tgz", "../x"), ("/good.zip", "d/1")):
        archive = (tar if name.endswith("tgz") else zipped)(tmp_path / "x", (pack, b"1"))
        server.files[name] = archive.read_bytes()
    folder = (("d", "d"),)
    entry = DataSet(
        name="x",
        title="X",
        holds="",
        size="",
        terms="ask",
        ask="http://x",
        by_hand="Ask Ann.",
        parts=(
            (
                source(server, "/gone", name="gone.tgz", keep=folder),
                source(server, "/evil.tgz", name="evil.tgz", keep=folder),
                source(server, "/good.zip", name="good.zip", keep=folder),
            ),
            (source(server, digest=f"sha256:{SHA256}"),),
        ),
    )
    lines = download(entry, tmp_path / "r", progress=False)
    assert lines == [
        "d: fetched from good.zip, no published checksum, recorded",
        "a.bin: fetched from a.bin, checksum as published",
    ]
    assert names(tmp_path / "r") == ["a.bin", "d", "good.zip.sha256"]
    asked = len(server.asked)
    again = ["d: there already", "a.bin: there already"]
    assert download(entry, tmp_path / "r", progress=False) == again and len(server.asked) == asked


def test_what_no_source_has_is_left_to_a_human(server: Server, tmp_path: Path) -> None:
    entry = DataSet(
        name="x",
        title="X",
        holds="",
        size="",
        terms="ask first",
        ask="http://x.org",
        by_hand="Write to Ann.",
        parts=((source(server, "/gone", name="b.bin"),), (source(server),)),
    )
    with pytest.raises(
        DatasetError,
        match=r"no source of b\.bin works: .*HTTP 404.* are there: a\.bin: fetched .*Write to Ann\. "
        "Terms: ask first; http://x",
    ):
        download(entry, tmp_path, progress=False)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    with pytest.raises(DatasetError, match=r"DALY, .* cannot be downloaded\. Annotations: daly1"):
        download(data_set("daly"), tmp_path, progress=False)


def test_every_entry_has_a_second_source_or_says_what_to_do() -> None:
    assert list(CATALOG) == ["lfw", "casia-webface", "jhmdb", "daly"]
    for entry in CATALOG.values():
        assert entry.by_hand and entry.terms and entry.ask.startswith("http")
        for sources in entry.parts:
            for one in sources:
                kind, _, value = one.digest.partition(":")
                assert re.fullmatch(
                    {"sha256": r"[0-9a-f]{64}", "md5": r"[0-9a-f]{32}"}[kind] if kind else "", value
                )
                assert kind or all(u.startswith(("https://", "gdrive:")) for u in one.urls)
    assert all(
        len(sources) > 1 or len(sources[0].urls) > 1 for entry in CATALOG.values() for sources in entry.parts
    )


def test_the_lists_checksums_are_those_of_the_real_lists(shared: Path) -> None:
    for sources in CATALOG["lfw"].parts[1:]:
        path = shared / "datasets" / "lfw" / sources[0].name
        assert sources[0].digest == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
