"""The model card: `bundle.json` told to people, and the figures measured after the export."""

import json
import os
from pathlib import Path
from typing import Any

from asr.bundle.bundle import CARD, INFO, Bundle
from asr.errors import BadOption

_COLUMNS = ("manifest", "decoder", "precision", "clips", "words", "wer", "cer", "speed", "command")
_FIGURE_KEYS = {*_COLUMNS, "device"}
_TEMPLATE = """\
# {name}

A speech recogniser: {cell} layers in both directions with CTC, trained and exported by earshot \
on {created}. It reads 16 kHz sound and spells in {n_units} units ({parameters} parameters; \
{size} on disk, {precision} on CPU).

## Use

```sh
asr transcribe --bundle PATH recording.flac
asr serve --bundle PATH
asr evaluate --bundle PATH manifest.jsonl
```

PATH is this folder.

## Data

{sources}

{training}{lm}

## Error rates

{figures}

WER and CER: substitutions, deletions and insertions over the words or characters of the \
reference. They hold for recordings like those of the manifest; expect more errors elsewhere. \
Speed: seconds of sound per second, files read and decoded, beside whatever else the machine did.

## Export

On test signals of many lengths the ONNX graph in fp32 differs from torch by at most \
{fp32_max_difference:.1e} in log-probability.{int8}

## Limits

- It knows only the language and the kinds of speakers in its data. Other accents, children, \
elderly, whispering and singing voices, and speech with an impairment are recognised worse, often \
much worse; nobody has measured how much for each group.
- Noise, music, echo, distance from the microphone, telephones and people who talk at once \
raise the errors.
- It writes words in lower case as they are spoken: no punctuation, no digits; numbers, names \
and terms that its data lacks are spelled by ear.
- The confidence of a word {confidence}.

## Not to be used for

- Surveillance, or listening to people who have not agreed to it.
- Decisions about people: hiring, credit, insurance, asylum, grading, policing.
- Medical, legal or other records and emergency calls, unless a person checks every word.
- Recognising who speaks, what they feel or where they are from: it is not made for that.
"""


def card(info: dict[str, Any]) -> str:
    """The text of the model card (Markdown), from the content of `bundle.json` alone."""
    export = info["export"]
    return _TEMPLATE.format(
        name=info["name"],
        created=info["created"][:10],
        cell=info["model"]["cell"].upper(),
        n_units=info["n_units"],
        parameters=f"{export['parameters'] / 1e6:.2f} million",
        size=f"{export['bytes'] / 1e6:.1f} MB",
        precision=info["precision"],
        sources=info["sources"].strip()
        or "Not stated (`data.sources` was not set when it was trained).",
        lm=_lm(info.get("lm")),
        confidence="was fitted to development speech and holds for recordings like it"
        if info.get("calibration")
        else "is a guess of the model about itself, not a probability of truth",
        figures=_figures(info["figures"]),
        fp32_max_difference=export["fp32_max_difference"],
        int8=_int8(export.get("int8")),
        training=_training(info["training"]),
    )


def _training(training: dict[str, Any]) -> str:
    said = [f"Trained on {_length(training)}"]
    while training := training.get("before") or {}:
        said.append(f"Before that, the weights on {_length(training)}")
    return " ".join(said)


def _length(training: dict[str, Any]) -> str:
    epochs = "1 epoch" if training["epochs"] == 1 else f"{training['epochs']} epochs"
    return f"{training['hours']:g} hours of speech: {epochs}, {training['steps']} steps."


def _lm(lm: dict[str, Any] | None) -> str:
    if lm is None:
        return ""
    texts = str(lm.get("sources", "")).strip() or "texts that are not stated"
    return f"\n\nIts language model ({lm['bytes'] / 1e6:.1f} MB) was estimated from {texts}."


def _figures(figures: list[dict[str, Any]]) -> str:
    if not figures:
        return "Not yet measured."
    lines = [
        "| manifest | decoder | precision | clips | words | WER | CER | speed | command |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for figure in figures:
        shown = figure | {
            "wer": f"{100 * figure['wer']:.1f} %",
            "cer": f"{100 * figure['cer']:.1f} %",
            "speed": f"{figure['speed']:.0f}, {figure['device']}" if "speed" in figure else "",
            "command": f"`{figure['command']}`",
        }
        cells = (str(shown[key]).replace("|", "\\|") for key in _COLUMNS)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _int8(loss: dict[str, float] | None) -> str:
    if loss is None:
        return ""
    return (
        f" In int8 it differs by {loss['mean_difference']:g} on average and "
        f"{loss['max_difference']:g} at most; its most probable unit is the same in "
        f"{100 * loss['agreement']:.1f} % of frames, and it diverges by "
        f"{loss['divergence']:g} nats a frame."
    )


def record_figure(path: Path, figure: dict[str, Any]) -> None:
    """Adds a measured figure to the bundle and its card.

    It has the keys manifest, decoder, precision, clips, words, wer, cer (both rates as shares,
    0.25 for 25 %), speed (seconds of sound per second), device (on which) and command, and
    replaces an older one of the same manifest, decoder and precision.

    Raises:
        BadBundle: `path` is no sound bundle.
        BadOption: the figure lacks a key or has one too many.
    """
    if wrong := _FIGURE_KEYS ^ figure.keys():
        raise BadOption(
            f"a figure has the keys {', '.join(sorted(_FIGURE_KEYS))} and no others; "
            f"correct {', '.join(sorted(wrong))}."
        )
    bundle = Bundle.open(path)

    def measured(one: dict[str, Any]) -> tuple[str, str, str]:
        return one["manifest"], one["decoder"], one["precision"]

    others = [one for one in bundle.info["figures"] if measured(one) != measured(figure)]
    figures = sorted([*others, figure], key=measured)
    write_info(bundle.path, bundle.info | {"figures": figures})


def write_info(folder: Path, info: dict[str, Any]) -> None:
    """Writes `bundle.json`, and the card that it makes, into `folder`."""
    _replace(folder / INFO, json.dumps(info, indent=2, ensure_ascii=False) + "\n")
    _replace(folder / CARD, card(info))


def _replace(path: Path, text: str) -> None:
    """Writes the file so that a reader sees the old one or the new one, never half of it."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    os.replace(new, path)
