"""`asr doctor`: what this machine has, and what is wrong with it."""

import io
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from asr.cli.options import BundleOption, DeviceOption
from asr.errors import AsrError

if TYPE_CHECKING:
    import av

_LIBRARIES = ("torch", "onnxruntime", "av", "soundfile", "soxr", "sentencepiece", "numpy")
_EXTRAS = {"serve": ("fastapi", "uvicorn"), "train": ("lightning", "torchaudio", "onnx")}
# Suffix -> encoder and rate: a tone is written in each and read back.
_FORMATS = {
    "wav": ("pcm_s16le", 16_000),
    "flac": ("flac", 16_000),
    "mp3": ("libmp3lame", 44_100),
    "ogg": ("vorbis", 44_100),
    "opus": ("libopus", 48_000),
    "m4a": ("aac", 44_100),
    "webm": ("libopus", 48_000),
}


@dataclass(frozen=True)
class Finding:
    """One thing looked at: whether it is as it must be, and what was seen."""

    subject: str
    seen: str
    fine: bool = True


def doctor(bundle: BundleOption = None, device: DeviceOption = "auto") -> None:
    """Say what this machine has: device, libraries, formats, bundle, and whether it all works.

    Exit code 0: all is well; 1: something is wrong, marked with `!`.
    """
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _machine,
        _libraries,
        _cuda,
        _formats,
        lambda: _bundle(bundle, device),
    )
    wrong = 0
    for check in checks:
        for finding in check():
            wrong += not finding.fine
            mark = " " if finding.fine else "!"
            typer.echo(f"{mark} {finding.subject:14} {finding.seen}")
    typer.echo(f"\nWrong: {wrong}." if wrong else "\nAll is well.")
    if wrong:
        raise typer.Exit(1)


def _machine() -> Iterator[Finding]:
    yield Finding("earshot", version("earshot"))
    yield Finding("python", f"{platform.python_version()} on {platform.platform()}")
    yield Finding("cores", f"{_cores()} usable of {os.cpu_count()}")
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
        yield Finding("memory", f"{memory:.1f} GiB", fine=memory >= 1)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _libraries() -> Iterator[Finding]:
    for name in _LIBRARIES:
        try:
            yield Finding(name, version(name))
        except PackageNotFoundError:
            yield Finding(name, "not installed: `uv sync` installs it", fine=False)
    for extra, names in _EXTRAS.items():
        missing = [name for name in names if not _installed(name)]
        seen = f"not installed (`uv sync --extra {extra}`)" if missing else "installed"
        yield Finding(f"extra {extra}", seen)  # an extra may be meant to be absent


def _installed(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def _cuda() -> Iterator[Finding]:
    import torch

    if not torch.cuda.is_available():
        # A driver without what torch needs of it is a fault; no driver at all is a CPU machine.
        driver = Path("/proc/driver/nvidia/version").exists()
        built = torch.version.cuda or "none"
        seen = f"no GPU that torch can use (torch is built for CUDA {built})"
        yield Finding("gpu", seen, fine=not driver)
        return
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        seen = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
        yield Finding(f"gpu {index}", f"{seen}, CUDA {torch.version.cuda}")


def _formats() -> Iterator[Finding]:
    from asr.audio import load

    for suffix, (codec, rate) in _FORMATS.items():
        try:
            encoded = _tone(suffix, codec, rate)
        except (OSError, ValueError) as error:  # a build of FFmpeg that cannot write may yet read
            yield Finding(suffix, f"not tried: this FFmpeg cannot write it ({error})")
            continue
        try:
            seconds = load(encoded).duration
            yield Finding(suffix, "read", fine=abs(seconds - 1.0) < 0.15)
        except AsrError as error:
            yield Finding(suffix, str(error), fine=False)


def _tone(suffix: str, codec: str, rate: int) -> bytes:
    """A second of a tone in a format."""
    import av
    import numpy as np
    import soundfile

    samples = (np.sin(0.05 * np.arange(rate)) * 8000).astype(np.int16)
    file = io.BytesIO()
    if codec == "vorbis":  # which FFmpeg writes only with a library that its wheels lack
        soundfile.write(file, samples, rate, format="OGG")
        return file.getvalue()
    with av.open(file, "w", format={"opus": "ogg", "m4a": "mp4"}.get(suffix, suffix)) as container:
        stream = cast("av.AudioStream", container.add_stream(codec, rate=rate))
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return file.getvalue()


def _bundle(path: Path | None, device: str) -> Iterator[Finding]:
    from asr.bundle import shipped
    from asr.runtime import Recognizer

    try:
        recognizer = Recognizer.load(path, device)
        info = recognizer.bundle.info
        yield Finding("bundle", f"{recognizer.bundle.path}: {info['name']}, {info['precision']}")
        yield Finding("runs on", recognizer.device)
        clip = shipped("samples") / "1272-141231-0000.flac"
        heard = recognizer.transcribe(clip)
        yield Finding("a real clip", heard.text or "(no words)", fine=bool(heard.text))
    except AsrError as error:
        yield Finding("bundle", str(error), fine=False)
