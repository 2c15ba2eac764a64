"""Reads pickles without executing them: they may call only the few functions that are listed here."""

from __future__ import annotations

import math
import pickle
import pickletools
import re
from collections import OrderedDict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from anonlib.errors import DatasetError

LARGEST_PICKLE = 512 * 2**20
"""Most bytes of a pickle; the annotations of DALY and JHMDB have a few million."""
_NDARRAY = "stands for the class numpy.ndarray"
_HARMLESS = {kind.__name__: kind for kind in (set, frozenset, complex, OrderedDict)} | {"ndarray": _NDARRAY}
_REPLACED = {"bytes", "encode", "dtype", "_reconstruct", "_frombuffer", "scalar"}
"""Functions that are replaced by methods of `_Unpickler`, such as `call_bytes`."""
_MODULES = {"builtins", "__builtin__", "collections", "_codecs", "numpy"} | {
    f"numpy.{core}.{module}" for core in ("core", "_core") for module in ("multiarray", "numeric")
}


def load_pickle(path: str | Path) -> Any:
    """Reads a pickle of Python 2 or 3. Byte strings of Python 2 are decoded as latin1.

    Reads None, booleans, numbers, strings, bytes, lists, tuples, dicts, sets, and numpy arrays and
    scalars of booleans, numbers and strings. Nothing in the file is executed.

    Raises:
        DatasetError: the file is missing, too large, damaged, or contains anything else.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(pickle.dumps({"box": np.eye(2)}, protocol=2)), file.flush()
    ...     load_pickle(file.name)["box"].tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    try:
        if (size := Path(path).stat().st_size) > LARGEST_PICKLE:
            raise DatasetError(
                f"pickle '{path}' has {size:,} bytes, more than {LARGEST_PICKLE:,}: this is no annotation "
                "file, fetch it again"
            )
        content = Path(path).read_bytes()
    except OSError as error:
        raise DatasetError(f"pickle '{path}' cannot be read: {error.strerror}") from error
    try:
        _check_opcodes(content)
        return _Unpickler(BytesIO(content), encoding="latin1").load()
    except Exception as error:  # a damaged pickle can raise anything
        raise DatasetError(
            f"pickle '{path}' is damaged or not safe to read ({type(error).__name__}: {error}): fetch it "
            "again from its official place, and do not open it with Python's pickle"
        ) from error


def _check_opcodes(content: bytes) -> None:
    """Refuses objects from outside of the file, and memo numbers that reserve gigabytes of memory."""
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > len(content):
            raise ValueError("memo number beyond the end of the file")
        if opcode.name in ("PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4"):
            raise pickle.UnpicklingError(f"fetches an object from outside ({opcode.name})")


class _Unpickler(pickle.Unpickler):
    """Replaces every function that a pickle may call by a method that checks the arguments.

    numpy's own functions never get arguments from the file: a forged dtype makes them read memory outside
    of the array. The methods are bound, so that a pickle cannot change their code or defaults.
    """

    def find_class(self, module: str, name: str) -> Any:
        if module in _MODULES and name in _HARMLESS:
            return _HARMLESS[name]
        if module in _MODULES and name in _REPLACED:
            return getattr(self, f"call_{name.strip('_')}")
        raise pickle.UnpicklingError(f"asks for '{module}.{name}'")

    def call_bytes(self) -> bytes:
        return b""  # Python 3 writes empty bytes so for Python 2

    def call_encode(self, text: str, encoding: str) -> bytes:
        if encoding not in ("latin1", "latin-1"):
            raise pickle.UnpicklingError(f"encodes by '{encoding}'")
        return text.encode("latin1")

    def call_dtype(self, kind: str, align: object, copy: object) -> _Dtype:
        return _Dtype(kind)

    def call_reconstruct(self, kind: object, shape: object, code: object) -> _Array:
        if kind is not _NDARRAY or shape != (0,):
            raise pickle.UnpicklingError("builds an array of a class of its own")
        return _Array((0,), dtype=np.uint8)

    def call_frombuffer(self, content: object, dtype: object, shape: Any, order: str) -> Any:
        array = np.frombuffer(_bytes(content), _plain(dtype))
        return array.reshape(shape, order="F" if order == "F" else "C")

    def call_scalar(self, dtype: object, content: object) -> Any:
        return np.frombuffer(_bytes(content), _plain(dtype), count=1)[0]


class _Dtype:
    """Stands for a `numpy.dtype` of booleans, numbers or strings."""

    def __init__(self, kind: str) -> None:
        if not re.fullmatch(r"[biufc?]\d*|[SU][1-9]\d*", kind):
            raise pickle.UnpicklingError(f"holds an array of '{kind}'")
        self.plain = np.dtype(kind)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, byte_order, *records = state[:5]
        if records != [None, None, None]:
            raise pickle.UnpicklingError("holds an array of records")
        self.plain = self.plain.newbyteorder(byte_order)


class _Array(np.ndarray[Any, Any]):
    """An array that accepts only content of the right size."""

    def __setstate__(self, state: tuple[Any, ...], /) -> None:
        *_, shape, dtype, column_major, raw = state
        content, plain = _bytes(raw), _plain(dtype)
        if min(shape, default=0) < 0 or math.prod(shape) * plain.itemsize != len(content):
            raise ValueError("the shape of an array does not fit its content")
        checked: Any = (1, tuple(shape), plain, bool(column_major), content)
        super().__setstate__(checked)


def _plain(dtype: object) -> np.dtype[Any]:
    if not isinstance(dtype, _Dtype):
        raise pickle.UnpicklingError("holds an array of an unknown kind")
    return dtype.plain


def _bytes(content: object) -> bytes:
    """The content of an array; Python 2 wrote it as a string."""
    if isinstance(content, str):
        return content.encode("latin1")
    if not isinstance(content, (bytes, bytearray)):
        raise pickle.UnpicklingError("holds an array of objects")
    return bytes(content)
