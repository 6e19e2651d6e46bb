"""Options that several commands share, worded once."""

from pathlib import Path
from typing import Annotated, Any

import typer

from asr.errors import BadOption

BundleOption = Annotated[
    Path | None, typer.Option("--bundle", help="Folder of a bundle; else the one that ships.")
]
DeviceOption = Annotated[
    str, typer.Option("--device", help="auto, cpu or cuda; auto is the GPU where there is one.")
]
LmOption = Annotated[
    Path | None,
    typer.Option("--lm", help="Language model of `asr lm build`, in place of the bundle's."),
]
DecoderOption = Annotated[
    str | None,
    typer.Option("--decoder", help="greedy or beam; else beam where there is a language model."),
]
BeamSizeOption = Annotated[
    int | None, typer.Option("--beam-size", help="Readings that the beam follows at a time.")
]
LmWeightOption = Annotated[
    float | None, typer.Option("--lm-weight", help="How much the language model counts.")
]
WordBonusOption = Annotated[
    float | None, typer.Option("--word-bonus", help="What the beam search adds for every word.")
]
UnknownPriceOption = Annotated[
    float | None,
    typer.Option("--unknown-price", help="What a word costs that the language model lacks."),
]
PriorWeightOption = Annotated[
    float | None,
    typer.Option("--prior-weight", help="How much of the units' own commonness is taken out."),
]
HotwordsOption = Annotated[
    Path | None,
    typer.Option("--hotwords", help="File of words or phrases to favour, a line each."),
]
HotwordBoostOption = Annotated[
    float | None,
    typer.Option("--hotword-boost", help="What every letter of a hot word earns, 0 to 20."),
]
NbestOption = Annotated[
    int | None, typer.Option("--nbest", help="Readings to list with their scores, in json.")
]


def reading(hotwords: Path | None = None, lm: Path | None = None, **values: Any) -> dict[str, Any]:
    """The options of `Recognizer.transcribe` that were given on a command line.

    Raises:
        BadOption: the file of hot words cannot be read, or names none; or the language
            model would have no effect.
    """
    if lm is not None and values["decoder"] == "greedy":
        raise BadOption("--lm has no effect with the decoder greedy; choose the decoder beam.")
    given = {name: value for name, value in values.items() if value is not None}
    if hotwords is not None:
        try:
            lines = hotwords.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise BadOption(
                f"the hot words in {hotwords} cannot be read ({reason}); give a text file with a "
                "word or phrase on each line."
            ) from error
        given["hotwords"] = tuple(line.strip() for line in lines if line.strip())
        if not given["hotwords"]:
            raise BadOption(f"{hotwords} names no hot words; write one on each line.")
    return given
