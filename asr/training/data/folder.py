"""The folder of the corpora."""

import os
from pathlib import Path

from asr.errors import BadData

ROOT_VARIABLE = "EARSHOT_DATA"


def corpus_folder(root: str | None, key: str = "data.root") -> Path:
    """The folder `root`, else that of EARSHOT_DATA; BadData if there is none.

    Args:
        key: of the config in which `root` is given.
    """
    named = root or os.environ.get(ROOT_VARIABLE)
    if not named:
        raise BadData(
            f"the corpus folder is not set: give --{key} FOLDER or the variable "
            f"{ROOT_VARIABLE}; it is the folder of your manifests, JSON lines with `audio` and "
            "`text`."
        )
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise BadData(
            f"there is no corpus folder {folder}; make it, with manifests of JSON lines "
            f"(`audio`, a path relative to the manifest, and `text`), or correct {key}."
        )
    return folder
