"""`asr lm`: build, measure and tune n-gram language models."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asr.cli.failures import Failures
from asr.cli.options import BundleOption, DeviceOption, LanguageOption, takes, to_change
from asr.cli.output import stoppable
from asr.cli.progress import bar
from asr.counting import counted
from asr.errors import BadOption
from asr.files import check_writable

if TYPE_CHECKING:
    from asr.bundle import Bundle
    from asr.lm import NGram
    from asr.lm.estimation.mixing import Mixed
    from asr.text import Tokenizer

app = typer.Typer(help="Language models of words or units.", no_args_is_help=True)

FileArgument = Annotated[Path, typer.Argument(help="A file that `asr lm build` wrote.")]
TextArgument = Annotated[
    Path, typer.Argument(help="One sentence per line, plain, .gz or .xz; or a manifest (.jsonl).")
]
UnitsOption = Annotated[
    str | None,
    typer.Option(
        "--units", help="`characters`, or the bundle whose units the model is over; else words."
    ),
]


@app.command()
def build(
    source: Annotated[
        Path, typer.Argument(help="A text, one sentence per line, or an .arpa; plain, .gz or .xz.")
    ],
    out: Annotated[Path, typer.Argument(help="File to write, usually named .npz.")],
    order: Annotated[int, typer.Option(help="Length of the longest n-grams, 1 to 10.")] = 3,
    prune: Annotated[
        str,
        typer.Option(
            help="For lengths 1, 2, ...: n-grams that occur at most so often are left out (0,0,1)."
        ),
    ] = "0",
    max_size: Annotated[
        float | None, typer.Option(help="Largest file in MB; less important n-grams go.", min=0)
    ] = None,
    units: UnitsOption = None,
    vocabulary: Annotated[
        int | None,
        typer.Option(help="Size of the vocabulary; else all that occur more than once.", min=1),
    ] = None,
    language: LanguageOption = "en",
) -> None:
    """Estimate a language model from a text, or convert one from an ARPA file.

    Modified Kneser-Ney, pruned by counts and by relative entropy. Texts are normalised: lower case,
    no punctuation.
    """
    from asr.lm import write_ngram
    from asr.lm.arpa import read_arpa
    from asr.lm.estimation.build import fitted, from_text
    from asr.lm.estimation.kneser_ney import Estimate
    from asr.lm.estimation.pruning import chained
    from asr.text.languages import language_code

    tokenizer, code = _tokenizer(units), language_code(language)
    if not source.exists():
        raise BadOption(
            f"{source} cannot be read (there is no such file): name a text or an .arpa."
        )
    check_writable(out)
    if ".arpa" in source.suffixes:
        if order != 3 or prune != "0" or vocabulary is not None:
            raise BadOption(
                f"{source} is a finished model: --order, --prune and --vocabulary have no effect "
                "on it; leave them out."
            )
        with bar("reading") as progress:
            model = read_arpa(source, tokenizer, progress, code)
        estimate = Estimate(model, chained(model))
    else:
        estimate = from_text(
            source,
            order,
            bar,
            cutoffs=_cutoffs(prune),
            tokenizer=tokenizer,
            words=vocabulary,
            language=code,
            say=lambda told: typer.echo(f"{source}: {told}", err=True),
        )
    model = estimate.model if max_size is None else fitted(estimate, int(max_size * 1e6), bar)
    write_ngram(model, out)
    typer.echo(_about(model, out))


@app.command()
def info(file: FileArgument) -> None:
    """Print the kind and size of a language model."""
    from asr.lm import read_ngram

    typer.echo(_about(read_ngram(file), file))


@app.command()
def perplexity(
    file: FileArgument,
    text: TextArgument,
    units: UnitsOption = None,
    language: LanguageOption = "en",
) -> None:
    """Print how well a language model predicts a text, and how many of its words it knows.

    A model over units needs the `--units` with which it was built.
    """
    from asr.lm import read_ngram
    from asr.lm.estimation.perplexity import fit
    from asr.lm.estimation.texts import known_sentences, no_words
    from asr.text.languages import language_code

    model = read_ngram(file)
    if model.kind == "words" and units is not None:
        raise BadOption(f"--units has no effect on {file}, a model of words: leave it out.")
    with bar("reading") as progress:
        sentences = known_sentences(
            text, model, _tokenizer(units), progress, language_code(language)
        )
        result = fit(model, sentences)
    if not result.tokens:
        raise no_words(text)
    typer.echo(
        f"perplexity      {result.perplexity:.2f}\n"
        f"of known {model.kind:6} {result.perplexity_of_known:.2f}\n"
        f"unknown         {result.unknown / max(result.tokens, 1):.3%}\n"
        f"{model.kind:15} {result.tokens}\n"
        f"sentences       {result.sentences}\n"
        f"nats            {-result.log_probability:.0f}"
    )


@app.command()
def arpa(
    file: FileArgument, out: Annotated[Path, typer.Argument(help="ARPA file to write.")]
) -> None:
    """Write a language model as an ARPA file, for other programs."""
    from asr.lm import read_ngram
    from asr.lm.arpa import write_arpa

    with bar("writing") as progress:
        write_arpa(read_ngram(file), out, progress)


@app.command()
def add(
    file: FileArgument,
    bundle: BundleOption = None,
    sources: Annotated[str, typer.Option(help="Its texts and their licences, for the card.")] = "",
) -> None:
    """Put a language model into a bundle; the beam search then uses it by default.

    Decoder weights tuned for an older one are reset to the defaults: see `asr lm tune`. Words of
    the older one that the new one lacks are counted and named.
    """
    from asr.bundle import Bundle, put_lexicon, put_lm
    from asr.cli.lexicon import with_words
    from asr.lm import read_ngram
    from asr.text.pronunciations import Pronunciations

    model, path = read_ngram(file), to_change(bundle)
    before = Bundle.open(path)
    model.check(before.tokenizer)
    if model.kind == "words" and before.lm is not None:
        _tell_dropped(read_ngram(before.lm), model)
    changed = put_lm(path, file, _described(model, sources))
    if changed.lexicon is not None:
        known = Pronunciations.load_saved(changed.lexicon)
        put_lexicon(path, with_words(changed, model.spellable, known))
    typer.echo(f"{path}: language model of {file.stat().st_size / 1e6:.2f} MB")


@app.command()
@stoppable("stopped: no bundle is written, and nothing else is left.")
def mix(
    text: TextArgument,
    out: Annotated[Path, typer.Argument(help="Folder of the new bundle, which must not exist.")],
    bundle: BundleOption = None,
    weight: Annotated[
        float | None,
        typer.Option(
            help="Share of the text, above 0 and below 1; else that which held-out sentences of it "
            "tell, or 0.03 where it has fewer than 100 different ones."
        ),
    ] = None,
    max_size: Annotated[
        float | None,
        typer.Option(help="Largest language model in MB; less important n-grams go.", min=0),
    ] = None,
    sources: Annotated[str, typer.Option(help="The text and its licence, for the card.")] = "",
) -> None:
    """Mix a text of your own into a bundle's language model; the result is a new bundle.

    The old bundle stays as it is. New words get their spelling, or a pronunciation by the bundle's
    model where it spells phones. Decoder weights and calibration stay: with recordings of your own
    `asr lm tune` and `asr calibrate` fit them anew.
    """
    from asr.bundle import Bundle, changed_copy, default_bundle
    from asr.lm import read_ngram
    from asr.lm.estimation.build import fitted
    from asr.lm.estimation.kneser_ney import Estimate
    from asr.lm.estimation.mixing import MOST
    from asr.lm.estimation.mixing import mix as mixed_with
    from asr.lm.estimation.pruning import chained
    from asr.text import without_accents

    before = Bundle.open(bundle or default_bundle())
    if before.lm is None:
        raise BadOption(f"{before.path} has no language model to mix with: see `asr lm add`.")
    if out.exists():
        raise BadOption(f"{out} is there already: name another folder for the new bundle.")
    tokenizer = before.tokenizer
    mixed = mixed_with(
        read_ngram(before.lm),
        text,
        bar,
        spells=lambda word: not tokenizer.unknown(word),
        language=before.info.language,
        weight=weight,
        plain=without_accents(tokenizer),
    )
    if mixed.weight > MOST:
        typer.echo(
            f"with a weight of {mixed.weight:g} the text counts for more than all that the old "
            "model knows: speech that is not like it will be read worse",
            err=True,
        )
    model = mixed.model
    if max_size is not None:
        model = fitted(Estimate(model, chained(model)), int(max_size * 1e6), bar)
    told = told_of_mixture(before, mixed.weight, sources or text.name)
    with changed_copy(before.path, out) as copy:
        silent = put_mixed(copy, model, mixed, told)
    typer.echo("\n".join(_report(mixed, model, silent)))
    typer.echo(f"written         {out}")


@app.command()
@takes("beam_size")
def tune(
    manifest: Annotated[Path, typer.Argument(help="JSON lines with `audio` and `text`.")],
    bundle: BundleOption = None,
    device: DeviceOption = "auto",
    clips: Annotated[
        int, typer.Option(help="Most clips to use, at even distances in the manifest.", min=1)
    ] = 500,
    **values: Any,
) -> None:
    """Tune the decoder weights of a bundle on a development set; write them into it.

    Use recordings that are in neither the training nor the final evaluation. --beam-size is written
    too, since other beam sizes need other weights.
    Exit code 0: written; 1: written, but some recordings could not be read; 2: nothing could be
    done.
    """
    from asr.bundle import put_decoding
    from asr.fitting import tune as search
    from asr.fitting.tuning import FEW_WORDS
    from asr.runtime import Recognizer

    recognizer = Recognizer.load(to_change(bundle), device)
    chosen = {name: value for name, value in values.items() if value is not None}
    failed = Failures()
    with bar("tuning") as progress:
        tuning = search(recognizer, manifest, progress, clips, failed.unread, **chosen)
    if tuning.words < FEW_WORDS:
        typer.echo(
            f"the clips have {counted(tuning.words, 'word')}, too few to trust: weights that were "
            f"tuned on fewer than {FEW_WORDS:,} may suit no other recording",
            err=True,
        )
    written = {**chosen, **tuning.best.values}
    put_decoding(recognizer.bundle.path, written)
    names = "".join(f"{name:16}{value:g}\n" for name, value in written.items())
    typer.echo(
        f"clips           {tuning.clips}\n"
        f"trials          {tuning.trials}\n"
        f"WER before      {tuning.before.wer:.2%}\n"
        f"WER             {tuning.best.wer:.2%}\n"
        f"{names}written into    {recognizer.bundle.path}"
    )
    failed.end()


def put_mixed(copy: Path, model: "NGram", mixed: "Mixed", sources: str) -> list[str]:
    """Puts a mixture into a bundle, and pronunciations of its new words; those that have none.

    Args:
        copy: the bundle, which nobody else reads.
        model: the mixture, or what is left of it.
    """
    from asr.bundle import put_lexicon, put_lm
    from asr.cli.lexicon import with_words
    from asr.lm import write_ngram
    from asr.text.pronunciations import Pronunciations

    with TemporaryDirectory() as folder:
        file = Path(folder) / "lm.npz"
        write_ngram(model, file)
        changed = put_lm(copy, file, _described(model, sources), similar=True)
    if changed.lexicon is None:
        return []
    known = Pronunciations.load_saved(changed.lexicon)
    lexicon = with_words(changed, model.spellable, known)
    put_lexicon(copy, lexicon, similar=True)
    return [word for word in mixed.new if word not in lexicon]


def told_of_mixture(before: "Bundle", weight: float, sources: str) -> str:
    """What the card says of a bundle's language model, mixed with so much of a text."""
    old = str((before.info.lm or {}).get("sources", "")).strip() or "texts that are not stated"
    return f"{old}; mixed with {weight:.0%} of {sources}"


def _described(model: "NGram", sources: str) -> dict[str, Any]:
    """What people should know of a language model."""
    return {
        "kind": model.kind,
        "order": model.order,
        "ngrams": list(model.sizes),
        "sources": sources,
    }


def _tell_dropped(old: "NGram", new: "NGram") -> None:
    """Names the words of a model that another lacks, on stderr."""
    known = set(new.vocabulary)
    dropped = [word for word in old.spellable if word and word not in known]
    if old.kind == "words" and dropped:
        typer.echo(
            f"of the {counted(len(old.vocabulary) - 3, 'word')} of the language model before, this "
            f"one lacks {len(dropped)}, first {', '.join(dropped[:5])}: `asr lm mix` keeps them",
            err=True,
        )


def _report(mixed: "Mixed", kept: "NGram", silent: list[str]) -> Iterator[str]:
    """A mixture in lines: its weight, what it gained, and what was lost of the text.

    Args:
        kept: what is left of it.
    """
    from asr.text import is_read_aloud

    whole = kept is mixed.model
    yield f"sentences       {mixed.sentences}"
    yield f"weight of text  {mixed.weight:.3f}"
    if mixed.held_out:
        of_what = "held-out" if whole else "held-out, before n-grams were left out"
        yield f"perplexity      {mixed.before:.1f} before, {mixed.after:.1f} after ({of_what})"
        yield f"unknown before  {mixed.unknown:.2%} of their words"
    if not whole:
        n_grams = sum(mixed.model.sizes)
        left_out = n_grams - sum(kept.sizes)
        yield f"left out        {left_out} of {n_grams} n-grams ({left_out / n_grams:.0%})"
    yield from new_words(mixed, silent)
    signs = {word: n for word, n in mixed.lost.items() if any(map(is_read_aloud, word))}
    for reason, lost in (
        ("digits, signs", signs),
        ("other letters", {word: n for word, n in mixed.lost.items() if word not in signs}),
    ):
        if lost:
            yield (
                f"lost            {counted(sum(lost.values()), 'word')} with "
                f"{reason}{_some(list(lost))}"
            )


def new_words(mixed: "Mixed", silent: Sequence[str]) -> Iterator[str]:
    """Lines on the words that the language model did not have, some of which nobody can say."""
    yield f"new words       {len(mixed.new)}{_some(mixed.new)}"
    if silent:
        yield (
            f"unpronounced    {counted(len(silent), 'word')}{_some(silent)}; give them by `asr "
            "lexicon add`"
        )


def _some(words: Sequence[str]) -> str:
    """The first few of some words."""
    more = ", …" if len(words) > 5 else ""
    return f": {', '.join(words[:5])}{more}" if words else ""


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
