"""The output folder of a job: tried before any work, and locked while one works in it."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from asr.batch.journal import Journal, OutputLost
from asr.batch.shards import Shard
from asr.errors import BadOption
from asr.files import shorter
from asr.scratch import locked

HIDDEN = ".earshot"
"""The folder of journals and locks inside the output folder."""
RESULTS = "results"
ERRORS = "errors"


@contextmanager
def workplace(output: Path, shard: Shard) -> Iterator[Journal]:
    """The journal of a job that writes to `output`; nobody else may write there meanwhile.

    Jobs of other parts of the same number may. The locks are the system's, and end with the
    process that holds them, however it ends.

    Raises:
        BadOption: the folder cannot be written, or another job works in it.
        OutputLost: as of `Journal`.
    """
    folder = output / HIDDEN
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(output, error) from error
    with ExitStack() as held:
        _lock(folder, output, shard, held)
        try:
            journal = Journal(journal_path(output, shard))
        except OutputLost as error:
            raise OutputLost(f"{error}: make room or mend the disk.") from error
        held.callback(journal.close)
        yield journal


def journal_path(output: Path, shard: Shard) -> Path:
    """Where the journal of a part lies."""
    return output / HIDDEN / f"journal{shard.suffix}.sqlite"


def windows_path(output: Path, shard: Shard) -> Path:
    """The folder of what a part has made of long recordings that are not done."""
    return output / HIDDEN / f"windows{shard.suffix}"


def spool_path(output: Path, shard: Shard) -> Path:
    """The folder of recordings that a part has fetched from stores and not yet read."""
    return output / HIDDEN / f"fetched{shard.suffix}"


def part_path(path: Path) -> Path:
    """Where lies what is known so far of a transcript whose place is `path`."""
    return path.with_name(f"{shorter(path.name)}.part")


def journals(output: Path) -> dict[Shard, Path]:
    """The journals of an output folder: of the whole, and of parts."""
    found = {}
    for path in sorted((output / HIDDEN).glob("journal*.sqlite")):
        part = path.name.removeprefix("journal").removesuffix(".sqlite").removeprefix(".")
        index, _, count = part.partition("-of-")
        if not part:
            found[Shard()] = path
        elif index.isdecimal() and count.isdecimal():
            found[Shard(int(index), int(count))] = path
    return found


def list_path(output: Path, name: str, shard: Shard) -> Path:
    """Where `results` or `errors` of a part lie."""
    return output / f"{name}{shard.suffix}.jsonl"


def _lock(folder: Path, output: Path, shard: Shard, held: ExitStack) -> None:
    """Shares the lock of all jobs of so many parts, tries those of other numbers, holds its own."""
    ours = f"of-{shard.count}.lock"
    try:
        # Those who only try it are waited for, which takes no time.
        held.enter_context(locked(folder / ours, shared=True, waits=True))
        for other in folder.glob("of-*.lock"):
            if other.name != ours:
                locked(other).close()
        file = held.enter_context(locked(folder / f"{shard.index}-{ours}"))
        file.truncate(0)
        file.write(f"{os.getpid()}\n".encode())
        file.flush()
    except BlockingIOError as error:
        raise BadOption(
            f"another job writes to {output}: wait until it has ended, or choose another folder."
        ) from error
    except OSError as error:
        raise _unwritable(output, error) from error


def _unwritable(output: Path, error: OSError) -> BadOption:
    return BadOption(f"{output} cannot be written ({error.strerror}): choose another folder.")


def remove(path: Path) -> None:
    """Deletes a file that may be gone already."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
