"""The rooms: each imports only what its table allows, and imports go one way."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Room -> the rooms, single modules of others, and outside packages that it may use. What is in
# `FOR_ALL` is everybody's.
MAY_USE = {
    "asr.audio": {"numpy", "soundfile", "av", "soxr"},
    "asr.text": {"num2words", "numpy", "sentencepiece", "whisper_normalizer"},
    "asr.transcript": set(),
    "asr.model": {"torch"},
    "asr.lm": {"asr.text", "numpy", "torch"},
    "asr.corpus": {"asr.audio", "asr.text", "numpy", "smart_open", "soundfile", "torch"},
    "asr.punctuation": {"asr.text", "numpy", "text_to_num"},
    "asr.bundle": {"asr.model", "asr.text", "numpy", "onnxruntime", "safetensors", "torch"},
    "asr.decoding": {"asr.lm", "asr.text", "asr.transcript", "llvmlite", "numba", "numpy", "torch"},
    "asr.export": {
        "asr.bundle", "asr.model", "asr.punctuation", "asr.training.checkpoint", "numpy", "onnx",
        "onnxruntime",
        "safetensors", "torch",
    },
    "asr.runtime": {
        "asr.audio", "asr.bundle", "asr.decoding", "asr.lm", "asr.punctuation", "asr.text",
        "asr.transcript", "numpy", "onnxruntime", "torch",
    },
    "asr.inspection": {
        "asr.audio", "asr.model", "asr.runtime", "asr.text", "asr.transcript", "markupsafe",
        "matplotlib", "numpy", "torch",
    },
    "asr.training": {
        "asr.audio", "asr.bundle", "asr.corpus", "asr.decoding", "asr.model", "asr.punctuation",
        "asr.text", "jiwer", "jsonargparse", "lightning", "markupsafe", "matplotlib", "numpy",
        "rich", "torch", "torchaudio", "yaml",
    },
    "asr.study": {
        "asr.corpus", "asr.model", "asr.text", "asr.training", "markupsafe", "matplotlib", "numpy",
        "torch",
    },
    "asr.batch": {
        "asr.audio", "asr.bundle", "asr.runtime", "asr.transcript", "aiohttp", "fsspec", "ray",
    },
    "asr.evaluation": {
        "asr.audio", "asr.corpus", "asr.decoding", "asr.punctuation", "asr.runtime", "asr.text",
        "jiwer", "numpy",
    },
    "asr.fitting": {
        "asr.audio", "asr.corpus", "asr.decoding", "asr.evaluation", "asr.runtime", "asr.text",
        "numpy", "torch",
    },
    "asr.adaptation": {
        "asr.audio", "asr.batch", "asr.bundle", "asr.corpus", "asr.evaluation", "asr.export",
        "asr.fitting", "asr.model", "asr.runtime", "asr.text", "asr.training", "numpy", "torch",
        "yaml",
    },
    "asr.cli": {
        "asr", "service", "av", "matplotlib", "numpy", "rich", "soundfile", "torch", "typer",
    },
    "service.monitoring": {"opentelemetry", "prometheus_client", "starlette"},
    "service.access": {"service.monitoring", "fastapi", "h11", "starlette", "uvicorn"},
    "service.engine": {
        "asr.audio", "asr.bundle", "asr.runtime", "asr.transcript", "service.monitoring",
        "fastapi", "numpy",
    },
    "service.jobs": {
        "asr.audio", "asr.transcript", "service.access.usage", "service.engine",
        "service.monitoring", "fastapi", "psycopg",
    },
    "service.live": {"asr.audio", "asr.transcript", "service.monitoring", "numpy"},
    "service.api": {
        "asr.audio", "asr.runtime", "asr.text", "asr.transcript", "service.access",
        "service.engine", "service.jobs", "service.live", "service.monitoring", "fastapi",
        "prometheus_client", "pydantic",
        "pydantic_core", "python_multipart", "starlette",
    },
    # The files beside the service's rooms.
    "service": {
        "asr.audio", "service.access", "service.api", "service.engine", "service.jobs",
        "service.live", "service.monitoring", "fastapi", "pydantic", "pydantic_core",
        "pydantic_settings", "starlette", "uvicorn",
    },
}  # fmt: skip
FOR_ALL = {
    "asr.cache", "asr.counting", "asr.durations", "asr.errors", "asr.files", "asr.machine",
    "asr.options", "asr.pages", "asr.remote", "asr.sampling", "asr.scratch", "asr.scripts",
    "service.errors", "service.settings",
}  # fmt: skip
ORDER = (
    {"asr.audio", "asr.text", "asr.model", "asr.transcript"},
    {"asr.lm", "asr.bundle", "asr.corpus", "asr.punctuation"},
    {"asr.decoding", "asr.export"},
    {"asr.runtime", "asr.training"},
    {"asr.batch", "asr.evaluation", "asr.inspection", "asr.study", "service.monitoring"},
    {"asr.fitting", "service.access", "service.engine", "service.live"},
    {"asr.adaptation", "service.jobs"},
    {"service.api"},
    {"service"},
    {"asr.cli"},
)
"""The rooms in the order of their arrows: a room uses only rooms of earlier groups."""
STANDARD = set(sys.stdlib_module_names)


def room_of(module: str) -> str:
    package, *inner = module.split(".")
    room = ".".join([package, *inner[:1]])
    return room if package == "asr" or room in MAY_USE else package


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}: relative import"
            if node.module == "asr":
                yield from (f"asr.{alias.name}" for alias in node.names)
            else:
                yield node.module


def is_allowed(module: str, room: str) -> bool:
    used, allowed = room_of(module), MAY_USE[room]
    return (
        used == room
        or used in allowed
        or module in allowed | FOR_ALL
        or used.partition(".")[0] in allowed  # a command may use all of a package
        or used in STANDARD
    )


@pytest.mark.parametrize("room", MAY_USE)
def test_a_room_imports_only_what_the_table_allows(room: str) -> None:
    folder = ROOT / room.replace(".", "/")
    files = list(folder.glob("*.py") if room == "service" else folder.rglob("*.py"))
    assert files
    for path in files:
        for module in imports(path):
            assert is_allowed(module, room), f"{path.relative_to(ROOT)} imports {module}"


def test_every_room_is_in_the_table() -> None:
    rooms = {
        f"{path.parent.name}.{path.name}"
        for package in ("asr", "service")
        for path in (ROOT / package).iterdir()
        if (path / "__init__.py").exists()
    }
    assert rooms | {"service"} == set(MAY_USE)


def test_arrows_go_one_way() -> None:
    place = {room: index for index, group in enumerate(ORDER) for room in group}
    assert set(place) == set(MAY_USE)
    for room, allowed in MAY_USE.items():
        for used in allowed & set(place):
            assert place[used] < place[room], f"{room} uses {used}, which does not come before it"


def test_no_circle_of_imports() -> None:
    """Of imports that run when a module is loaded, over both packages."""
    paths = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for top in ("asr", "service")
        for path in (ROOT / top).rglob("*.py")
    }
    uses = {module: set(on_loading(path, set(paths))) for module, path in paths.items()}
    while free := [module for module, used in uses.items() if not used & uses.keys()]:
        for module in free:
            del uses[module]
    assert not uses, f"these import each other: {sorted(uses)}"


def on_loading(path: Path, modules: set[str]) -> Iterator[str]:
    """The modules that a file imports outside of functions and of `if TYPE_CHECKING`."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_modules_for_all_import_no_room() -> None:
    for module in FOR_ALL:
        path = ROOT / f"{module.replace('.', '/')}.py"
        assert {used for used in imports(path) if used.startswith(("asr", "service"))} <= FOR_ALL
