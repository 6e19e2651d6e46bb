"""Functions that are compiled when they are first called, and whose machine code is kept.

numba compiles. What it made is kept in the cache as an object file that LLVM alone loads: a start
without compiling does without numba, which takes more than a second and 60 MB to import.
"""

import ctypes
import hashlib
import logging
import os
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeAlias, TypeVar

import numpy as np

from asr.cache import find, keep

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Entry: TypeAlias = Callable[[Sequence[int]], int]
"""Machine code that takes slots of 8 bytes: what `slots` gives of arguments."""

ENTRY = "entry"
"""Name of the function in an object file."""
LIBRARY = ("exp", "log1p", "memcpy", "memmove", "memset")
"""Functions of the C library that an object file may call."""
MACHINE = {"opt": 3, "codemodel": "jitdefault", "jit": True}
"""How LLVM makes code that is loaded into a process, for any processor of its kind."""
_KIND = "code"
_BY = "compiling.py"
_ANNOUNCED_AFTER = 2.0
"""Seconds of compiling."""
_log = logging.getLogger(__name__)
_engines: list[Any] = []  # hold the machine code
_inner: set[Callable[..., Any]] = set()


def inner(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """A function that compiled ones of its file call. None of them allocates anything."""
    _inner.add(function)
    return function


def is_inner(value: object) -> bool:
    """Whether compiled functions may call it."""
    return callable(value) and value in _inner


class compiled(Generic[Parameters]):
    """The function, compiled; it holds no interpreter lock while it runs.

    It takes numbers, C-contiguous arrays, and named tuples of them, and gives an integer. With
    `NUMBA_DISABLE_JIT=1` it is run as it stands.
    """

    def __init__(self, function: Callable[Parameters, int]) -> None:
        self.function = function
        self._entries: dict[str, Entry] = {}
        self._lock = threading.Lock()

    def __call__(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> int:
        if os.environ.get("NUMBA_DISABLE_JIT") == "1":
            return self.function(*args, **kwargs)
        assert not kwargs
        kinds, values = slots(args)
        if kinds not in self._entries:
            with self._lock:  # other threads wait rather than compile too
                if kinds not in self._entries:
                    self._entries[kinds] = self._made(args, kinds)
        return self._entries[kinds](values)

    def _made(self, arguments: Sequence[Any], kinds: str) -> Entry:
        """The machine code for arguments of these kinds, from the cache if it is there."""
        key = " ".join([self.function.__qualname__, kinds, _digest(self.function), _triple()])
        if (kept := find(_KIND, key)) is not None:
            return _loaded(kept["object"].tobytes())
        from asr.decoding.beam.compiling import object_code

        timer = threading.Timer(_ANNOUNCED_AFTER, _announce)
        timer.daemon = True
        timer.start()
        try:
            made = object_code(self.function, arguments)
        finally:
            timer.cancel()
        keep(_KIND, key, {"object": np.frombuffer(made, np.uint8)})
        return _loaded(made)


def slots(arguments: Sequence[Any]) -> tuple[str, list[int]]:
    """What kinds of arguments these are, and the slots of 8 bytes that they are for numba."""
    kinds: list[str] = []
    values: list[int] = []
    for value in _leaves(arguments):
        if isinstance(value, np.ndarray):
            if not (value.flags.c_contiguous and value.flags.aligned):
                raise TypeError("compiled code takes arrays that are contiguous and aligned")
            kinds.append(f"{value.dtype.str}{value.ndim}")
            address = value.__array_interface__["data"][0]
            # The first two are for owners of memory, which the code never asks for.
            values += [0, 0, value.size, value.itemsize, address, *value.shape, *value.strides]
        elif isinstance(value, float):
            kinds.append("f")
            values += struct.unpack("q", struct.pack("d", value))
        else:
            kinds.append("b" if isinstance(value, bool) else "i")
            values.append(int(value))
    return " ".join(kinds), values


def _leaves(arguments: Sequence[Any]) -> Iterator[Any]:
    for value in arguments:
        if isinstance(value, tuple):
            yield from _leaves(value)
        else:
            yield value


def _loaded(code: bytes) -> Entry:
    """The function in an object file."""
    llvm = _llvm()
    machine = llvm.Target.from_triple(_triple()).create_target_machine(**MACHINE)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    pointer = ctypes.c_void_p
    function = ctypes.CFUNCTYPE(ctypes.c_int32, pointer, pointer, pointer)(
        engine.get_function_address(ENTRY)
    )

    def entry(values: Sequence[int]) -> int:
        result, error = ctypes.c_int64(), ctypes.c_void_p()
        held = (ctypes.c_int64 * len(values))(*values)
        if function(ctypes.byref(result), ctypes.byref(error), held):
            raise RuntimeError("the compiled search failed")
        return result.value

    return entry


@cache
def _llvm() -> Any:
    """LLVM, with the functions of the C library that machine code calls."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    library = ctypes.CDLL("ucrtbase" if sys.platform == "win32" else None)
    for name in LIBRARY:
        address = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
        llvm.add_symbol(name, address)
    return llvm


@cache
def _triple() -> str:
    """The kind of processor and system. Code is made for all processors of the kind."""
    triple: str = _llvm().get_process_triple()
    return triple


def _digest(function: Callable[..., int]) -> str:
    """Of the code that is compiled, of the numbers that it finds, and of the code that compiles."""
    sources = (Path(function.__code__.co_filename), Path(__file__), Path(__file__).with_name(_BY))
    digest = hashlib.sha256()
    for source in sources:
        with suppress(OSError):  # what is typed at a prompt is in no file
            digest.update(source.read_bytes())
    numbers = {
        name: repr(value)
        for name, value in function.__globals__.items()
        if isinstance(value, int | float | np.number)
    }
    digest.update(repr(sorted(numbers.items())).encode())
    return digest.hexdigest()


def _announce() -> None:
    _log.warning("compiling the search: some seconds, once on this machine")
