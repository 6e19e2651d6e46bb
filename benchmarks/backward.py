"""How long does the backward pass of an LSTM take in torch and in `asr.training.lstm_gradient`?

    python benchmarks/backward.py [--threads 1] [--precision bf16] [--rounds 6]

One layer, one direction, 512 values in, 256 units, on a CPU: medians of rounds in which both take
turns, for batches of 50 seconds of speech in clips of several lengths.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from asr.model import ModelConfig
from asr.training import lstm_gradient

SECONDS = (2, 7, 16, 25)  # of a clip
TOTAL = 50  # of a batch
WIDTH, HIDDEN = 512, 256


def way(
    run: Callable[[nn.LSTM, Tensor], Tensor], module: nn.LSTM, x: Tensor, precision: str
) -> tuple[float, float]:
    """Milliseconds ahead, and back."""
    began = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        out = run(module, x)
    middle = time.perf_counter()
    out.backward(torch.ones_like(out))
    return (middle - began) * 1e3, (time.perf_counter() - middle) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--rounds", type=int, default=6)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    module = nn.LSTM(WIDTH, HIDDEN, batch_first=True)
    runs: tuple[Callable[[nn.LSTM, Tensor], Tensor], ...] = (
        lambda module, x: module(x)[0],
        lstm_gradient.lstm,
    )
    print(f"{arguments.precision}, threads: {arguments.threads}; milliseconds")
    print(f"{'clips':>9} {'ahead':>7} {'back, library':>14} {'back, ours':>11} {'ratio':>6}")
    for seconds in SECONDS:
        clips = TOTAL // seconds
        frames = round(seconds / ModelConfig().frame_seconds)
        x = torch.randn(clips, frames, WIDTH, requires_grad=True)
        taken: list[list[tuple[float, float]]] = [[], []]
        for _ in range(arguments.rounds + 1):
            for run, times in zip(runs, taken, strict=True):
                times.append(way(run, module, x, arguments.precision))
        ahead = statistics.median(time for time, _ in taken[0][1:])  # the first warms up
        library, ours = (statistics.median(back for _, back in times[1:]) for times in taken)
        print(
            f"{clips:3} x {seconds:2} s {ahead:7.1f} {library:14.1f} {ours:11.1f} "
            f"{library / ours:6.2f}"
        )


if __name__ == "__main__":
    main()
