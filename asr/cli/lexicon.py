"""`asr lexicon`: pronunciations of words."""

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from asr.cli.options import BundleOption, LanguageOption, to_change
from asr.cli.progress import bar
from asr.counting import counted
from asr.errors import BadData, BadOption
from asr.files import check_writable, write_atomically

if TYPE_CHECKING:
    from asr.bundle import Bundle
    from asr.text import PhoneTokenizer
    from asr.text.pronunciations import G2P, Pronounced, Pronunciations

_LISTED = 10  # words that a message names; of more it gives the number
_SIMILAR = 0.1  # share of a lexicon's words that may be others, and its calibration still holds


class _Pronouncing(TyperGroup):
    """`asr lexicon WORDS…` is `asr lexicon pronounce WORDS…`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["pronounce", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_Pronouncing, no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def lexicon() -> None:
    """Pronunciations: `asr lexicon WORDS…` (or `pronounce`), `asr lexicon train` and `add`."""


@app.command()
def pronounce(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="WORDS…", help="Words, texts (plain, .gz, .xz), or manifests (.jsonl)."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write, in place of stdout.")
    ] = None,
    bundle: BundleOption = None,
    dictionary: Annotated[
        list[Path] | None,
        typer.Option(
            help="File of lines `word<TAB>P1 P2`, or cmudict.dict. It goes before the "
            "bundle's; of several files, the first goes first."
        ),
    ] = None,
    g2p: Annotated[
        Path | None, typer.Option(help="Model of `asr lexicon train`, in place of the bundle's.")
    ] = None,
    nbest: Annotated[int, typer.Option(help="Most pronunciations of a word.", min=1)] = 3,
    origin: Annotated[
        bool, typer.Option("--origin", help="Add the source of each as a comment.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Check files of pronunciations: name the faulty lines.")
    ] = False,
    language: LanguageOption = "en",
) -> None:
    """Print pronunciations, in lines `word<TAB>P1 P2`, from dictionaries or else from a model.

    Exit code 0: done; 1: some words have no pronunciation, or --check found faults; 2: nothing
    could be done.
    """
    from asr.text.languages import language_code
    from asr.text.pronunciations import pronounce

    code = language_code(language)
    own, model, tokenizer = _resources(bundle, dictionary or [], g2p)
    if check:
        _check([Path(source) for source in sources], tokenizer)
        return
    if own is None and model is None:
        raise BadOption(
            "there is neither a dictionary nor a model of pronunciations; give --dictionary FILE, "
            "or a --bundle that has them."
        )
    words = dict.fromkeys(word for source in sources for word in _words(source, code))
    with bar("pronouncing") as progress:
        pronounced = pronounce(words, own, model, nbest, progress)
    lines = list(_lines(pronounced, origin))
    if out is None:
        typer.echo("".join(f"{line}\n" for line in lines), nl=False)
    else:
        write_atomically(out, "".join(f"{line}\n" for line in lines))
    _summary(pronounced, model)


@app.command()
def train(
    dictionary: Annotated[
        list[Path], typer.Argument(help="Files of lines `word<TAB>P1 P2`, or cmudict.dict.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write, usually g2p.npz.")],
    order: Annotated[int, typer.Option(help="Length of the longest n-grams, 2 to 10.")] = 7,
    max_size: Annotated[
        float,
        typer.Option(help="MB of the file; n-grams that matter least are removed.", min=0),
    ] = 2.0,
    held_out: Annotated[
        float,
        typer.Option(
            help="First measure the errors of a model trained without this share of the words.",
            min=0,
            max=0.5,
        ),
    ] = 0.0,
) -> None:
    """Train a model that pronounces words that no dictionary has, in any language and phones."""
    from asr.text.pronunciations import measure, split
    from asr.text.pronunciations import train as trained

    size = int(max_size * 1e6)
    words = _merged(dictionary)
    check_writable(out)
    if held_out:
        known, rest = split(words, held_out)
        score = measure(trained(known, order, size).g2p, rest)
        typer.echo(
            f"held-out words  {score.words}\n"
            f"phone errors    {score.phone_errors:.2%}\n"
            f"words wrong     {score.words_wrong:.2%}, with four guesses {score.words_missed:.2%}\n"
            f"spelled right   {score.spelled:.2%}, with five guesses {score.spelled_among:.2%}"
        )
    result = trained(words, order, size)
    result.g2p.save(out)
    if result.left_out:
        typer.echo(
            f"{counted(len(result.left_out), 'word')} with over two phones to a letter left out: "
            f"{_named(result.left_out)}",
            err=True,
        )
    typer.echo(
        f"words           {len(words) - len(result.left_out)}\n"
        f"letters         {len(result.g2p.letters)}\n"
        f"phones          {len(result.g2p.phones)}\n"
        f"size            {out.stat().st_size / 1e6:.2f} MB"
    )


@app.command()
def add(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILES…",
            help="Files of lines `word<TAB>P1 P2`; they replace the bundle's pronunciations of "
            "their words.",
        ),
    ] = None,
    bundle: BundleOption = None,
    g2p: Annotated[
        Path | None, typer.Option(help="Model of `asr lexicon train`, for words that no file has.")
    ] = None,
    sources: Annotated[
        str, typer.Option(help="Sources and licences of the pronunciations, for the model card.")
    ] = "",
) -> None:
    """Add pronunciations to a bundle with phones, for words of its language model and hot words.

    The model pronounces words of the language model that neither the files nor the bundle have.
    """
    from asr.bundle import Bundle, put_g2p, put_lexicon
    from asr.lm import read_ngram
    from asr.text import PhoneTokenizer, without_accents
    from asr.text.pronunciations import G2P, Pronunciations

    if not files and g2p is None:
        raise BadOption("there is nothing to add; give files of pronunciations, or --g2p.")
    opened = Bundle.open(to_change(bundle))
    if not isinstance(opened.tokenizer, PhoneTokenizer):
        raise BadOption(f"{opened.path} spells no phones, so that it cannot use a lexicon.")
    phones = opened.tokenizer.phones
    spelled = without_accents(opened.tokenizer)
    unknown = _unknown_to(opened.tokenizer)
    loaded = [Pronunciations.load(path, phones, unknown) for path in files or []]
    if g2p is not None:
        opened = put_g2p(opened.path, G2P.load(g2p))
    added = Pronunciations({}).merged(
        *(Pronunciations({spelled(word): said for word, said in one.items()}) for one in loaded)
    )
    before = Pronunciations({})
    if opened.lexicon is not None:
        before = Pronunciations.load_saved(opened.lexicon)
    known, unheard = added.merged(before), list[str]()
    if opened.lm is not None:
        words = read_ngram(opened.lm).spellable
        known, heard = with_words(opened, words, known), set(words)
        unheard = [word for word in added if word not in heard]
    new = len(known) - len(before)
    changed = sum(known[word] != said for word, said in before.items())
    similar = new + changed <= _SIMILAR * len(before)
    if len(known):
        put_lexicon(opened.path, known, sources, similar)
    typer.echo(
        f"{opened.path}: {counted(len(known), 'word')} with pronunciations, {new} of them new, "
        f"{changed} changed"
    )
    if not similar and "beam" in opened.info.calibration:
        typer.echo(
            "confidence and the detection of speech were fitted to the lexicon before, and are not "
            "kept: `asr calibrate` fits them anew",
            err=True,
        )
    if unheard:
        typer.echo(
            f"not in the language model: {_named(unheard)}. Such words are written only where they "
            "are hot words; texts that have them teach them, by `asr lm mix`",
            err=True,
        )


def with_words(bundle: "Bundle", words: list[str], known: "Pronunciations") -> "Pronunciations":
    """The pronunciations, and those by the bundle's model of the words that they lack."""
    from asr.text.pronunciations import G2P, complete

    path = bundle.g2p
    with bar("pronouncing") as progress:
        return complete(words, known, lambda: None if path is None else G2P.load(path), progress)


def _resources(
    bundle: Path | None, dictionaries: list[Path], g2p: Path | None
) -> "tuple[Pronunciations | None, G2P | None, PhoneTokenizer | None]":
    """Dictionary, model, and the letters and phones of the bundle if it has any."""
    from asr.text.pronunciations import G2P, Pronunciations

    own, tokenizer = None, None
    if bundle is not None or not dictionaries or g2p is None:
        from asr.bundle import Bundle, default_bundle
        from asr.text import PhoneTokenizer

        opened = Bundle.open(bundle or default_bundle())
        own = None if opened.lexicon is None else Pronunciations.load_saved(opened.lexicon)
        g2p = g2p or opened.g2p
        if isinstance(opened.tokenizer, PhoneTokenizer):
            tokenizer = opened.tokenizer
    if dictionaries:
        mine = _merged(dictionaries, None if tokenizer is None else tokenizer.phones)
        own = mine if own is None else mine.merged(own)
    return own, None if g2p is None else G2P.load(g2p), tokenizer


def _merged(paths: list[Path], phones: tuple[str, ...] | None = None) -> "Pronunciations":
    """The pronunciations in some files; faulty lines are skipped and named on stderr."""
    from asr.text.pronunciations import read

    merged = []
    for path in paths:
        good, faults = read(path, phones)
        merged.append(good)
        if faults:
            typer.echo(
                f"{path}: {counted(len(faults), 'line')} passed over, as line {faults[0].line}: "
                f"{faults[0].reason} (all of them: `asr lexicon --check "
                f"{shlex.quote(str(path))}`)",
                err=True,
            )
    return merged[0].merged(*merged[1:])


def _unknown_to(tokenizer: "PhoneTokenizer") -> Callable[[str], set[str]]:
    """Word -> its letters that a model lacks, also without their accents."""
    from asr.text import without_accents

    spelled = without_accents(tokenizer)
    return lambda word: tokenizer.unknown(spelled(word))


def _check(paths: list[Path], tokenizer: "PhoneTokenizer | None") -> None:
    from asr.text.pronunciations import read

    phones = unknown = None
    if tokenizer is not None:
        phones, unknown = tokenizer.phones, _unknown_to(tokenizer)
    faulty = False
    for path in paths:
        good, faults = read(path, phones, unknown)
        for fault in faults:
            typer.echo(f"{path}, line {fault.line}: {fault.reason}")
        said = sum(len(pronunciations) for pronunciations in good.values())
        typer.echo(
            f"{path}: {counted(len(good), 'word')}, {counted(said, 'pronunciation')}, "
            f"{counted(len(good.phones), 'phone')}, {counted(len(faults), 'faulty line')}"
        )
        faulty |= bool(faults)
    if faulty:
        raise typer.Exit(1)


def _words(source: str, language: str) -> Iterator[str]:
    """The words of a file, or the word itself, in the normal form of a language."""
    from asr.lm.estimation.texts import sentences
    from asr.text import PLAIN, normaliser
    from asr.text.pronunciations import has_pronunciations

    path, normal = Path(source), normaliser(PLAIN, language)
    if path.is_file() and has_pronunciations(path):
        raise BadOption(
            f"{source} has pronunciations in place of a text: give it by --dictionary, or --check "
            "it."
        )
    if path.is_file():
        with bar("reading") as progress:
            for sentence in sentences(path, progress, language):
                yield from sentence
    elif path.suffix or len(path.parts) > 1:
        raise BadData(f"there is no file {source}; correct the path, or give words.")
    elif words := normal(source).split():
        yield from words
    else:
        raise BadOption(f"{source!r} is no word; give words, texts or manifests.")


def _lines(pronounced: "list[Pronounced]", origin: bool) -> Iterator[str]:
    for word in pronounced:
        comment = f" # {word.source}" if origin else ""
        yield from (f"{word.word}\t{' '.join(phones)}{comment}" for phones in word.said)


def _summary(pronounced: "list[Pronounced]", model: "G2P | None") -> None:
    """Print to stderr how many words came from each source, and which have no pronunciation."""
    counts = {"dictionary": 0, "form": 0, "model": 0}
    for entry in pronounced:
        counts[entry.source] += bool(entry.said)
    typer.echo(
        f"words by the dictionary: {counts['dictionary']}, as forms of others: {counts['form']}, "
        f"by the model: {counts['model']}",
        err=True,
    )
    if silent := [entry.word for entry in pronounced if not entry.said]:
        reason = "there is no model for words beyond the dictionary"
        if model is not None:
            unknown = sorted({letter for word in silent for letter in model.unknown(word)})
            reason = f"the model has no letters {' '.join(unknown)}" if unknown else "too long"
        typer.echo(
            f"{counted(len(silent), 'word')} without a pronunciation ({reason}): {_named(silent)}",
            err=True,
        )
        raise typer.Exit(1)


def _named(words: "tuple[str, ...] | list[str]") -> str:
    more = f" and {len(words) - _LISTED} more" if words[_LISTED:] else ""
    return f"{', '.join(words[:_LISTED])}{more}"
