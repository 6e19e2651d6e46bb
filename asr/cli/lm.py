"""`asr lm`: build, measure and tune n-gram language models."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli.options import BeamSizeOption, BundleOption, DeviceOption
from asr.cli.progress import bar
from asr.errors import BadOption

if TYPE_CHECKING:
    from asr.decoding import NGram
    from asr.text import Tokenizer

app = typer.Typer(help="Language models of words or units.", no_args_is_help=True)

FileArgument = Annotated[Path, typer.Argument(help="A file that `asr lm build` wrote.")]
TextArgument = Annotated[Path, typer.Argument(help="A sentence a line; plain, .gz or .xz.")]
UnitsOption = Annotated[
    str | None,
    typer.Option(
        "--units", help="`characters`, or the bundle whose units the model is over; else words."
    ),
]


@app.command()
def build(
    source: Annotated[
        Path, typer.Argument(help="A text, a sentence a line, or an .arpa; plain, .gz or .xz.")
    ],
    out: Annotated[Path, typer.Argument(help="File to write, as a rule named .npz.")],
    order: Annotated[int, typer.Option(help="Length of the longest n-grams, 1 to 10.")] = 3,
    prune: Annotated[
        str,
        typer.Option(
            help="For lengths 1, 2, ...: n-grams that occur no oftener are left out (0,0,1)."
        ),
    ] = "0",
    max_size: Annotated[
        float | None, typer.Option(help="MB of the file; n-grams that matter least go.", min=0)
    ] = None,
    units: UnitsOption = None,
    vocabulary: Annotated[
        int | None,
        typer.Option(help="Words to know; else all that occur more than once.", min=1),
    ] = None,
) -> None:
    """Estimate a language model from a text, or convert one from an ARPA file.

    Modified Kneser-Ney, pruned by counts and by relative entropy. Texts are taken in normal form:
    lower case, no punctuation.
    """
    from asr.decoding.arpa import read_arpa
    from asr.decoding.estimation.build import fitted, from_text
    from asr.decoding.estimation.kneser_ney import Estimate
    from asr.decoding.estimation.pruning import chained

    out.parent.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(units)
    if ".arpa" in source.suffixes:
        if order != 3 or prune != "0" or vocabulary is not None:
            raise BadOption(
                f"{source} is a finished model: --order, --prune and --vocabulary have no effect "
                "on it; leave them out."
            )
        with bar("reading") as progress:
            model = read_arpa(source, tokenizer, progress)
        found = Estimate(model, chained(model))
    else:
        found = from_text(
            source, order, bar, cutoffs=_cutoffs(prune), tokenizer=tokenizer, words=vocabulary
        )
    model = found.model if max_size is None else fitted(found, int(max_size * 1e6), bar)
    model.save(out)
    typer.echo(_about(model, out))


@app.command()
def info(file: FileArgument) -> None:
    """What a language model is over, and how large."""
    from asr.decoding import NGram

    typer.echo(_about(NGram.load(file), file))


@app.command()
def perplexity(file: FileArgument, text: TextArgument, units: UnitsOption = None) -> None:
    """How well a language model foretells a text, and how many of its words it knows.

    A model over units needs `--units` as it was built.
    """
    from asr.decoding import NGram
    from asr.decoding.estimation.perplexity import fit
    from asr.decoding.estimation.texts import known_sentences, no_words

    model = NGram.load(file)
    with bar("reading") as progress:
        found = fit(model, known_sentences(text, model, _tokenizer(units), progress))
    if not found.tokens:
        raise no_words(text)
    typer.echo(
        f"perplexity      {found.perplexity:.2f}\n"
        f"of known {model.kind:6} {found.perplexity_of_known:.2f}\n"
        f"unknown         {found.unknown / max(found.tokens, 1):.3%}\n"
        f"{model.kind:15} {found.tokens}\n"
        f"sentences       {found.sentences}\n"
        f"nats            {-found.log_probability:.0f}"
    )


@app.command()
def arpa(
    file: FileArgument, out: Annotated[Path, typer.Argument(help="ARPA file to write.")]
) -> None:
    """Write a language model as an ARPA file, for other programs."""
    from asr.decoding import NGram
    from asr.decoding.arpa import write_arpa

    with bar("writing") as progress:
        write_arpa(NGram.load(file), out, progress)


@app.command()
def add(
    file: FileArgument,
    bundle: BundleOption = None,
    sources: Annotated[str, typer.Option(help="Its texts and their licences, for the card.")] = "",
) -> None:
    """Put a language model into a bundle; the beam search then uses it by default.

    Weights that were tuned for an older one go back to the defaults: see `asr lm tune`.
    """
    from asr.bundle import Bundle, default_bundle, put_lm
    from asr.decoding import NGram

    path = bundle or default_bundle()
    model = NGram.load(file)
    model.check(Bundle.open(path).tokenizer)
    about = {
        "kind": model.kind,
        "order": model.order,
        "ngrams": list(model.sizes),
        "sources": sources,
    }
    put_lm(path, file, about)
    typer.echo(f"{path}: language model of {file.stat().st_size / 1e6:.2f} MB")


@app.command()
def tune(
    manifest: Annotated[Path, typer.Argument(help="JSON lines with `audio` and `text`.")],
    bundle: BundleOption = None,
    device: DeviceOption = "auto",
    clips: Annotated[
        int, typer.Option(help="At most so many, at even distances in the manifest.", min=1)
    ] = 500,
    beam_size: BeamSizeOption = None,
) -> None:
    """Find the weights of a bundle's language model on a development set; write them into it.

    Take recordings that neither training nor the final evaluation knows. --beam-size is written
    into it, too: wider beams want other weights.
    """
    from asr.bundle import put_decoding
    from asr.evaluation import tune as search
    from asr.runtime import Recognizer

    recognizer = Recognizer.load(bundle, device)
    chosen = {} if beam_size is None else {"beam_size": beam_size}
    with bar("tuning") as progress:
        found = search(recognizer, manifest, progress, clips, **chosen)
    written = {**chosen, **found.best.values}
    put_decoding(recognizer.bundle.path, written)
    names = "".join(f"{name:16}{value:g}\n" for name, value in written.items())
    typer.echo(
        f"clips           {found.clips}\n"
        f"trials          {found.trials}\n"
        f"WER before      {found.before.wer:.2%}\n"
        f"WER             {found.best.wer:.2%}\n"
        f"{names}written into    {recognizer.bundle.path}"
    )


def _tokenizer(units: str | None) -> "Tokenizer | None":
    from asr.bundle import Bundle
    from asr.text import CharacterTokenizer

    if units is None:
        return None
    return CharacterTokenizer() if units == "characters" else Bundle.open(Path(units)).tokenizer


def _cutoffs(text: str) -> list[int]:
    try:
        return [int(part) for part in text.replace(",", " ").split()]
    except ValueError as error:
        raise BadOption(f"--prune {text!r} is no row of numbers such as 0,0,1.") from error


def _about(model: "NGram", path: Path) -> str:
    sizes = "\n".join(f"{n}-grams         {size}" for n, size in enumerate(model.sizes, start=1))
    return (
        f"over            {model.kind}\n"
        f"order           {model.order}\n"
        f"{sizes}\n"
        f"size            {path.stat().st_size / 1e6:.2f} MB"
    )
