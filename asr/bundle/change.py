"""What a bundle is given after its export: a language model, decoding defaults, a calibration.

Each change is one replacement of `bundle.json`, so that a reader sees the old bundle or the new
one. What was fitted or measured with an older language model goes with it.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from asr.bundle.bundle import (
    CHECKED_FILES,
    G2P_MODEL,
    LEXICON,
    LM,
    PUNCTUATION,
    Bundle,
    checksum,
)
from asr.bundle.card import write_info
from asr.bundle.info import BundleInfo
from asr.errors import BadBundle, BadData, BadOption
from asr.files import replacing
from asr.text import PhoneTokenizer
from asr.text.pronunciations import G2P, Pronunciations

_KEPT = ("name", "decoding", "lm", "lexicon", "punctuation", "calibration")
"""What a bundle keeps when it gets other weights."""


@contextmanager
def changed_copy(path: Path, out: Path) -> Iterator[Path]:
    """A copy of the bundle at `path`, to be changed, which becomes the folder `out` at the end.

    Raises:
        BadBundle: `path` is no sound bundle.
        BadOption: `out` exists, or cannot be written.
    """
    bundle = Bundle.open(path)
    if out.exists():
        raise BadOption(f"{out} is there already: name another folder for the new bundle.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as folder:
            copy = Path(folder) / out.name
            shutil.copytree(bundle.path, copy)
            write_info(copy, replace(bundle.info, name=out.resolve().name))
            yield copy
            copy.rename(out)
    except shutil.Error as error:  # of copying: a list of files with what the system says of each
        (_, _, why), *_ = error.args[0]
        raise BadOption(f"{out} cannot be written ({why}).") from error
    except OSError as error:
        raise BadOption(f"{out} cannot be written ({error.strerror}).") from error


def put_acoustics(path: Path, other: Bundle) -> Bundle:
    """The bundle at `path` with the acoustic model of another one that spells in the same units.

    Language model, lexicon, marks, decoding defaults and calibration stay; figures, which hold for
    the weights, go.

    Raises:
        BadBundle: `path` is no sound bundle, cannot be written, or spells in other units.
    """
    bundle = Bundle.open(path)
    if other.tokenizer.state() != bundle.tokenizer.state():
        raise BadBundle(f"{other.path} spells in other units than {bundle.path}.")
    try:
        for name in CHECKED_FILES:
            with replacing(bundle.path / name) as file, (other.path / name).open("rb") as content:
                shutil.copyfileobj(content, file)
    except OSError as error:
        raise BadBundle(f"{other.path} cannot be put into {path} ({error.strerror}).") from error
    own, new = bundle.info, other.info
    kept = {key: getattr(own, key) for key in _KEPT}
    checksums = own.checksums | new.checksums
    write_info(bundle.path, replace(new, **kept, checksums=checksums, figures=()))
    return Bundle.open(path)


def put_lm(path: Path, lm: Path, about: Mapping[str, Any], similar: bool = False) -> Bundle:
    """The bundle at `path` with the n-gram model in the file `lm`, in place of one it may have.

    Weights and bonuses of the decoder, which hold for one language model, go back to the defaults,
    and so do the calibration of the beam search and its error rates.

    Args:
        about: what people should know of the model, JSON-ready: its texts, licence, order, size.
        similar: whether it is close to the old one, so that weights and calibration stay.

    Raises:
        BadBundle: `path` is no sound bundle, or cannot be written.
    """
    bundle = Bundle.open(path)
    try:
        with lm.open("rb") as file:
            info = _put_file(bundle, LM, file, similar)
    except OSError as error:
        raise BadBundle(f"{lm} cannot be read ({error.strerror}).") from error
    told = {**about, "bytes": (bundle.path / LM).stat().st_size}
    decoding = info.decoding if similar else {}
    write_info(bundle.path, replace(info, lm=told, decoding=decoding))
    return Bundle.open(path)


def put_lexicon(
    path: Path, lexicon: Pronunciations, sources: str = "", similar: bool = False
) -> Bundle:
    """The bundle at `path` with these pronunciations, in place of its own.

    The calibration of the beam search and its error rates, which hold for one lexicon, go.

    Args:
        sources: where they are from and their licences, for the card; without it, what is told of
            the lexicon that the bundle had.
        similar: whether it only adds to the old one, so that the calibration stays.

    Raises:
        BadBundle: `path` is no sound bundle, has no phones, or cannot be written.
        BadData: `lexicon` has a phone that the bundle lacks.
    """
    bundle = Bundle.open(path)
    _check_phones(bundle, "lexicon", lexicon.phones)
    content = "".join(f"{line}\n" for line in lexicon.lines())
    info = _put_file(bundle, LEXICON, BytesIO(content.encode("utf-8")), similar)
    told = {
        "words": len(lexicon),
        "pronunciations": sum(map(len, lexicon.values())),
        "sources": sources or (bundle.info.lexicon or {}).get("sources", ""),
    }
    write_info(bundle.path, replace(info, lexicon=told))
    return Bundle.open(path)


def put_g2p(path: Path, g2p: G2P) -> Bundle:
    """The bundle at `path` with this model of pronunciations, in place of its own.

    Raises:
        BadBundle: `path` is no sound bundle, has no phones, or cannot be written.
        BadData: `g2p` has a phone that the bundle lacks.
    """
    bundle = Bundle.open(path)
    _check_phones(bundle, "model of pronunciations", g2p.phones)
    changed = _put_file(bundle, G2P_MODEL, BytesIO(g2p.packed()), similar=False)
    write_info(bundle.path, replace(bundle.info, checksums=changed.checksums))
    return Bundle.open(path)


def put_punctuation(path: Path, graph: bytes, about: Mapping[str, Any]) -> Bundle:
    """The bundle at `path` with this model of marks and capitals, in place of its own.

    Args:
        graph: in ONNX.
        about: what people should know of it, JSON-ready: its texts, their licences.

    Raises:
        BadBundle: `path` is no sound bundle, or cannot be written.
    """
    bundle = Bundle.open(path)
    checksums = _put_file(bundle, PUNCTUATION, BytesIO(graph), similar=True).checksums
    told = {**about, "bytes": len(graph)}
    write_info(bundle.path, replace(bundle.info, checksums=checksums, punctuation=told))
    return Bundle.open(path)


def _check_phones(bundle: Bundle, what: str, phones: Sequence[str]) -> None:
    if not isinstance(bundle.tokenizer, PhoneTokenizer):
        raise BadBundle(f"{bundle.path} spells no phones, so that it cannot use a {what}.")
    if unknown := sorted(set(phones).difference(bundle.tokenizer.phones)):
        raise BadData(
            f"the {what} has the unknown phone {unknown[0]!r}; {bundle.path} has "
            f"{' '.join(bundle.tokenizer.phones)}."
        )


def _put_file(bundle: Bundle, name: str, content: BinaryIO, similar: bool) -> BundleInfo:
    """The info of a bundle that now has a file with `content`, less what held for the old one.

    A calibration holds for a similar file too.
    """
    try:
        with replacing(bundle.path / name) as file:
            shutil.copyfileobj(content, file)
        digest = checksum(bundle.path / name)
    except OSError as error:
        raise BadBundle(f"{name} cannot be put into {bundle.path} ({error.strerror}).") from error
    info = bundle.info
    return replace(
        info,
        checksums={**info.checksums, name: digest},
        calibration={
            key: value for key, value in info.calibration.items() if similar or key != "beam"
        },
        figures=tuple(figure for figure in info.figures if figure.decoder != "beam"),
    )


def put_decoding(path: Path, decoding: Mapping[str, Any]) -> Bundle:
    """The bundle at `path` with defaults of `asr.runtime.Options` that were tuned for it.

    Raises:
        BadBundle: `path` is no sound bundle.
    """
    bundle = Bundle.open(path)
    info = replace(bundle.info, decoding={**bundle.info.decoding, **decoding})
    write_info(bundle.path, info)
    return Bundle.open(path)


def put_calibration(path: Path, calibration: Mapping[str, Any]) -> Bundle:
    """The bundle at `path` with a calibration (see `asr.decoding.Calibration`).

    Raises:
        BadBundle: `path` is no sound bundle.
    """
    bundle = Bundle.open(path)
    info = replace(bundle.info, calibration={**bundle.info.calibration, **calibration})
    write_info(bundle.path, info)
    return Bundle.open(path)
