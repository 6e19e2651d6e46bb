"""The recogniser in any Python program: forks, pickles, types, and every kind of source."""

import contextlib
import copy
import inspect
import io
import multiprocessing
import os
import pickle
import pydoc
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
import torch

import asr
from asr.audio import Audio, load
from asr.runtime import Options, OptionValues, Recognizer
from asr.runtime.torch_engine import TorchEngine

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ERRORS = ("AsrError", "BadAudio", "BadBundle", "BadData", "BadMachine", "BadOption", "TooLong")


@pytest.fixture(scope="module")
def recognizer(tiny_bundle: Path) -> Recognizer:
    return Recognizer.load(tiny_bundle, device="cpu", threads=2)


def in_a_fork(task: Callable[[], Any]) -> Any:
    """What `task` returns, or raises as text, in a forked process that has two minutes."""
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)

    def run() -> None:
        try:
            sending.send(task())
        except Exception as error:
            sending.send(repr(error))

    child = context.Process(target=run)
    child.start()
    try:
        assert receiving.poll(120), "the forked process hangs"
        return receiving.recv()
    finally:
        child.kill()
        child.join()


def test_a_forked_process_reads_the_same(recognizer: Recognizer, clips: list[Path]) -> None:
    expected = recognizer.transcribe(clips)  # threads have run: those of the engine and of torch
    torch.rand(1 << 20).softmax(0)
    assert in_a_fork(lambda: recognizer.transcribe(clips)) == expected
    assert in_a_fork(lambda: in_a_fork(lambda: recognizer.transcribe(clips[0]))) == expected[0]
    assert recognizer.transcribe(clips) == expected


def test_a_forked_process_searches_too(shipped_bundle: Path, clips: list[Path]) -> None:
    recognizer = Recognizer.load(shipped_bundle, device="cpu")
    expected = recognizer.transcribe(clips[0])
    assert in_a_fork(lambda: recognizer.transcribe(clips[0])) == expected


def test_torch_in_a_forked_process_says_why_not(recognizer: Recognizer, clips: list[Path]) -> None:
    in_torch = Recognizer(recognizer.bundle, TorchEngine(recognizer.bundle, "cpu"))
    found = in_a_fork(lambda: in_torch.transcribe(clips[0]))
    assert found.startswith("AsrError(") and "start processes by spawn" in found


def test_a_pickle_is_a_path_and_options(recognizer: Recognizer, clips: list[Path]) -> None:
    content = pickle.dumps(recognizer)
    assert len(content) < 1_000
    again = pickle.loads(content)
    assert again.bundle.path == recognizer.bundle.path
    assert (again.device, again.threads, again.lm) == ("cpu", 2, None)
    assert again.transcribe(clips[0]) == recognizer.transcribe(clips[0])
    assert copy.deepcopy(recognizer).bundle.path == recognizer.bundle.path


def test_recognisers_may_be_keys(recognizer: Recognizer) -> None:
    again = pickle.loads(pickle.dumps(recognizer))
    assert {recognizer: 1, again: 2}[recognizer] == 1 and recognizer != again


def test_a_pickle_keeps_another_language_model(shipped_bundle: Path, tmp_path: Path) -> None:
    lm = tmp_path / "other.npz"
    lm.write_bytes((shipped_bundle / "lm.npz").read_bytes())
    again = pickle.loads(pickle.dumps(Recognizer.load(shipped_bundle, "cpu", lm)))
    assert again.lm == lm


def test_a_spawned_process_reads_the_same(recognizer: Recognizer, clips: list[Path]) -> None:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        found = pool.submit(recognizer.transcribe, clips[0]).result(timeout=240)
    assert found == recognizer.transcribe(clips[0])


def test_threads_are_an_option_of_load(tiny_bundle: Path, clips: list[Path]) -> None:
    one = Recognizer.load(tiny_bundle, "cpu", threads=1)
    assert (
        one.engine.batch_seconds
        < Recognizer.load(tiny_bundle, "cpu", threads=2).engine.batch_seconds
    )
    assert one.transcribe(clips[0]).text
    numpy_one: Any = np.int64(1)
    assert Recognizer.load(tiny_bundle, "cpu", threads=numpy_one).threads == 1
    assert one.transcribe(clips[0], track=numpy_one) == one.transcribe(clips[0])
    for wrong in (0, -1, 10**6, 1.5, "2", True):
        with pytest.raises(asr.BadOption, match="threads"):
            Recognizer.load(tiny_bundle, "cpu", threads=wrong)  # type: ignore[arg-type]


def test_reprs_are_short(recognizer: Recognizer, clips: list[Path]) -> None:
    assert repr(recognizer) == f"Recognizer({str(recognizer.bundle.path)!r}, device='cpu')"
    said = repr(recognizer.transcribe(clips[0]))
    assert said.startswith("Transcript('") and len(said) < 120


def test_the_package_shows_what_it_has(tiny_bundle: Path) -> None:
    assert {*ERRORS, "Options", "Recognizer", "Transcript", "Word", "load"} <= set(dir(asr))
    assert set(asr.__all__) <= set(dir(asr))
    for name in asr.__all__:
        assert getattr(asr, name) is not None
    assert asr.__version__ == version("earshot")
    assert asr.Options is Options
    assert asr.load(tiny_bundle, "cpu").device == "cpu"
    for name in ERRORS:
        assert issubclass(getattr(asr, name), asr.AsrError)
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        asr.lod  # noqa: B018
    assert (Path(asr.__file__).parent / "py.typed").is_file()


def test_import_asr_is_light() -> None:
    code = "import asr, sys; dir(asr); assert 'torch' not in sys.modules; asr.__version__"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_options_are_known_to_help_and_editors() -> None:
    names = list(get_type_hints(OptionValues))
    assert sorted(names) == sorted(field.name for field in fields(Options))
    for function in (Recognizer.transcribe, Recognizer.options):
        assert list(inspect.signature(function).parameters)[-len(names) :] == names
    shown = pydoc.render_doc(Recognizer.transcribe)
    assert "beam_size: int = <as the bundle says>" in shown


def test_mypy_knows_the_options_and_what_comes_back(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import io\n"
        "import asr\n"
        "recognizer = asr.load(threads=2)\n"
        "one: asr.Transcript = recognizer.transcribe('a.wav', beam_size=8)\n"
        "two: asr.Transcript = recognizer.transcribe(io.BytesIO(b''))\n"
        "several: list[asr.Transcript] = recognizer.transcribe(['a.wav', 'b.wav'])\n"
        "lazy: list[asr.Transcript] = recognizer.transcribe(name for name in ('a', 'b'))\n"
        "one.save('a.srt')\n"
        "recognizer.transcribe('a.wav', beam_sise=8)\n"
        "recognizer.transcribe('a.wav', beam_size='8')\n",
        encoding="utf-8",
    )
    # A copy of what mypy knows here, which is kept by the options that the project has, spares it
    # half a minute for the types of torch and numpy.
    with contextlib.suppress(FileNotFoundError):
        shutil.copytree(ROOT / ".mypy_cache", tmp_path / "cache")
    options = ["--strict", "--config-file", ROOT / "pyproject.toml", "--cache-dir", "cache"]
    command: list[Any] = [sys.executable, "-m", "mypy", *options, "--no-error-summary", program]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=280)
    lines = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line}
    assert lines == {9, 10}, done.stdout + done.stderr


# -- sources


class Reads:
    """A file of a caller's own, with nothing but `read`."""

    def __init__(self, content: bytes) -> None:
        self.file = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        return self.file.read(min(size, 1000))


def test_files_and_buffers_are_read(recognizer: Recognizer, clips: list[Path]) -> None:
    clip = clips[0]
    content = clip.read_bytes()
    expected = recognizer.transcribe(clip)
    sources: list[Any] = [
        io.BytesIO(content), bytearray(content), memoryview(content), Reads(content),
        memoryview(content + content)[: len(content)],
    ]  # fmt: skip
    assert recognizer.transcribe(sources) == [expected] * len(sources)
    with clip.open("rb") as file:
        assert recognizer.transcribe(file) == expected
        assert not file.closed
    with clip.open("rb", buffering=0) as raw:
        assert recognizer.transcribe(raw) == expected


def test_arrays_and_tensors_are_read(recognizer: Recognizer, clips: list[Path]) -> None:
    samples = load(clips[0]).samples
    expected = recognizer.transcribe((samples, 16_000))
    tensor = torch.from_numpy(samples.copy())
    both = np.stack([samples, samples])
    forms: list[Any] = [
        both, both.T, tensor, tensor[None], tensor.clone().requires_grad_(), tensor.double(),
        torch.stack([tensor, tensor]), samples[::-1][::-1], samples.astype(">f4"), list(samples),
    ]  # fmt: skip
    rate: Any = torch.tensor(16_000)
    for given in forms:
        assert recognizer.transcribe((given, 16_000)) == expected
        assert recognizer.transcribe((given, rate)) == expected
    rounded = tensor.bfloat16()
    assert recognizer.transcribe((rounded, 16_000)) == recognizer.transcribe(
        (rounded.float().numpy(), 16_000)
    )


def test_several_come_in_any_order_keeping_kind(recognizer: Recognizer, clips: list[Path]) -> None:
    expected = recognizer.transcribe(clips[:3])
    audio = load(clips[0])
    for several in (tuple(clips[:3]), iter(clips[:3]), (c for c in clips[:3]), deque(clips[:3])):
        assert recognizer.transcribe(several) == expected
    assert recognizer.transcribe((clips[0], clips[1])) == expected[:2]
    assert recognizer.transcribe(((audio.samples, 16_000), audio)) == expected[:1] * 2
    assert recognizer.transcribe(()) == []


def test_an_error_says_which_of_several_it_is_about(
    recognizer: Recognizer, clips: list[Path]
) -> None:
    silence = (np.zeros(8_000, np.float32), 16_000)
    with pytest.raises(asr.BadAudio, match=r"^source 3: the audio is empty"):
        recognizer.transcribe([silence, silence, b"", None])
    with pytest.raises(asr.BadOption, match=r"^source 2: start 1 is not within") as caught:
        recognizer.transcribe([clips[0], silence], start=1.0)
    assert caught.value.option == "start"
    with pytest.raises(asr.BadAudio, match=r"^the audio is empty"):
        recognizer.transcribe(b"")


def test_samples_and_rate_in_the_wrong_order_are_named(recognizer: Recognizer) -> None:
    swapped: Any = (16_000, np.zeros(8_000, np.float32))  # as scipy reads a file
    for source in (swapped, [swapped], [swapped, swapped]):
        with pytest.raises(asr.BadAudio, match=r"\(rate, samples\): give \(samples, rate\)$"):
            recognizer.transcribe(source)


def test_an_iterator_is_read_as_it_is_needed(recognizer: Recognizer) -> None:
    given = []

    def many() -> Iterator[Any]:
        for number in range(100):
            given.append(number)
            yield b"no sound" if number == 3 else (np.zeros(8_000, np.float32), 16_000)

    with pytest.raises(asr.BadAudio):
        recognizer.transcribe(many())
    assert given == [0, 1, 2, 3]


class Awkward:
    """Raises whatever is asked of it."""

    ndim = 1

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("awkward")

    def read(self, _size: int) -> bytes:
        raise KeyError("awkward")


class NoPath(os.PathLike[str]):
    def __fspath__(self) -> str:
        raise RuntimeError("awkward")


def closed() -> io.BytesIO:
    file = io.BytesIO(b"x")
    file.close()
    return file


UNREADABLE: list[Any] = [
    None, 7, 1.5, True, object(), {"a": 1}, {"a.wav"}, range(3), b"", bytearray(), memoryview(b""),
    "", "\0", "\ud800", "x" * 10_000, b"text", np.zeros(16_000), torch.zeros(16_000), [[]], [None],
    ["a.wav", 16_000], ("a.wav", 16_000), ("a.wav", "b.wav"), (1, 2, 3), (None, None), ([], "x"),
    (np.zeros(5), None), (np.zeros(5), "16000"), (np.zeros(5), 10**400), (np.zeros(5), -1),
    (np.zeros(5), np.nan), (np.zeros(5), np.zeros(2)), (np.zeros(5), Awkward()), (object(), 16_000),
    (Awkward(), 16_000), Awkward(), NoPath(), io.StringIO("text"), io.BytesIO(b"text"), closed(),
    (np.full(5, np.nan), 16_000), (np.zeros((2, 2, 2)), 16_000),
    (torch.zeros(5).to_sparse(), 16_000),
    (torch.zeros(5, dtype=torch.complex64), 16_000), (torch.zeros(5, device="meta"), 16_000),
    (torch.zeros(5, dtype=torch.int64), 16_000), Audio(np.zeros((2, 2), np.float32)),
    Audio(np.full(5, np.inf, np.float32)), Audio([0.0]), Audio(np.zeros(5)),  # type: ignore[arg-type]
    ({}, 16_000), ("0123", 16_000), (b"0123", 16_000), ([1e400, 0.0], 16_000), lambda: b"",
]  # fmt: skip


@pytest.mark.parametrize("source", UNREADABLE, ids=lambda source: type(source).__name__)
def test_what_cannot_be_read_is_one_sentence(recognizer: Recognizer, source: Any) -> None:
    with pytest.raises(asr.AsrError) as caught:
        recognizer.transcribe(source)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 11_000
