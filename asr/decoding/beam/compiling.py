"""Compiling functions by numba into an object file; imported only where none is kept."""

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import llvmlite.binding as llvm
import numba

from asr.decoding.beam.compiled import ENTRY, LIBRARY, MACHINE, is_inner, slots

_JIT: Any = numba.njit  # its stubs lack the options that make compiling fast
_OPTIONS = {
    "nogil": True,
    "_nrt": False,
    "no_cfunc_wrapper": True,
    "no_cpython_wrapper": True,
}


def object_code(function: Callable[..., int], arguments: Sequence[Any]) -> bytes:
    """An object file of a function and of the inner ones that it calls.

    Its function `ENTRY` takes the addresses of an integer for the result, of a pointer for an
    error, and of the slots of the arguments; it returns 0 if all went well.
    """
    module, name = _compiled(function, arguments)
    search = module.get_function(name)
    search.name = function.__name__
    parameters = [str(parameter.type) for parameter in search.arguments]
    if len(parameters) != 2 + len(slots(arguments)[1]):
        raise RuntimeError(f"numba {numba.__version__} passes arguments in a way that is unknown")
    module.link_in(llvm.parse_assembly(_entry(search.name, parameters)))
    for other in module.functions:
        if not other.is_declaration and other.name != ENTRY:
            other.linkage = "internal"
    called = {other.name for other in module.functions if other.is_declaration}
    if unknown := {name for name in called if not name.startswith("llvm.")}.difference(LIBRARY):
        raise RuntimeError(f"compiled code calls {', '.join(sorted(unknown))}")
    target = llvm.Target.from_triple(llvm.get_process_triple())
    machine = target.create_target_machine(**MACHINE)
    made: bytes = machine.emit_object(module)
    return made


def _compiled(function: Callable[..., int], arguments: Sequence[Any]) -> tuple[Any, str]:
    """The module of LLVM's code, and the name of the function in it."""
    names: dict[str, Any] = dict(function.__globals__)
    for name, value in tuple(names.items()):
        if is_inner(value):
            # A copy that calls the other copies. A call would pass hundreds of parameters.
            names[name] = _JIT(forceinline=True, **_OPTIONS)(
                FunctionType(value.__code__, names, name)
            )
    dispatcher = _JIT(**_OPTIONS)(FunctionType(function.__code__, names, function.__name__))
    signature = tuple(map(numba.typeof, arguments))
    dispatcher.compile(signature)
    made = dispatcher.overloads[signature]
    # numba has given its own module to its own engine.
    module = llvm.parse_bitcode(made.library._final_module.as_bitcode())
    return module, made.fndesc.llvm_func_name


def _entry(name: str, parameters: Sequence[str]) -> str:
    """A function that passes slots on as the parameters of another one.

    So whatever calls it need not know how hundreds of parameters are passed on this machine.
    """
    result, error, *others = parameters
    lines, passed = [], [f"{result} %result", f"{error} %error"]
    for index, kind in enumerate(others):
        lines.append(f"%place{index} = getelementptr i64, {result} %slots, i64 {index}")
        lines.append(f"%slot{index} = load i64, {result} %place{index}")
        change = {"i64": "", "double": "bitcast", "i8": "trunc", "i1": "trunc"}.get(
            kind, "inttoptr"
        )
        if change:
            lines.append(f"%value{index} = {change} i64 %slot{index} to {kind}")
        passed.append(f"{kind} %{'value' if change else 'slot'}{index}")
    return "\n".join(
        [
            f"declare i32 @{name}({', '.join(parameters)})",
            f"define i32 @{ENTRY}({result} %result, {error} %error, {result} %slots) {{",
            *lines,
            f"%status = call i32 @{name}({', '.join(passed)})",
            "ret i32 %status",
            "}",
        ]
    )
