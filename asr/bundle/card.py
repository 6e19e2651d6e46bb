"""The model card: `bundle.json` as text for people, and figures measured after the export."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from asr.bundle.bundle import CARD, Bundle
from asr.bundle.info import INFO, BundleInfo, Figure, Int8Loss, TrainingInfo
from asr.counting import counted
from asr.files import write_atomically
from asr.text.languages import language_name

_TEMPLATE = """\
# {name}

A speech recogniser: {cell} layers in {directions} with CTC, trained and exported by earshot \
on {created}. It reads {language} from 16 kHz sound and spells in {n_units} units ({parameters} \
parameters; {size} of weights and graph, {precision} on CPU).

## Use

```sh
asr transcribe --bundle PATH recording.flac
asr serve --bundle PATH
asr evaluate --bundle PATH manifest.jsonl
```

PATH is this folder.

## Data

{sources}

{training}{lm}{lexicon}{punctuation}

## Error rates

{figures}

WER and CER: substitutions, deletions and insertions over the words or characters of the \
reference. They hold for recordings like those of the manifest; expect more errors elsewhere. \
Speed: seconds of sound per second, files read and decoded, beside whatever else the machine did.

## Export

On test signals of many lengths the ONNX graph in fp32 differs from torch by at most \
{fp32_max_difference:.1e} in log-probability.{int8}

## Limits

- It knows only {language} and the kinds of speakers in its data. Other accents, children, \
elderly, whispering and singing voices, and speech with an impairment are recognised worse, often \
much worse; nobody has measured how much for each group.
- Noise, music, echo, distance from the microphone, telephones and people who talk at once \
raise the errors.
- {writing}; names and terms that its data lacks are spelled by ear.
- The confidence of a word {confidence}.

## Not to be used for

- Surveillance, or listening to people who have not agreed to it.
- Decisions about people: hiring, credit, insurance, asylum, grading, policing.
- Medical, legal or other records and emergency calls, unless a person checks every word.
- Recognising who speaks, what they feel or where they are from: it is not made for that.
"""


def card(info: BundleInfo) -> str:
    """The text of the model card (Markdown), from the content of `bundle.json` alone."""
    export = info.export
    return _TEMPLATE.format(
        name=info.name,
        created=info.created[:10],
        cell=info.model["cell"].upper(),
        # Bundles of earlier versions do not say it.
        directions={1: "one direction", 2: "both directions"}[info.model.get("directions", 2)],
        language=language_name(info.language),
        n_units=info.n_units,
        parameters=f"{export.parameters / 1e6:.2f} million",
        size=f"{export.bytes / 1e6:.1f} MB",
        precision=info.precision,
        sources=info.sources.strip()
        or "Not stated (`data.sources` was not set when it was trained).",
        lm=_lm(info.lm),
        lexicon=_lexicon(info.lexicon),
        punctuation=_punctuation(info.punctuation),
        writing="Marks, capitals and digits are guessed from the words and the pauses between them"
        if info.punctuation
        else "It writes words in lower case as they are spoken: no punctuation, no digits",
        confidence="was fitted to development speech and holds for recordings like it"
        if info.calibration
        else "is a guess of the model about itself, not a probability of truth",
        figures=_figures(info.figures),
        fp32_max_difference=export.fp32_max_difference,
        int8=_int8(export.int8),
        training=_training(info.training),
    )


def _training(training: TrainingInfo) -> str:
    sentences = [f"Trained on {_length(training)}"]
    while training.before is not None:
        training = training.before
        sentences.append(f"Before that, the weights on {_length(training)}")
    return " ".join(sentences)


def _length(training: TrainingInfo) -> str:
    return (
        f"{training.hours:g} hours of speech: {counted(training.epochs, 'epoch')}, "
        f"{counted(training.steps, 'step')}."
    )


def _lm(lm: Mapping[str, Any] | None) -> str:
    if lm is None:
        return ""
    texts = str(lm.get("sources", "")).strip() or "texts that are not stated"
    return f"\n\nIts language model ({lm['bytes'] / 1e6:.1f} MB) was estimated from {texts}."


def _punctuation(punctuation: Mapping[str, Any] | None) -> str:
    if punctuation is None:
        return ""
    sources = str(punctuation.get("sources", "")).strip() or "not stated"
    return (
        "\n\nText is written with marks and capitals by a model of "
        f"{punctuation['bytes'] / 1e6:.1f} MB, trained on {punctuation['words']:,} words; "
        f"its sources: {sources}"
    )


def _lexicon(lexicon: Mapping[str, Any] | None) -> str:
    if lexicon is None:
        return ""
    sources = str(lexicon.get("sources", "")).strip() or "not stated"
    return (
        "\n\nThe beam search reads phones and turns them into words by a lexicon of "
        f"{lexicon['words']:,} words with {lexicon['pronunciations']:,} pronunciations; "
        f"`--decoder greedy` reads letters. Pronunciations: {sources}."
    )


def _figures(figures: Sequence[Figure]) -> str:
    if not figures:
        return "Not yet measured."
    lines = [
        "| manifest | decoder | precision | clips | words | WER | CER | speed | command |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for figure in figures:
        cells = (
            figure.manifest,
            figure.decoder,
            figure.precision,
            figure.clips,
            figure.words,
            f"{100 * figure.wer:.1f} %",
            f"{100 * figure.cer:.1f} %",
            "" if figure.speed is None else f"{figure.speed:.0f}, {figure.device}",
            f"`{figure.command}`",
        )
        escaped = (str(cell).replace("|", "\\|") for cell in cells)
        lines.append(f"| {' | '.join(escaped)} |")
    return "\n".join(lines)


def _int8(loss: Int8Loss | None) -> str:
    if loss is None:
        return ""
    return (
        f" In int8 it differs by {loss.mean_difference:g} on average and "
        f"{loss.max_difference:g} at most; its most probable unit is the same in "
        f"{100 * loss.agreement:.1f} % of frames, and it diverges by "
        f"{loss.divergence:g} nats a frame."
    )


def record_figure(path: Path, figure: Figure) -> None:
    """Adds a measured figure to the bundle and its card.

    It replaces an older one of the same manifest, decoder and precision.

    Raises:
        BadBundle: `path` is no sound bundle.
    """
    bundle = Bundle.open(path)
    others = [other for other in bundle.info.figures if other.key != figure.key]
    figures = tuple(sorted([*others, figure], key=lambda figure: figure.key))
    write_info(bundle.path, replace(bundle.info, figures=figures))


def write_info(folder: Path, info: BundleInfo) -> None:
    """Writes `bundle.json`, and the card that it makes, into `folder`."""
    write_atomically(folder / INFO, info.to_json())
    write_atomically(folder / CARD, card(info))
