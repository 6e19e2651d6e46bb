"""LibriSpeech and Mini LibriSpeech."""

from collections.abc import Iterator
from pathlib import Path

from asr.corpus.importers.discovery import Discovery
from asr.corpus.importers.tables import read_lines
from asr.errors import BadData

SUBSETS = (
    "train-clean-5",
    "train-clean-100",
    "train-clean-360",
    "train-other-500",
    "dev-clean-2",
    "dev-clean",
    "dev-other",
    "test-clean",
    "test-other",
)
"""The subsets of LibriSpeech and Mini LibriSpeech, by the names of their folders."""


def librispeech(root: Path, subset: str) -> Iterator[Discovery]:
    """A subset in LibriSpeech's layout: SUBSET/SPEAKER/CHAPTER/*.trans.txt beside the flac files.

    Args:
        root: the folder LibriSpeech, or its parent.
    """
    folder = _librispeech_folder(root) / subset
    named: set[Path] = set()
    for transcripts in sorted(folder.rglob("*.trans.txt")):
        for number, line in enumerate(read_lines(transcripts), start=1):
            name, _, text = line.strip().partition(" ")
            if name:
                audio = transcripts.parent / f"{name}.flac"
                named.add(audio)
                yield Discovery(
                    where=f"{transcripts}:{number}",
                    audio=audio,
                    text=text,
                    id=name,
                    speaker=name.partition("-")[0],
                    extra={"corpus": f"LibriSpeech {subset}"},
                )
    for audio in sorted(path for path in folder.rglob("*.flac") if path not in named):
        yield Discovery(str(audio), audio, problem="no line of a .trans.txt beside it has its text")


def librispeech_subsets(root: Path) -> list[str]:
    """The subsets in the folder, training ones first; BadData if there is none."""
    folder = _librispeech_folder(root)
    there = [subset for subset in SUBSETS if (folder / subset).is_dir()]
    if not there:
        raise BadData(
            f"{folder} holds none of LibriSpeech's subsets ({', '.join(SUBSETS)}); unpack one "
            "there, or name the folder that holds them."
        )
    return there


def _librispeech_folder(root: Path) -> Path:
    return root / "LibriSpeech" if (root / "LibriSpeech").is_dir() else root
