"""`asr doctor`: checks what this machine has, and whether it works."""

import io
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from asr import cache
from asr.cli.options import BundleOption, DeviceOption
from asr.counting import counted
from asr.errors import AsrError, BadMachine
from asr.machine import usable_cores

if TYPE_CHECKING:
    import av

    from asr.bundle import Bundle

_LIBRARIES = ("onnxruntime", "numba", "av", "soundfile", "soxr", "sentencepiece", "numpy")
_EXTRAS = {
    "serve": ("fastapi", "uvicorn"),
    "gpu": ("torch",),
    "train": ("lightning", "torchaudio", "onnx"),
    "stores": ("fsspec", "aiohttp", "s3fs"),
    "postgres": ("psycopg",),
    "ray": ("ray",),
}
# Suffix -> encoder and rate: a tone is written in each format and read back.
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
    """The result of one check: its subject, what was seen, and whether that is fine."""

    subject: str
    seen: str
    fine: bool = True


def doctor(bundle: BundleOption = None, device: DeviceOption = "auto") -> None:
    """Check this machine: device, libraries, formats and bundle.

    Exit code 0: all is well; 1: something is wrong, marked with `!`.
    """
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _machine,
        _libraries,
        _cuda,
        _formats,
        _decoder,
        lambda: _bundle(bundle, device),
        _cache,  # after a clip was read, which fills it
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
    yield Finding("cores", f"{usable_cores()} usable of {os.cpu_count()}")
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
        yield Finding("memory", f"{memory:.1f} GiB", fine=memory >= 1)


def _libraries() -> Iterator[Finding]:
    for name in _LIBRARIES:
        try:
            yield Finding(name, version(name))
        except PackageNotFoundError:
            yield Finding(name, "not installed: `uv sync` installs it", fine=False)
    for extra, names in _EXTRAS.items():
        missing = [name for name in names if not _installed(name)]
        seen = f"not installed (`uv sync --inexact --extra {extra}`)" if missing else "installed"
        yield Finding(f"extra {extra}", seen)  # an extra may be absent on purpose


def _installed(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def _cuda() -> Iterator[Finding]:
    # A driver that cannot be used is a fault; without a driver it is a CPU machine.
    driver = Path("/proc/driver/nvidia/version").exists()
    if not _installed("torch"):
        yield Finding(
            "gpu", "not used: `uv sync --inexact --extra gpu` installs torch", fine=not driver
        )
        return
    import torch

    if not torch.cuda.is_available():
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
        except ImportError as error:  # named above as not installed
            yield Finding(suffix, f"not tried: {error}")
            continue
        except (OSError, ValueError) as error:  # FFmpeg without an encoder may still decode
            yield Finding(suffix, f"not tried: this FFmpeg cannot write it ({error})")
            continue
        try:
            seconds = load(encoded).duration
            yield Finding(suffix, "read", fine=abs(seconds - 1.0) < 0.15)
        except AsrError as error:
            yield Finding(suffix, str(error), fine=False)


def _decoder() -> Iterator[Finding]:
    """As `asr transcribe` decodes, in a process of its own."""
    from asr.audio import Limits
    from asr.batch import Decoder

    decoder = Decoder(Limits())
    try:
        decoder.begin()
        yield Finding("decoder", "starts")
    except BadMachine as error:
        yield Finding("decoder", str(error), fine=False)
    finally:
        decoder.stop()


def _tone(suffix: str, codec: str, rate: int) -> bytes:
    """One second of a tone in a format."""
    import av
    import numpy as np
    import soundfile

    samples = (np.sin(0.05 * np.arange(rate)) * 8000).astype(np.int16)
    file = io.BytesIO()
    if codec == "vorbis":  # FFmpeg needs a library for it that its wheels lack
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
        yield Finding("bundle", f"{recognizer.bundle.path}: {info.name}, {info.precision}")
        yield Finding("runs on", recognizer.device)
        if recognizer.device == "cpu" and recognizer.bundle.precision == "int8":
            yield _int8(recognizer.bundle)
        clip = shipped("samples") / "1272-141231-0000.flac"
        transcript = recognizer.transcribe(clip)
        yield Finding("a real clip", transcript.text or "(no words)", fine=bool(transcript.text))
    except AsrError as error:
        yield Finding("bundle", str(error), fine=False)


def _int8(bundle: "Bundle") -> Finding:
    if not all(map(_installed, ("torch", *_EXTRAS["train"]))):
        return Finding("int8", "not compared with fp32: that needs the extra train")
    from asr.export.checks import int8_here

    same, said = int8_here(bundle)
    return Finding("int8", said, fine=same)


def _cache() -> Iterator[Finding]:
    try:
        sizes = cache.sizes()
        yield Finding(
            "cache", f"{cache.folder()}: {counted(len(sizes), 'file')}, {sum(sizes) / 1e6:.0f} MB"
        )
    except OSError as error:
        yield Finding("cache", f"none: {error.strerror}")
