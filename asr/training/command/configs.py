"""What a config's file must be before its keys are parsed: YAML of keys, each written once."""

from collections.abc import Collection, Iterator
from pathlib import Path

import yaml

from asr.errors import BadOption

_ENCODING = "utf-8-sig"  # UTF-8, also with the mark that Windows puts in front
_TEXT = "tag:yaml.org,2002:str"


def check_config(path: Path, groups: Collection[str], group: str = "") -> None:
    """Refuses a file of which YAML, or the parser, would say little or take only a part; so for
    the files that stand in it for a group of keys.

    Args:
        groups: those that have keys below them, such as `model` and `model.network`.
        group: the one whose keys the file has; without it, it has all.

    Raises:
        BadOption: it cannot be read as YAML, has no keys, has one twice, or has a value where keys
            belong.
    """
    top = _tree(path)
    if not isinstance(top, yaml.MappingNode):
        example = "`KEY: VALUE`, a line each" if group else "`data:` and, indented, `root: FOLDER`"
        raise BadOption(f"{path} has no keys: write them as {example}.")
    _refuse_repeated(path, top)
    for name, value in top.value:
        is_file = value.tag == _TEXT  # whose keys are meant
        is_group = not group and name.value in groups
        if is_group and not isinstance(value, yaml.MappingNode) and not is_file:
            raise BadOption(
                f"{path}:{_line(name)}: {name.value} takes keys below it, indented: write some, "
                "or leave it out."
            )
    for key, file in _files_in(top, group):
        if key in groups and (path.parent / file).is_file():
            check_config(path.parent / file, groups, key)


def _files_in(node: yaml.MappingNode, group: str) -> Iterator[tuple[str, str]]:
    """The keys below a node whose value is a text, which may be a file's name, and the text."""
    for name, value in node.value:
        key = f"{group}.{name.value}" if group else name.value
        if isinstance(value, yaml.MappingNode):
            yield from _files_in(value, key)
        elif value.tag == _TEXT:
            yield key, value.value


def _tree(path: Path) -> yaml.Node | None:
    if not path.is_file():
        raise BadOption(f"there is no config {path}; name a YAML file.")
    try:
        tree: yaml.Node | None = yaml.compose(path.read_text(encoding=_ENCODING), yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise BadOption(f"{path} is not UTF-8: save it as that, as plain text.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else f"{path}"
        what = getattr(error, "problem", None) or getattr(error, "reason", "it cannot be read")
        raise BadOption(
            f"{where}: {what}; write `key: value`, and indent with spaces, not tabs."
        ) from error
    return tree


def _refuse_repeated(path: Path, node: yaml.Node) -> None:
    """BadOption for a key that is written twice, of which YAML would keep the last alone."""
    if isinstance(node, yaml.SequenceNode):
        for one in node.value:
            _refuse_repeated(path, one)
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[str, int] = {}
    for name, value in node.value:
        if name.value in lines:
            raise BadOption(
                f"{path}:{_line(name)}: {name.value} stands in line {lines[name.value]} already: "
                "write it once, with all that belongs to it."
            )
        lines[name.value] = _line(name)
        _refuse_repeated(path, value)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
