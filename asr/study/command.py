"""`asr study memory`: its config, the study, and what it writes."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

from asr.study.config import MemoryStudy
from asr.study.findings import Findings
from asr.study.memory import run
from asr.study.page import PAGE, summary, write_page
from asr.training.command.parser import StrictParser
from asr.training.lightning_internals import read_attribute_docs


class _Parser(StrictParser):
    command = "asr study memory"
    listing = "--keys"
    more = ""


def read_study(arguments: Sequence[str]) -> MemoryStudy:
    """The study of `--config FILE` and `--KEY VALUE`.

    Raises:
        BadOption: there is no such file or key, or a value cannot be.
    """
    parser = _parser()
    made = parser.instantiate_classes(parser.parse_args(list(arguments)))
    return MemoryStudy(**{field.name: made[field.name] for field in fields(MemoryStudy)})


def keys() -> str:
    """The help of every key."""
    read_attribute_docs(True)
    return _parser().format_help()


def _parser() -> StrictParser:
    parser = _Parser(prog="asr study memory", description="")
    parser.add_argument("--config", action="config", help="A YAML file with these keys.")
    parser.add_class_arguments(MemoryStudy, None)
    return parser


def study_memory(
    study: MemoryStudy, folder: Path, say: Callable[[str], None]
) -> tuple[Path, Sequence[str]]:
    """Runs or resumes a study; returns its page and its summary as lines."""
    findings = Findings(study, run(study, folder, say))
    write_page(findings, folder)
    return folder / PAGE, list(summary(findings))
