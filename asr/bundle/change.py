"""What a bundle is given after its export: a language model, decoding defaults, a calibration.

Each change is one replacement of `bundle.json`, so that a reader sees the old bundle or the new
one. What was fitted or measured with an older language model goes with it.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asr.bundle.bundle import LM, Bundle, checksum
from asr.bundle.card import write_info
from asr.errors import BadBundle


def put_lm(path: Path, lm: Path, about: Mapping[str, Any]) -> Bundle:
    """The bundle at `path` with the n-gram model in the file `lm`, in place of one it may have.

    Weights and bonuses of the decoder, which hold for one language model, go back to the defaults,
    and so do the calibration of the beam search and its error rates.

    Args:
        about: what people should know of the model, JSON-ready: its texts, licence, order, size.

    Raises:
        BadBundle: `path` is no sound bundle, or cannot be written.
    """
    bundle = Bundle.open(path)
    new = bundle.path / f".{LM}.new"
    try:
        shutil.copyfile(lm, new)
        found = checksum(new)
        os.replace(new, bundle.path / LM)
    except OSError as error:
        raise BadBundle(f"{lm} cannot be put into {path} ({error.strerror}).") from error
    info = dict(bundle.info)
    info["checksums"] = {**info["checksums"], LM: found}
    info["lm"] = {**about, "bytes": (bundle.path / LM).stat().st_size}
    info["decoding"] = {}
    info["calibration"] = {
        key: value for key, value in info.get("calibration", {}).items() if key != "beam"
    }
    info["figures"] = [one for one in info["figures"] if one["decoder"] != "beam"]
    write_info(bundle.path, info)
    return Bundle.open(path)


def put_decoding(path: Path, decoding: Mapping[str, Any]) -> Bundle:
    """The bundle at `path` with defaults of `asr.runtime.Options` that were tuned for it.

    Raises:
        BadBundle: `path` is no sound bundle.
    """
    return _put(path, "decoding", decoding)


def put_calibration(path: Path, calibration: Mapping[str, Any]) -> Bundle:
    """The bundle at `path` with a calibration (see `asr.decoding.Calibration`).

    Raises:
        BadBundle: `path` is no sound bundle.
    """
    return _put(path, "calibration", calibration)


def _put(path: Path, key: str, values: Mapping[str, Any]) -> Bundle:
    bundle = Bundle.open(path)
    write_info(bundle.path, {**bundle.info, key: {**bundle.info.get(key, {}), **values}})
    return Bundle.open(path)
