"""Real speech written into every format that is read, and damaged in every way that is named."""

import io
import struct
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from asr.audio import SAMPLE_RATE

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
    channels = np.atleast_2d(samples.T)
    layout = "mono" if len(channels) == 1 else "stereo"
    flags = {"movflags": options} if options else {}
    with av.open(path, "w", format=container, options=flags) as file:
        stream = file.add_stream(codec, rate=rate)
        stream.layout = layout
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(channels), "fltp", layout)
        frame.sample_rate, frame.pts = rate, 0
        fit = av.AudioResampler(stream.format, layout, rate, stream.codec_context.frame_size)
        for ready in [*fit.resample(frame), *fit.resample(None)]:
            file.mux(stream.encode(ready))
        file.mux(stream.encode(None))
    return path.read_bytes()


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
