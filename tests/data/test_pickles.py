from __future__ import annotations

import copyreg
import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anonlib.data import pickles
from anonlib.data.pickles import load_pickle
from anonlib.errors import DatasetError


def write(folder: Path, content: bytes) -> Path:
    path = folder / "a.pkl"
    path.write_bytes(content)
    return path


KINDS = ("bool", "u1", "i4", "<i8", ">i8", "f4", ">f8", "c16", "S5", "U3")
VALUE = {
    "numbers": [1, -2, 10**30, 2.5, True, None, 1j],
    "text": ["é", b"\xff\x00", b""],
    "sets": ({1, 2}, frozenset({3}), OrderedDict([("a", 1)])),
    "arrays": {kind: np.arange(6).reshape(2, 3).astype(kind) for kind in KINDS},
    "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "empty": np.zeros((0, 4)),
    "scalars": [np.float32(1.5), np.int64(-3), np.bool_(True), np.str_("ab")],
}


def assert_same(a: Any, b: Any) -> None:
    if isinstance(b, np.ndarray):
        assert isinstance(a, np.ndarray)
        assert a.dtype.newbyteorder("=") == b.dtype.newbyteorder("=")
        np.testing.assert_array_equal(a, b)
    elif isinstance(b, dict):
        assert list(a) == list(b)
        for key in b:
            assert_same(a[key], b[key])
    elif isinstance(b, (list, tuple)):
        assert type(a) is type(b) and len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    else:
        assert type(a) is type(b) and a == b


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_data_come_back_of_every_protocol(tmp_path: Path, protocol: int) -> None:
    value = VALUE if protocol >= 2 else {k: v for k, v in VALUE.items() if k != "scalars"}
    assert_same(load_pickle(write(tmp_path, pickle.dumps(value, protocol))), value)


@pytest.mark.parametrize("names", [("numpy.core", "numpy._core"), ("numpy._core", "numpy.core")])
def test_numpy_1_and_2_are_read_alike(tmp_path: Path, names: tuple[str, str]) -> None:
    content = pickle.dumps({"a": np.arange(3.0), "b": np.float32(2)}, 0)
    content = content.replace(names[0].encode() + b".", names[1].encode() + b".")
    read = load_pickle(write(tmp_path, content))
    assert read["a"].tolist() == [0, 1, 2] and read["b"] == 2


def test_python_2_strings_are_latin1(tmp_path: Path) -> None:
    """As Python 2.7 and numpy 1 write {'caf\\xe9': array([[0.25, 0.5]])} with protocol 2."""
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x01K\x02\x86cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R"
        b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x10"
        + struct.pack("<2d", 0.25, 0.5)
        + b"tb"
    )
    read = load_pickle(write(tmp_path, b"\x80\x02}U\x04caf\xe9" + array + b"s."))
    assert list(read) == ["café"] and read["café"].tolist() == [[0.25, 0.5]]


class Reduce:
    """Pickles as a call of a function."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> Any:
        return self.call


def touch(marker: Path) -> str:
    return f"open({str(marker)!r}, 'w').close()"


def stack_global(module: str, name: str, *args: bytes) -> bytes:
    def text(s: str) -> bytes:
        return b"\x8c" + bytes([len(s)]) + s.encode()

    return b"\x80\x04" + text(module) + text(name) + b"\x93" + b"(" + b"".join(args) + b"tR."


def attacks(marker: Path) -> dict[str, bytes]:
    command = f"touch {marker}"
    line = command.encode()
    shell = b"\x8c" + bytes([len(line)]) + line
    objects = np.empty(1, dtype=object)
    objects[0] = Reduce(os.system, command)
    return {
        "os.system": pickle.dumps(Reduce(os.system, command)),
        "os.system of protocol 0": b"cos\nsystem\n(S'" + line + b"'\ntR.",
        "instance": b"(S'" + line + b"'\nios\nsystem\n.",
        "object": b"(cos\nsystem\nS'" + line + b"'\no.",
        "new object": b"\x80\x02csubprocess\nPopen\nU" + bytes([len(line)]) + line + b"\x85\x81.",
        "eval": pickle.dumps(Reduce(eval, touch(marker))),
        "exec of Python 2": b"c__builtin__\neval\n(S" + repr(touch(marker)).encode() + b"\ntR.",
        "getattr": pickle.dumps(Reduce(getattr, [], "append")),
        "stack global": stack_global("posix", "system", shell),
        "dotted name": stack_global("builtins", "set.__class__", shell),
        "dunder of an admitted name": stack_global("collections", "OrderedDict.__init__", shell),
        "numpy's own gadget": stack_global("numpy.testing._private.utils", "runstring", shell),
        "numpy.load": stack_global("numpy", "load", shell),
        "ctypes": stack_global("ctypes", "CDLL", shell),
        "copyreg": b"ccopy_reg\n_reconstructor\n(c__builtin__\nobject\nc__builtin__\nobject\nNtR.",
        "objects in an array": pickle.dumps(objects, 2),
        "persistent id": b"Pname\n.",
        "persistent id on the stack": b"U\x04nameQ.",
        "extension": b"\x80\x02\x82\x07.",
        "module": pickle.dumps(Reduce(__import__, "os")),
    }


NAMES = list(attacks(Path("x")))


@pytest.mark.parametrize("name", NAMES)
def test_attacks_are_refused_and_run_nothing(tmp_path: Path, name: str) -> None:
    marker = tmp_path / "run"
    path = write(tmp_path, attacks(marker)[name])
    with pytest.raises(DatasetError, match=r"a\.pkl' .*fetch it again from its official place"):
        load_pickle(path)
    assert not marker.exists()


def test_the_attacks_would_work_elsewhere(tmp_path: Path) -> None:
    """Or they would prove nothing."""
    marker = tmp_path / "run"
    for name in ("os.system", "instance", "eval", "stack global", "objects in an array"):
        pickle.loads(attacks(marker)[name])
        assert marker.exists(), name
        marker.unlink()


def test_a_registered_extension_is_refused(tmp_path: Path) -> None:
    copyreg.add_extension("os", "system", 0x77)
    try:
        with pytest.raises(DatasetError, match=r"fetches an object from outside \(EXT1\)"):
            load_pickle(write(tmp_path, b"\x80\x02\x82\x77."))
    finally:
        copyreg.remove_extension("os", "system", 0x77)


@pytest.mark.parametrize("name", [b"cbuiltins\nset\n", b"cnumpy\ndtype\n", b"c_codecs\nencode\n"])
def test_admitted_functions_cannot_be_altered(tmp_path: Path, name: bytes) -> None:
    for attribute in (b"__defaults__", b"__code__", b"__func__"):
        state = b"N}U" + bytes([len(attribute)]) + attribute + b"K\x05\x85s\x86"
        with pytest.raises(DatasetError):
            load_pickle(write(tmp_path, b"\x80\x02" + name + state + b"b."))
    value = {"set": {1}, "array": np.arange(3), "bytes": b"\xff"}
    assert_same(load_pickle(write(tmp_path, pickle.dumps(value, 2))), value)


def test_an_attribute_does_not_pass_for_a_dtype(tmp_path: Path) -> None:
    """An ordered dictionary may have attributes, so one could look like the stand-in of a dtype."""
    forged = b"ccollections\nOrderedDict\n)R}U\x05plainU\x02V8sb"
    with pytest.raises(DatasetError, match="holds an array of an unknown kind"):
        load_pickle(write(tmp_path, array(forged, b"(K\x01t", bytes(8))))


def dtype(spec: bytes, state: bytes) -> bytes:
    return b"cnumpy\ndtype\n(U" + bytes([len(spec)]) + spec + b"K\x00K\x01tR" + state


PLAIN = b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"


def array(kind: bytes, shape: bytes, content: bytes) -> bytes:
    begin = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR(K\x01"
    return begin + shape + kind + b"\x89U" + bytes([len(content)]) + content + b"tb."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (array(dtype(b"O8", PLAIN), b"(K\x01t", bytes(8)), "holds an array of 'O8'"),
        (array(dtype(b"V8", PLAIN), b"(K\x01t", bytes(8)), "holds an array of 'V8'"),
        (
            array(dtype(b"f8", PLAIN.replace(b"NNN", b"NU\x01a\x85N")), b"(K\x01t", bytes(8)),
            "holds an array of records",
        ),
        (array(dtype(b"f8", PLAIN), b"(J\xff\xff\xff\x7ft", bytes(8)), "is damaged"),
        (array(dtype(b"f8", PLAIN), b"(J\xff\xff\xff\xffJ\xff\xff\xff\xfft", bytes(8)), "is damaged"),
        (
            b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(J\xff\xff\xff\x7ftU\x01btR.",
            "builds an array of a class of its own",
        ),
        (b"\x80\x02cbuiltins\nset\n(cbuiltins\nrange\n(J\xff\xff\xff\x7ftRtR.", "asks for 'builtins.range'"),
        (b"\x80\x02cbuiltins\nbytearray\n(J\xff\xff\xff\x7ftR.", "asks for 'builtins.bytearray'"),
        (b"\x80\x02Nr\xff\xff\xff\xff.", "is damaged"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"a.", "is damaged"),
        (b"\x80\x02c_codecs\nencode\n(U\x01aU\x03rottR.", "encodes by 'rot'"),
    ],
)
def test_crafted_arrays_and_memory_bombs_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        load_pickle(write(tmp_path, content))


def test_a_memo_number_reserves_no_memory() -> None:
    """pickle itself would make room for 2^20 objects here, for billions elsewhere."""
    with pytest.raises(ValueError, match="memo number beyond the end of the file"):
        pickles._check_opcodes(b"\x80\x02Nr\x00\x00\x10\x00.")
    pickles._check_opcodes(b"\x80\x02Nr\x04\x00\x00\x00.")


def test_noise_is_refused_or_harmless(tmp_path: Path) -> None:
    whole = np.frombuffer(pickle.dumps({"a": np.arange(9.0), "b": [1, "x", {2}]}, 2), np.uint8)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(100):
        noise = whole.copy()
        noise[rng.integers(0, len(noise))] = rng.integers(0, 256)
        try:
            load_pickle(write(tmp_path, noise.tobytes()))
        except DatasetError as error:
            assert "a.pkl" in str(error)
            refused += 1
    assert 30 < refused < 100


def test_every_cut_is_named(tmp_path: Path) -> None:
    whole = pickle.dumps({"a": np.arange(9.0), "b": [1, "x"]}, 2)
    for end in range(0, len(whole), 3):
        with pytest.raises(DatasetError, match=r"a\.pkl' is damaged or not safe to read .*: fetch it ag"):
            load_pickle(write(tmp_path, whole[:end]))


def test_missing_and_oversized_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DatasetError, match=r"no\.pkl' cannot be read: No such file"):
        load_pickle(tmp_path / "no.pkl")
    monkeypatch.setattr(pickles, "LARGEST_PICKLE", 3)
    with pytest.raises(DatasetError, match=r"a\.pkl' has 5 bytes, more than 3"):
        load_pickle(write(tmp_path, b"\x80\x02K\x01."))
