"""The exporter: what it writes, and what it refuses to write."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from full_disk import full_disk
from onnx import numpy_helper

import asr.export.onnx.graph
import asr.export.onnx.quantisation
from asr.bundle import Bundle, Figure, TrainingInfo, record_figure
from asr.bundle.info import Precision
from asr.errors import AsrError, BadBundle, BadOption
from asr.export import export
from asr.export.onnx.graph import build_graph
from asr.model import AcousticModel, ModelConfig

Changed = Callable[[Callable[[dict[str, Any]], object]], Path]


def with_cell(cell: str) -> Callable[[dict[str, Any]], object]:
    def change(content: dict[str, Any]) -> None:
        about = content["earshot"]
        about["model"]["cell"] = cell
        model = AcousticModel(ModelConfig.from_dict(about["model"]), 29)
        content["state_dict"] = {f"network.{k}": v for k, v in model.state_dict().items()}

    return change


def test_lstm_is_int8_where_it_pays_and_nowhere_else(int8_bundle: Path) -> None:
    nodes = onnx.load(Bundle.open(int8_bundle).graph).graph.node
    kinds = [node.op_type for node in nodes]
    (features,) = (node for node in nodes if node.op_type == "Scan")
    (body,) = (attribute.g for attribute in features.attribute if attribute.name == "body")

    assert kinds.count("DynamicQuantizeLSTM") == 2
    assert kinds.count("MatMulInteger") == 2  # projection and head
    assert "LSTM" not in kinds
    assert kinds.count("Conv") == 2
    assert "MatMul" not in kinds
    assert [node.name for node in body.node if node.op_type == "MatMul"] == [
        "features.real",
        "features.imaginary",
        "features.mel",
    ]


@pytest.mark.parametrize(
    ("precision", "named"),
    [("fp32", r"bundle cannot be written \("), ("int8", r"cannot be kept in .*name .* in TMPDIR")],
)
def test_a_full_disk_is_a_sentence_that_names_the_folder(
    precision: Precision, named: str, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    """The disk's own error has no file either."""
    with full_disk(), pytest.raises(AsrError, match=named) as caught:
        export(tiny_checkpoint, tmp_path / "bundle", precision)
    assert "File too large" in str(caught.value) and not list(tmp_path.glob("*bundle*"))


def test_fp32_on_request(tiny_checkpoint: Path, tmp_path: Path) -> None:
    bundle = export(tiny_checkpoint, tmp_path / "fp32", "fp32")

    assert bundle.precision == "fp32"
    assert bundle.info.export.fp32_max_difference <= 1e-4
    assert bundle.info.export.int8 is None
    kinds = {node.op_type for node in onnx.load(bundle.graph).graph.node}
    assert "LSTM" in kinds
    assert not any("Quant" in kind or "Integer" in kind for kind in kinds)


@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_cells_without_int8(cell: str, changed_checkpoint: Changed, tmp_path: Path) -> None:
    checkpoint = changed_checkpoint(with_cell(cell))

    with pytest.raises(BadOption, match=f"no int8 {cell}"):
        export(checkpoint, tmp_path / "int8", "int8")

    assert export(checkpoint, tmp_path / "out").precision == "fp32"


def test_info_tells_all_that_running_needs(int8_bundle: Path) -> None:
    info = Bundle.open(int8_bundle).info

    assert info.name == "tiny"
    assert info.decoding == {"decoder": "greedy"}
    assert info.sources == "none: random weights"
    assert info.training == TrainingInfo(epochs=0, steps=0, hours=0.0)
    assert info.figures == ()
    assert set(info.checksums) == {"model.onnx", "model.safetensors", "tokenizer.json"}
    loss = info.export.int8
    assert loss is not None
    assert 0.0 < loss.divergence <= 0.02
    assert 0.9 < loss.agreement <= 1.0
    assert loss.mean_difference < loss.max_difference


def test_every_file_can_be_read_by_others(tiny_bundle: Path) -> None:
    modes = {path.name: path.stat().st_mode & 0o044 for path in tiny_bundle.iterdir()}

    umask = os.umask(0)
    os.umask(umask)
    assert set(modes.values()) == {0o044 & ~umask}
    assert set(modes) == {
        "README.md",
        "bundle.json",
        "model.onnx",
        "model.safetensors",
        "tokenizer.json",
    }


@pytest.mark.parametrize("weight", ["recurrent.layers.1.back.bias_hh_l0", "head.weight"])
def test_a_graph_that_differs_is_not_written(
    weight: str, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def corrupted(model: AcousticModel) -> onnx.ModelProto:
        other = AcousticModel(model.config, model.head.out_features).eval()
        other.load_state_dict(model.state_dict())
        with torch.no_grad():
            other.get_parameter(weight).flatten()[5] += 0.02
        return build_graph(other)

    monkeypatch.setattr(asr.export.onnx.graph, "build_graph", corrupted)

    with pytest.raises(BadBundle, match=r"differ from torch's by .* nothing was written"):
        export(tiny_checkpoint, tmp_path / "out", "fp32")

    assert not list(tmp_path.iterdir())


def test_int8_that_costs_too_much_is_not_written(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def coarse(graph: onnx.ModelProto) -> onnx.ModelProto:
        for weight in graph.graph.initializer:
            if weight.name == "head.weight":
                steps = numpy_helper.to_array(weight).round()
                weight.CopyFrom(numpy_helper.from_array(steps, weight.name))
        return graph

    monkeypatch.setattr(asr.export.onnx.quantisation, "quantize", coarse)

    with pytest.raises(BadBundle, match=r"int8 changes .* --precision fp32"):
        export(tiny_checkpoint, tmp_path / "out", "int8")

    assert not (tmp_path / "out").exists()


def test_weights_that_half_precision_cannot_hold(
    changed_checkpoint: Changed, tmp_path: Path
) -> None:
    def overflow(content: dict[str, Any]) -> None:
        content["state_dict"]["network.head.bias"][3] = 1e6

    with pytest.raises(BadBundle, match=r"head\.bias holds values that are not finite"):
        export(changed_checkpoint(overflow), tmp_path / "out", "fp32")


FOREIGN: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "not of earshot": (lambda c: c.pop("earshot"), "not a checkpoint of `asr fit`"),
    "no weights": (lambda c: c.pop("state_dict"), "not a checkpoint of `asr fit`"),
    "a weight missing": (lambda c: c["state_dict"].pop("network.head.bias"), "head.bias"),
    "a layer unknown": (lambda c: c["earshot"]["model"].update(beam=1), "beam"),
    "a cell unknown": (lambda c: c["earshot"]["model"].update(cell="qrnn"), "qrnn"),
    "units unknown": (lambda c: c["earshot"]["tokenizer"].update(kind="runes"), "runes"),
    "later format": (lambda c: c["earshot"].update(format=2), "has format 2"),
    "no training": (lambda c: c["earshot"].update(training={}), "epochs"),
}


@pytest.mark.parametrize(("change", "sentence"), FOREIGN.values(), ids=FOREIGN.keys())
def test_foreign_checkpoints_are_named(
    change: Callable[[dict[str, Any]], object],
    sentence: str,
    changed_checkpoint: Changed,
    tmp_path: Path,
) -> None:
    checkpoint = changed_checkpoint(change)

    with pytest.raises(BadBundle) as caught:
        export(checkpoint, tmp_path / "out")

    assert sentence in str(caught.value)
    assert str(checkpoint) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


class Trap:
    """Runs code when it is unpickled without care."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.proof),)


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    torch.save({"state_dict": Trap(tmp_path / "proof")}, tmp_path / "trap.ckpt")

    with pytest.raises(BadBundle, match="more than weights and plain values"):
        export(tmp_path / "trap.ckpt", tmp_path / "out")

    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.99])
def test_a_truncated_checkpoint(kept: float, tiny_checkpoint: Path, tmp_path: Path) -> None:
    content = tiny_checkpoint.read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(content[: int(kept * len(content))])

    with pytest.raises(BadBundle, match=r"cut\.ckpt is damaged"):
        export(tmp_path / "cut.ckpt", tmp_path / "out")


@pytest.mark.parametrize("content", [b"hello there\n", b"\x80", b"RIFF\x24\x00\x00\x00WAVEfmt "])
def test_a_file_of_another_kind(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "text.ckpt").write_bytes(content)

    with pytest.raises(BadBundle, match=r"text\.ckpt"):
        export(tmp_path / "text.ckpt", tmp_path / "out")


def test_a_missing_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(BadBundle, match="cannot be read"):
        export(tmp_path / "none.ckpt", tmp_path / "out")


def test_of_a_run_its_best_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / "best.ckpt").write_bytes(b"")

    with pytest.raises(BadBundle, match=r"; name .*run/checkpoints/best\.ckpt"):
        export(tmp_path / "run", tmp_path / "out")


def test_what_is_no_bundle_is_not_overwritten(tiny_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")

    for out in (tmp_path, tmp_path / "thesis.tex"):
        with pytest.raises(BadBundle, match="exists and is not a bundle"):
            export(tiny_checkpoint, out, "fp32")

    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_bundle_is_replaced_and_its_figures_with_it(
    bundle_copy: Path, tiny_checkpoint: Path
) -> None:
    record_figure(bundle_copy, Figure("dev", "greedy", "int8", 1, 2, 0.5, 0.25, "asr evaluate dev"))

    bundle = export(tiny_checkpoint, bundle_copy, "fp32")

    assert bundle.precision == "fp32"
    assert bundle.info.figures == ()
    assert [path.name for path in bundle_copy.parent.iterdir()] == [bundle_copy.name]


def test_an_empty_folder_is_filled(tiny_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "deep" / "out").mkdir(parents=True)

    out = tmp_path / "deep" / "out"
    assert export(tiny_checkpoint, out, "fp32").path == out
