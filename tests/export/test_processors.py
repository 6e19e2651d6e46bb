"""Results of int8 do not depend on the processor; if one would change them, users are told."""

import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from asr.bundle import Bundle
from asr.bundle.session import _PRODUCT, saturates
from asr.export.checks import int8_here, int8_loss

MASK = Path(__file__).parents[1] / "without_vnni.c"
_MEASURE = """
import json, sys
from pathlib import Path
from asr.bundle import Bundle
from asr.export.checks import int8_here, int8_loss
from asr.bundle.session import saturates
found = {"saturates": saturates()}
for path in sys.argv[1:]:
    bundle = Bundle.open(Path(path))
    fast = int8_loss(bundle.acoustic_model(), bundle.graph, exact=False)
    found[path] = [*int8_here(bundle), fast.divergence]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def without_vnni(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which this processor passes for one without VNNI."""
    cpu = Path("/proc/cpuinfo")
    if platform.machine() != "x86_64" or not cpu.is_file() or " cpuid_fault" not in cpu.read_text():
        pytest.skip("this processor cannot pass for another one")
    if (compiler := shutil.which("cc")) is None:
        pytest.skip("no C compiler to mask the processor with")
    library = tmp_path_factory.mktemp("mask") / "without_vnni.so"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, MASK], check=True)
    # One thread: those of OpenMP can wait for one another for ever while CPUID faults.
    return {**os.environ, "LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_int8_reads_the_same_without_vnni(
    without_vnni: dict[str, str], int8_bundle: Path, shipped_bundle: Path
) -> None:
    arguments = [sys.executable, "-c", _MEASURE, str(int8_bundle), str(shipped_bundle)]
    done = subprocess.run(
        arguments, env=without_vnni, capture_output=True, text=True, check=True, timeout=120
    )
    found = json.loads(done.stdout)

    assert found["saturates"]
    for path in (int8_bundle, shipped_bundle):
        same, said, fast = found[str(path)]
        loss = Bundle.open(path).info.export.int8
        assert loss is not None
        recorded = loss.divergence
        assert same, said
        assert "as where it was exported" in said
        assert f"saturate and would make it {fast:.3g}, so exact ones are used" in said
        assert fast > recorded * (2 if path == int8_bundle else 1)  # a small model shows it best


def test_int8_reads_here_as_where_it_was_exported(int8_bundle: Path, shipped_bundle: Path) -> None:
    for path in (int8_bundle, shipped_bundle):
        same, said = int8_here(Bundle.open(path))
        assert same, said
        assert ("saturate" in said) == saturates()


def test_what_differs_from_the_export_is_said(int8_bundle: Path) -> None:
    bundle = Bundle.open(int8_bundle)
    export = bundle.info.export
    assert export.int8 is not None
    export = replace(export, int8=replace(export.int8, divergence=0.5))
    bundle = replace(bundle, info=replace(bundle.info, export=export))

    same, said = int8_here(bundle)

    assert not same
    assert "but 0.5 where it was exported" in said


def test_exact_sums_cost_nothing_where_none_saturate(int8_bundle: Path) -> None:
    bundle = Bundle.open(int8_bundle)
    model = bundle.acoustic_model()
    exact, fast = (int8_loss(model, bundle.graph, exact) for exact in (True, False))
    assert (exact == fast) == (not saturates())


def test_the_product_is_one_of_signed_weights() -> None:
    graph = onnx.load_model_from_string(_PRODUCT)
    onnx.checker.check_model(graph)
    assert [node.op_type for node in graph.graph.node] == ["MatMulInteger"]
    assert [one.type.tensor_type.elem_type for one in graph.graph.input] == [
        onnx.TensorProto.UINT8,
        onnx.TensorProto.INT8,
    ]
