"""Options that several commands share."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from asr.errors import BadOption
from asr.files import check_writable
from asr.options import Options, Selection, Weights, described
from asr.transcript import LAYOUT, Layout, check_layout

BundleOption = Annotated[
    Path | None, typer.Option("--bundle", help="Folder of a bundle; else the one that ships.")
]
DeviceOption = Annotated[
    str, typer.Option("--device", help="auto, cpu or cuda; auto is the GPU where there is one.")
]
LanguageOption = Annotated[
    str, typer.Option("--language", help="Language of the texts, by its code, such as de.")
]
LmOption = Annotated[
    Path | None,
    typer.Option("--lm", help="Language model of `asr lm build`, in place of the bundle's."),
]
HotwordsOption = Annotated[
    Path | None,
    typer.Option(
        "--hotwords",
        help="File of words or phrases to favour, one per line or with commas between them.",
    ),
]
WEIGHTS = tuple(weight.name for weight in fields(Weights))
"""The options that are weights of the beam search."""
Command = TypeVar("Command", bound=Callable[..., None])


def takes(*names: str, of: type = Options) -> Callable[[Command], Command]:
    """Gives a command these options of a dataclass, as keywords that are None if left out.

    Their types, limits and help come from the dataclass.
    """

    def decorated(command: Command) -> Command:
        signature = inspect.signature(command)
        every = signature.parameters.values()
        own = [one for one in every if one.kind is not inspect.Parameter.VAR_KEYWORD]
        added = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(name, of)
            )
            for name in names
        ]
        shown = signature.replace(parameters=[*own, *added])
        command.__signature__ = shown  # type: ignore[attr-defined]
        command.__annotations__ |= {option.name: option.annotation for option in added}
        return command

    return decorated


def _annotation(name: str, of: type) -> Any:
    option = described(name, of)
    help = option.help
    if option.high is not None:
        help = f"{help.rstrip('.')} ({option.low:g} to {option.high:g})."
    flag = f"--{name.replace('_', '-')}"
    return Annotated[option.kind | None, typer.Option(flag, help=help)]


def to_change(bundle: Path | None) -> Path:
    """The bundle that a command changes where it lies; if it is the one that ships, since none was
    named, stderr says so.

    Raises:
        BadOption: nothing can be written there.
    """
    from asr.bundle import default_bundle

    if (path := bundle) is None:
        path = default_bundle()
        said = f"no --bundle is named, so the one that ships is to be changed: {path}"
        typer.echo(said, err=True)
    if path.is_dir():  # whoever opens it says so else
        check_writable(path / "bundle.json")
    return path


def on_disk(text: str) -> Path:
    """The path that an option names.

    Raises:
        BadOption: it is the address of a store.
    """
    from asr.batch import Address, place_of  # which `--help` need not load

    place = place_of(text)
    if isinstance(place, Address):
        raise BadOption(
            f"{text} is in a store, and results are written to a disk: name a folder there, and "
            "copy it with the store's own tool, such as `aws s3 sync`."
        )
    return place


def laid_out(formats: Sequence[str], values: dict[str, Any]) -> Layout:
    """The layout that was chosen on a command line; its options are taken out of `values`.

    Raises:
        BadOption: a value cannot be, or has no effect on any of the formats.
    """
    given = {name: values.pop(name) for name in LAYOUT if name in values}
    layout = Layout(**{name: value for name, value in given.items() if value is not None})
    check_layout(layout, formats)
    return layout


def selected(track: int | None, values: dict[str, Any], layout: Layout) -> Selection:
    """The sound that was chosen on a command line; its options are taken out of `values`.

    Raises:
        BadOption: a value cannot be, or `layout` names speakers of channels that are not split.
    """
    given = {name: values.pop(name) for name in ("channels", "start", "duration")}
    known = {name: value for name, value in given.items() if value is not None}
    selection = Selection(track=track, **known)
    if layout.speakers and not selection.is_split:
        raise BadOption("speakers have no effect where channels are mixed: add --channels split.")
    return selection


def reading(hotwords: Path | None = None, lm: Path | None = None, **values: Any) -> dict[str, Any]:
    """The options of `Recognizer.transcribe` that were given on a command line.

    Raises:
        BadOption: the file of hot words cannot be read or has none, or the language model would
            have no effect.
    """
    if lm is not None and values.get("decoder") == "greedy":
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
        phrases = (phrase.strip() for line in lines for phrase in line.split(","))
        given["hotwords"] = tuple(phrase for phrase in phrases if phrase)
        if not given["hotwords"]:
            raise BadOption(f"{hotwords} names no hot words; write one on each line.")
    return given
