"""The rooms: each imports only what the design lets it, and arrows go one way."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Room -> the rooms and outside packages it may use. `asr.errors` is everybody's.
MAY_USE = {
    "asr.audio": {"numpy", "soundfile", "av", "soxr"},
    "asr.text": {"sentencepiece"},
    "asr.transcript": set(),
    "asr.model": {"torch"},
    "asr.corpus": {"asr.audio", "asr.text", "lhotse", "numpy", "soundfile", "torch"},
    "asr.decoding": {"asr.text", "asr.transcript", "numpy", "torch"},
    "asr.bundle": {
        "asr.model", "asr.text", "numpy", "onnx", "onnxruntime", "safetensors", "torch",
    },
    "asr.training": {
        "asr.audio", "asr.bundle", "asr.corpus", "asr.decoding", "asr.model", "asr.text",
        "jiwer", "lightning", "matplotlib", "numpy", "rich", "torch", "torchaudio", "yaml",
    },
    "asr.runtime": {
        "asr.audio", "asr.bundle", "asr.decoding", "asr.text", "asr.transcript", "numpy",
        "onnxruntime", "torch",
    },
    "asr.batch": {"asr.audio", "asr.runtime", "asr.transcript"},
    "asr.evaluation": {
        "asr.audio", "asr.corpus", "asr.decoding", "asr.runtime", "asr.text", "jiwer",
        "matplotlib", "numpy", "torch",
    },
    "asr.cli": {
        "asr", "service", "av", "matplotlib", "numpy", "rich", "soundfile", "torch", "typer",
    },
    "service": {
        "asr.audio", "asr.bundle", "asr.runtime", "asr.text", "asr.transcript", "fastapi", "numpy",
        "opentelemetry", "prometheus_client", "pydantic",
        "pydantic_core", "pydantic_settings",
        "starlette", "uvicorn", "anyio",
    },
}  # fmt: skip
STANDARD = set(__import__("sys").stdlib_module_names)


def room_of(module: str) -> str:
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "asr" else parts[0]


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


@pytest.mark.parametrize("room", MAY_USE)
def test_a_room_uses_only_what_the_design_lets_it(room: str) -> None:
    folder = ROOT / room.replace(".", "/")
    files = list(folder.rglob("*.py"))
    assert files
    for path in files:
        for module in imports(path):
            used = room_of(module)
            allowed = MAY_USE[room]
            ok = (
                used in (room, "asr.errors")
                or used in allowed
                or (used.startswith("asr.") and "asr" in allowed)
                or used in STANDARD
            )
            assert ok, f"{path.relative_to(ROOT)} imports {module}"


def test_every_room_is_held_to_this() -> None:
    rooms = {
        f"asr.{path.name}" for path in (ROOT / "asr").iterdir() if (path / "__init__.py").exists()
    }
    assert rooms | {"service"} == set(MAY_USE)
