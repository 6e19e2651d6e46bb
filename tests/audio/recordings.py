"""Real speech in every format that is read, and with every kind of damage that is named."""

import io
import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from asr.audio import SAMPLE_RATE

FILES = Path(__file__).parents[1] / "data" / "files"
"""Recordings from other programs: see the README there."""

CLIP = Path(__file__).parents[2] / "samples" / "1272-141231-0000.flac"

Samples = npt.NDArray[np.float32]


def speech() -> Samples:
    """4.65 s of real speech, `(S,)` at 16 kHz."""
    samples, rate = soundfile.read(CLIP, dtype="float32")
    assert rate == SAMPLE_RATE
    return samples


def at_rate(samples: Samples, rate: int) -> Samples:
    return soxr.resample(samples, SAMPLE_RATE, rate)


def stereo(samples: Samples) -> Samples:
    """`(S, 2)` whose channels differ and have `samples` as their mean."""
    return np.stack([1.5 * samples, 0.5 * samples], axis=1).astype(np.float32)


def encoded(
    samples: Samples, rate: int = SAMPLE_RATE, format: str = "WAV", subtype: str | None = None
) -> bytes:
    """`samples` as the bytes of a file that libsndfile writes."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=format, subtype=subtype)
    return file.getvalue()


def encoded_by_ffmpeg(
    samples: Samples, rate: int, container: str, codec: str, path: Path, options: str = ""
) -> bytes:
    """`samples` `(S,)` or `(S, channels)` as the bytes of a file that FFmpeg writes at `path`."""
    return muxed([(0.0, samples)], rate, container, codec, path, options)


_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}


def muxed(
    parts: Sequence[tuple[float, Samples]],
    rate: int,
    container: str,
    codec: str,
    path: Path,
    options: str = "",
    picture: bool = False,
) -> bytes:
    """Stretches of sound, each to be heard at its time in seconds, as FFmpeg puts them in a file.

    With a `picture` the file has one that begins at 0.
    """
    layout = _LAYOUTS[np.atleast_2d(parts[0][1].T).shape[0]]
    flags = {"movflags": options} if options else {}
    with av.open(path, "w", format=container, options=flags) as file:
        video = _film(file) if picture else None
        stream = file.add_stream(codec, rate=rate)
        stream.layout = layout
        if codec.startswith("wma"):
            stream.bit_rate = 32_000
        size = stream.codec_context.frame_size
        packets = list(_picture(video)) if video else []
        for start, samples in parts:
            packed = np.ascontiguousarray(samples).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(packed, "flt", layout)
            frame.sample_rate, frame.pts = rate, round(start * rate)
            frame.time_base = Fraction(1, rate)
            fit = av.AudioResampler(stream.format, layout, rate, size)
            for ready in [*fit.resample(frame), *fit.resample(None)]:
                packets += stream.encode(ready)
        packets += stream.encode(None)
        for packet in packets:
            file.mux(packet)
    return path.read_bytes()


def _film(file: av.container.OutputContainer) -> av.VideoStream:
    stream = file.add_stream("mpeg4", rate=10)
    stream.width = stream.height = 64
    stream.pix_fmt = "yuv420p"
    return stream


def _picture(stream: av.VideoStream) -> Iterator[av.Packet]:
    """A second of nothing to be seen."""
    for _ in range(10):
        yield from stream.encode(av.VideoFrame(64, 64, "yuv420p"))
    yield from stream.encode(None)


def wav_header(
    rate: int = SAMPLE_RATE, channels: int = 1, data_bytes: int = 0, bits: int = 16
) -> bytes:
    """The 44 bytes before the samples of a wav, saying whatever they are told to."""
    frame = channels * bits // 8
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", min(36 + data_bytes, 2**32 - 1), b"WAVE", b"fmt ", 16, 1),
        *(
            channels,
            rate,
            rate * frame % 2**32,
            frame % 2**16,
            bits,
            b"data",
            min(data_bytes, 2**32 - 1),
        ),
    )


def forged_flac(flac: bytes, frames: int) -> bytes:
    """`flac` whose header claims `frames`: 36 bits from the low half of byte 21."""
    high, low = divmod(frames, 2**32)
    return flac[:21] + bytes([flac[21] & 0xF0 | high]) + struct.pack(">I", low) + flac[26:]


def likeness(heard: Samples, said: Samples, most_lag: int = 1600) -> float:
    """Highest correlation of the two at any lag up to `most_lag` samples; 1 is the same."""
    size = 2 ** int(np.ceil(np.log2(len(heard) + len(said))))
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size))
    products = np.fft.irfft(spectrum, size)
    near = np.concatenate([products[:most_lag], products[-most_lag:]])
    return float(near.max() / (np.linalg.norm(heard) * np.linalg.norm(said)))


def onset(samples: Samples) -> float:
    """When sound begins, in seconds."""
    return float((np.abs(samples) > 0.02 * np.abs(samples).max()).argmax()) / SAMPLE_RATE
