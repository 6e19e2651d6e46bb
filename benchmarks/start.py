"""What a start costs: processor seconds and memory of fresh processes, with warm caches.

    python benchmarks/start.py [CLIP] [--rounds 3] [--against CHECKOUT]

Each row is a process of its own, run in turn with the code of this checkout and of another one, so
that both see the same machine. Seconds are of the processor, children included.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

LOADED = """
import resource, sys
import asr
recognizer = asr.Recognizer.load(device="cpu")
if sys.argv[2:]:
    recognizer.transcribe(sys.argv[1], **({"decoder": "greedy"} if sys.argv[2] == "greedy" else {}))
"""
MEMORY = """
used = open("/proc/self/smaps_rollup").read() if sys.platform == "linux" else ""
import re
print(*(int(re.search(rf"^{name}:\\s+(\\d+)", used, re.M)[1]) // 1024 for name in ("Rss", "Pss")))
"""
COMMAND = "from asr.cli import main; main()"
_HERE = Path(__file__).parents[1]
_CLIP = _HERE / "samples" / "1272-141231-0000.flac"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", nargs="?", type=Path, default=_CLIP)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", type=Path, help="another checkout, of an older version")
    parser.add_argument("--serve", action="store_true", help="start the service too")
    arguments = parser.parse_args()
    checkouts = [path for path in (arguments.against, _HERE) if path]
    clip = arguments.clip.resolve()
    tasks = {
        "import asr, Recognizer.load()": ["-c", LOADED + MEMORY, clip],
        "… and a clip, greedy": ["-c", LOADED + MEMORY, clip, "greedy"],
        "… and a clip, beam": ["-c", LOADED + MEMORY, clip, "beam"],
        "asr transcribe": ["-c", COMMAND, "transcribe", clip],
    }
    print("| what | " + " | ".join(f"CPU s, MB: {checkout}" for checkout in checkouts) + " |")
    print("|---" * (1 + len(checkouts)) + "|")
    for name, command in tasks.items():
        cells: list[list[tuple[float, str]]] = [[] for _ in checkouts]
        for _ in range(arguments.rounds):
            for cell, checkout in zip(cells, checkouts, strict=True):
                cell.append(once(list(map(str, command)), checkout))
        print(f"| {name} | " + " | ".join("{:.2f}, {}".format(*min(cell)) for cell in cells) + " |")
    if arguments.serve:
        print("| asr serve | " + " | ".join(served(checkout) for checkout in checkouts) + " |")


def once(command: list[str], checkout: Path) -> tuple[float, str]:
    """Processor seconds of a command, and its last line if that is its memory."""
    before = os.times()
    done = subprocess.run(
        [sys.executable, *command], cwd=checkout, check=True, capture_output=True, text=True
    )
    after = os.times()
    seconds = sum(after[2:4]) - sum(before[2:4])
    (*_, last) = done.stdout.splitlines() or [""]
    rss, _, pss = last.partition(" ")
    return seconds, f"{rss} (its share {pss})" if rss.isdigit() else "–"


def served(checkout: Path) -> str:
    """Until the service is ready: seconds of all its processes, and their memory."""
    command = [sys.executable, "-c", COMMAND, "serve", "--port", "0", "--device", "cpu"]
    env = {**os.environ, "PYTHONPATH": str(checkout)}  # the workers' folder is another
    started = time.perf_counter()
    server = subprocess.Popen(command, cwd=checkout, env=env, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    while (line := server.stderr.readline()) and "ready on" not in line:
        pass
    ready = time.perf_counter() - started
    try:
        processes = family(server.pid)
        ticks = os.sysconf("SC_CLK_TCK")
        seconds = sum(
            sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
            for pid in processes
        )
        share = sum(
            int(
                re.findall(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[0]
            )
            for pid in processes
        )
        return (
            f"{seconds / ticks:.2f}, {share // 1024} in {len(processes)} processes, ready after "
            f"{ready:.1f} s"
        )
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate()


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(other for child in children for other in family(int(child)))]


if __name__ == "__main__":
    main()
