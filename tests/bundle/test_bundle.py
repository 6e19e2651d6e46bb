"""Opening bundles: intact ones open, and each kind of damage is named in one sentence."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from full_disk import full_disk
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from asr.bundle import Bundle, changed_copy, default_bundle, put_acoustics
from asr.bundle.bundle import checksum
from asr.errors import BadBundle, BadOption
from asr.text import CharacterTokenizer


def test_a_bundle_opens(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)

    assert bundle.path == tiny_bundle
    assert bundle.precision == "fp32"
    assert (bundle.model.layers, bundle.model.hidden) == (2, 16)
    assert bundle.tokenizer.n_units == CharacterTokenizer().n_units
    assert bundle.graph.is_file()


def test_a_bundle_without_a_language_reads_english_as_before(bundle_copy: Path) -> None:
    values = json.loads((bundle_copy / "bundle.json").read_text(encoding="utf-8"))
    assert (values.pop("language"), values.pop("normaliser")) == ("en", "plain")
    (bundle_copy / "bundle.json").write_text(json.dumps(values), encoding="utf-8")
    bundle = Bundle.open(bundle_copy)
    assert (bundle.info.language, bundle.normalise("Don’t, Sir!")) == ("en", "don't sir")


def test_a_copy_on_a_full_disk_says_what_the_system_says(tiny_bundle: Path, tmp_path: Path) -> None:
    with (
        full_disk(),
        pytest.raises(BadOption, match=r"copy cannot be written \(.*File too large"),
        changed_copy(tiny_bundle, tmp_path / "copy"),
    ):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key, value", [("language", "Klingonish"), ("normaliser", "fancy")])
def test_a_language_that_is_unknown_here_is_refused(
    bundle_copy: Path, key: str, value: str
) -> None:
    values = json.loads((bundle_copy / "bundle.json").read_text(encoding="utf-8"))
    (bundle_copy / "bundle.json").write_text(json.dumps(values | {key: value}), encoding="utf-8")
    with pytest.raises(BadBundle, match=value):
        Bundle.open(bundle_copy)


def test_a_path_may_be_text(tiny_bundle: Path) -> None:
    assert Bundle.open(str(tiny_bundle)).path == tiny_bundle  # type: ignore[arg-type]


def test_the_torch_model_has_the_checkpoints_weights(
    tiny_bundle: Path, tiny_checkpoint: Path
) -> None:
    trained = torch.load(tiny_checkpoint, weights_only=True)["state_dict"]

    model = Bundle.open(tiny_bundle).acoustic_model()

    assert not model.training
    for name, weight in model.state_dict().items():
        expected = trained[f"network.{name}"]
        if name.startswith("features."):
            assert torch.equal(weight, expected)
        else:
            assert torch.equal(weight, expected.half().float()), name


def test_weights_are_stored_in_half_and_statistics_are_not(tiny_bundle: Path) -> None:
    with safe_open(tiny_bundle / "model.safetensors", framework="pt") as weights:
        kinds = {name: weights.get_slice(name).get_dtype() for name in weights.keys()}  # noqa: SIM118

    assert {name for name, kind in kinds.items() if kind == "F32"} == {
        "features.mean",
        "features.deviation",
    }
    assert set(kinds.values()) == {"F16", "F32"}


@pytest.mark.slow
def test_running_needs_no_onnx(tiny_bundle: Path) -> None:
    code = (
        "import sys; sys.modules['onnx'] = None\n"
        "from asr.bundle import Bundle\n"
        f"Bundle.open({str(tiny_bundle)!r}).acoustic_model()"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_default_bundle_lies_in_the_checkout_or_is_missed() -> None:
    try:
        assert (default_bundle() / "bundle.json").is_file()
    except BadBundle as error:
        assert "asr export" in str(error)


def edit(**changes: Any) -> Callable[[Path], None]:
    """Harm to keys of bundle.json; the value `...` removes a key."""

    def harm(bundle: Path) -> None:
        info = json.loads((bundle / "bundle.json").read_text())
        info = {key: value for key, value in (info | changes).items() if value is not ...}
        (bundle / "bundle.json").write_text(json.dumps(info))

    return harm


def sign(bundle: Path) -> None:
    """Makes the checksums right again, so that the next check is the one that speaks."""
    info = json.loads((bundle / "bundle.json").read_text())
    edit(checksums={name: checksum(bundle / name) for name in info["checksums"]})(bundle)


def flip_a_byte(name: str) -> Callable[[Path], None]:
    def harm(bundle: Path) -> None:
        content = bytearray((bundle / name).read_bytes())
        content[len(content) // 2] ^= 1
        (bundle / name).write_bytes(content)

    return harm


def remove(name: str) -> Callable[[Path], None]:
    return lambda bundle: (bundle / name).unlink()


def rewrite(name: str, text: str) -> Callable[[Path], None]:
    return lambda bundle: (bundle / name).write_text(text) and None


def resize_a_weight(bundle: Path) -> None:
    weights = load_file(bundle / "model.safetensors")
    weights["head.bias"] = torch.zeros(3)
    save_file(weights, bundle / "model.safetensors")
    sign(bundle)


def drop_a_weight(bundle: Path) -> None:
    weights = load_file(bundle / "model.safetensors")
    del weights["head.bias"]
    save_file(weights, bundle / "model.safetensors")
    sign(bundle)


def damage_the_weights(bundle: Path) -> None:
    (bundle / "model.safetensors").write_bytes(b"not tensors")
    sign(bundle)


def other_tokenizer(state: Any) -> Callable[[Path], None]:
    def harm(bundle: Path) -> None:
        (bundle / "tokenizer.json").write_text(json.dumps(state))
        sign(bundle)

    return harm


HARM: dict[str, tuple[Callable[[Path], None], str]] = {
    "no bundle.json": (remove("bundle.json"), "is not a bundle"),
    "no JSON": (rewrite("bundle.json", '{"format": 1,'), "bundle.json is damaged"),
    "no text": (lambda b: (b / "bundle.json").write_bytes(b"\xff\xfe\x00"), "is damaged"),
    "no object": (rewrite("bundle.json", "[]"), "must hold a JSON object"),
    "later version": (edit(format=2), "has format 2"),
    "no version": (edit(format=...), "has format None"),
    "key missing": (edit(decoding=...), "lacks decoding"),
    "key unknown": (edit(beam=5), "has the unknown beam"),
    "value of another type": (edit(n_units="29"), "wrong value of n_units"),
    "training without hours": (
        edit(training={"epochs": 1, "steps": 2}),
        "wrong value of training",
    ),
    "figure of other keys": (edit(figures=[{"loss": 3}]), "wrong value of figures"),
    "unknown precision": (edit(precision="fp64"), "wrong value of precision"),
    "checksum missing": (edit(checksums={}), "model.onnx"),
    "checksum of a file outside": (
        edit(checksums={"../../etc/passwd": "0"}),
        "at most g2p.npz, lexicon.txt, lm.npz, punctuation.onnx besides",
    ),
    "graph gone": (remove("model.onnx"), "model.onnx cannot be read"),
    "graph changed": (flip_a_byte("model.onnx"), "model.onnx is not the file"),
    "weights changed": (flip_a_byte("model.safetensors"), "model.safetensors is not the file"),
    "tokenizer changed": (flip_a_byte("tokenizer.json"), "tokenizer.json is not the file"),
    "weight of another shape": (resize_a_weight, "first head.bias"),
    "weight missing": (drop_a_weight, "first head.bias"),
    "no weights": (damage_the_weights, "model.safetensors is damaged"),
    "layer unknown": (edit(model={"features": {}, "attention": 8}), "describes no model"),
    "cell unknown": (edit(model={"features": {}, "cell": "qrnn"}), "describes no model"),
    "other layers": (edit(model={"features": {}, "hidden": 8}), "do not fit the layers"),
    "units do not fit": (
        other_tokenizer({"kind": "characters", "alphabet": " ab"}),
        "tokenizer has 4 units",
    ),
    "units unknown": (other_tokenizer({"kind": "runes"}), "runes"),
    "no tokenizer": (other_tokenizer({}), "is no tokenizer"),
}


@pytest.mark.parametrize(("harm", "sentence"), HARM.values(), ids=HARM.keys())
def test_harm_is_named(bundle_copy: Path, harm: Callable[[Path], None], sentence: str) -> None:
    harm(bundle_copy)

    with pytest.raises(BadBundle) as caught:
        Bundle.open(bundle_copy).acoustic_model()  # which reads the weights too

    said = str(caught.value)
    assert sentence in said
    assert str(bundle_copy) in said
    assert "\n" not in said


def test_what_is_not_there_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BadBundle, match="nowhere is not a bundle"):
        Bundle.open(tmp_path / "nowhere")


def test_a_file_is_no_bundle(tiny_bundle: Path) -> None:
    with pytest.raises(BadBundle, match="is not a bundle"):
        Bundle.open(tiny_bundle / "model.onnx")


def test_the_card_may_be_edited(bundle_copy: Path) -> None:
    (bundle_copy / "README.md").write_text("mine")

    Bundle.open(bundle_copy)


def test_the_docs_name_the_beam_of_the_bundle_that_ships(shipped_bundle: Path) -> None:
    size = Bundle.open(shipped_bundle).info.decoding["beam_size"]
    docs = (Path(__file__).parents[2] / "docs" / "decoding.md").read_text("utf-8")
    assert f"A beam of {size}, as in the shipped bundle" in " ".join(docs.split())


def test_weights_of_other_units_are_refused(bundle_copy: Path, phone_bundle: Path) -> None:
    before = (bundle_copy / "bundle.json").read_bytes()
    with pytest.raises(BadBundle, match="spells in other units"):
        put_acoustics(bundle_copy, Bundle.open(phone_bundle))
    assert (bundle_copy / "bundle.json").read_bytes() == before
