"""Pickles from outside: numbers, strings, containers and numpy arrays, and nothing that runs.

A pickle is a program: it may name any function and call it. Here it names nothing but the few
stand-ins of `_ADMITTED`. Not even numpy's own constructors are called with what the file says: a
crafted dtype makes them read memory that is not theirs.
"""

from __future__ import annotations

import math
import pickle
import pickletools
import re
import struct
from collections import OrderedDict
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from anonlib.errors import DatasetError

LARGEST_PICKLE = 512 * 2**20
"""Bytes a pickle may have; the annotations of DALY and JHMDB have a few million."""
_DAMAGED = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    MemoryError,
    RecursionError,
    struct.error,
)
_OUTSIDE = frozenset({"PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER"})
"""Opcodes that fetch what does not lie in the file."""
_PLAIN_DTYPE = re.compile(r"[biufcSU?]\d*")


_MEMO = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})


class _RefusedError(Exception):
    """The file asks for something that is not admitted."""


def load_pickle(path: str | Path) -> Any:
    """What a pickle holds, of Python 2 or 3: its strings of bytes are read as latin1.

    Admits None, booleans, numbers, strings, bytes, lists, tuples, dicts, sets, slices, ranges and
    numpy arrays and scalars of booleans, numbers and strings. Nothing in the file is executed.

    Raises:
        DatasetError: the file is missing, too large, damaged, or names anything else.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(pickle.dumps({"box": np.eye(2)}, protocol=2)), file.flush()
    ...     load_pickle(file.name)["box"].tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    content = _read(Path(path))
    try:
        _scan(content)
        return _Unpickler(BytesIO(content), encoding="latin1").load()
    except _RefusedError as error:
        raise DatasetError(
            f"pickle '{path}' {error}, which may run a program of its author's: it was not opened; "
            "do not open it with pickle either, fetch the file from its official place"
        ) from error
    except _DAMAGED as error:
        raise DatasetError(
            f"'{path}' is damaged or no pickle ({type(error).__name__}): fetch it again"
        ) from error


def _read(path: Path) -> bytes:
    try:
        if (size := path.stat().st_size) > LARGEST_PICKLE:
            raise DatasetError(
                f"pickle '{path}' has {size:,} bytes, more than {LARGEST_PICKLE:,}: this is no "
                "annotation file, fetch it again"
            )
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"pickle '{path}' cannot be read: {error.strerror}") from error


def _scan(content: bytes) -> None:
    """Refuses what reaches out of the file, and memo numbers that reserve memory for nothing."""
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name in _OUTSIDE:
            raise _RefusedError(f"fetches an object from outside ({opcode.name})")
        if opcode.name in _MEMO and int(argument or 0) > len(content):
            raise ValueError("memo number beyond the end of the file")


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise _RefusedError(f"asks for '{module}.{name}'")
        return _ADMITTED[module, name]


class _Function:
    """A function that a pickle may call and cannot alter, not even its defaults."""

    __slots__ = ("_call",)
    _call: Callable[..., Any]

    def __init__(self, call: Callable[..., Any]) -> None:
        object.__setattr__(self, "_call", call)

    def __call__(self, *args: Any) -> Any:
        return self._call(*args)

    def __setattr__(self, name: str, value: object) -> None:
        raise _RefusedError(f"alters a function ('{name}')")


class _Dtype:
    """Stands in for `numpy.dtype`: a kind and a size, no fields, no objects."""

    def __init__(self, spec: str, align: object = False, copy: object = True) -> None:
        if not isinstance(spec, str) or not _PLAIN_DTYPE.fullmatch(spec):
            raise _RefusedError(f"holds an array of '{spec}'")
        self.dtype = np.dtype(spec)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, order, subarray, names, fields, *_ = state
        if subarray is not None or names is not None or fields is not None:
            raise _RefusedError("holds an array of records")
        self.dtype = self.dtype.newbyteorder(order)


class _Array(np.ndarray[Any, Any]):
    """An array that takes its content from a pickle only after a look at it."""

    def __setstate__(self, state: tuple[Any, ...], /) -> None:
        *_, shape, dtype, column_major, raw = state
        content = _raw(raw)
        if min(shape, default=0) < 0 or math.prod(shape) * _plain(dtype).itemsize != len(content):
            raise ValueError("the shape of an array does not fit its content")
        checked: Any = (1, tuple(shape), _plain(dtype), bool(column_major), content)
        super().__setstate__(checked)


_ND_ARRAY = "stands in for the class numpy.ndarray"


def _plain(dtype: object) -> np.dtype[Any]:
    if not isinstance(dtype, _Dtype):
        raise _RefusedError("holds an array of an unknown kind")
    return dtype.dtype


def _raw(content: object = b"") -> bytes:
    """The content of an array; Python 2 wrote it as a string."""
    if isinstance(content, str):
        return content.encode("latin1")
    if not isinstance(content, (bytes, bytearray)):
        raise _RefusedError("holds an array of objects")
    return bytes(content)


def _reconstruct(kind: object, shape: object, code: object) -> np.ndarray[Any, Any]:
    if kind is not _ND_ARRAY or shape != (0,):
        raise _RefusedError("builds an array of a class of its own")
    return _Array((0,), dtype=np.uint8)


def _from_buffer(content: object, dtype: object, shape: tuple[int, ...], order: str) -> np.ndarray[Any, Any]:
    """How protocol 5 writes an array."""
    return np.frombuffer(_raw(content), _plain(dtype)).reshape(shape, order="F" if order == "F" else "C")


def _scalar(dtype: object, content: object) -> Any:
    return np.frombuffer(_raw(content), _plain(dtype), count=1)[0]


def _encode(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes for Python 2."""
    if encoding not in ("latin1", "latin-1"):
        raise _RefusedError(f"encodes by '{encoding}'")
    return text.encode("latin1")


def _set(items: object = ()) -> set[Any]:
    return set(_listed(items))


def _frozenset(items: object = ()) -> frozenset[Any]:
    return frozenset(_listed(items))


def _ordered(items: object = ()) -> OrderedDict[Any, Any]:
    return OrderedDict(_listed(items))


def _bytearray(content: object = b"", *encoding: str) -> bytearray:
    return bytearray(_raw(content))


def _listed(items: object) -> list[Any] | tuple[Any, ...]:
    """Items that take their room in the file; a range of billions does not."""
    if not isinstance(items, (list, tuple)):
        raise _RefusedError("fills a container from something else than a list")
    return items


_BUILTINS: dict[str, Callable[..., Any]] = {
    "set": _set,
    "frozenset": _frozenset,
    "bytes": _raw,
    "bytearray": _bytearray,
    "complex": complex,
    "slice": slice,
    "range": range,
    "xrange": range,
}
_MULTIARRAY: dict[str, Callable[..., Any]] = {"_reconstruct": _reconstruct, "scalar": _scalar}
_ADMITTED: dict[tuple[str, str], Any] = {
    **{("builtins", name): _Function(call) for name, call in _BUILTINS.items()},
    **{("__builtin__", name): _Function(call) for name, call in _BUILTINS.items()},
    **{("numpy.core.multiarray", name): _Function(call) for name, call in _MULTIARRAY.items()},
    **{("numpy._core.multiarray", name): _Function(call) for name, call in _MULTIARRAY.items()},
    ("numpy.core.numeric", "_frombuffer"): _Function(_from_buffer),
    ("numpy._core.numeric", "_frombuffer"): _Function(_from_buffer),
    ("numpy", "dtype"): _Function(_Dtype),
    ("numpy", "ndarray"): _ND_ARRAY,
    ("_codecs", "encode"): _Function(_encode),
    ("collections", "OrderedDict"): _Function(_ordered),
}
"""Everything that a pickle may name, as Python 2 or 3 and numpy 1 or 2 write it."""
