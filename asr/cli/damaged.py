"""Python code that is damaged on the disk: a sentence, where Python's own words say nothing."""

from types import TracebackType

from asr.errors import BadMachine

_IMPORTLIB = "<frozen importlib._bootstrap_external>"


def damaged_code(error: BaseException) -> BadMachine | None:
    """The sentence for an error that came of reading a file of compiled code; None for others.

    Python reads `__pycache__/*.pyc` without a checksum: one that a full disk or a crash has cut
    raises whatever `marshal` makes of it, which others may have taken for an error of their own.
    """
    cause: BaseException | None = error
    while cause is not None:
        if (place := _read_last(cause.__traceback__)) is not None:
            return BadMachine(
                f"{place}, which Python made of its programs, is damaged ({cause}): delete it, "
                "and Python makes it anew"
            )
        cause = cause.__context__
    return None


def _read_last(trace: TracebackType | None) -> str | None:
    """The file of compiled code that was read where the error was raised."""
    if trace is None:
        return None
    while trace.tb_next is not None:
        trace = trace.tb_next
    code, values = trace.tb_frame.f_code, trace.tb_frame.f_locals
    is_reading = code.co_filename == _IMPORTLIB and code.co_name == "_compile_bytecode"
    return values.get("bytecode_path") if is_reading else None
