"""ONNX Runtime sessions on the CPU, with the same results on every processor.

x86 processors without VNNI (AVX-512 or AVX) multiply 8-bit numbers with an instruction that adds
two products in 16 bits and saturates: 2 * 255 * 127 is 64,770, but the result is 32,767. ONNX
Runtime's fastest kernels use it. On such processors only, sessions use `session.x64quantprecision`:
weights are shifted to unsigned numbers, whose kernels add in 32 bits. That is exact, but slower.
"""

from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime

_PRODUCT = (
    b'\x08\x08:^\n\x18\n\x01a\n\x01b\x12\x01y"\rMatMulInteger\x12\x01gZ\x14\n\x01a\x12\x0f\n\r'
    b"\x08\x02\x12\t\n\x03\x12\x01r\n\x02\x08\x04Z\x13\n\x01b\x12\x0e\n\x0c\x08\x03\x12\x08\n\x02"
    b"\x08\x04\n\x02\x08\x01b\x14\n\x01y\x12\x0f\n\r\x08\x06\x12\t\n\x03\x12\x01r\n\x02\x08\x01B"
    b"\x04\n\x00\x10\x11"
)
"""A graph of one node, as bytes since `onnx` may be missing: `y = MatMulInteger(a, b)` of uint8 `a`
`(r, 4)` and int8 `b` `(4, 1)`."""


def session(graph: Path | bytes, exact: bool = True) -> onnxruntime.InferenceSession:
    """A session with one thread for an ONNX graph, given as a file or as bytes.

    Args:
        exact: if false, uses the fastest kernels even if they saturate, to measure the effect.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a fixed order of sums: the same results on every machine
    options.inter_op_num_threads = 1
    # A plan for each shape, of which speech has many, takes twice the memory and is not faster.
    options.enable_mem_pattern = False
    # Spinning threads would slow down torch in the same process (onnxruntime#13808).
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if exact and saturates():
        options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = 3  # errors only: its warnings are not for users
    content = graph if isinstance(graph, bytes) else str(graph)
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


@cache
def saturates() -> bool:
    """Whether this processor's fastest sums of 8-bit products saturate."""
    largest = {"a": np.full((1, 4), 255, np.uint8), "b": np.full((4, 1), 127, np.int8)}
    (product,) = session(_PRODUCT, exact=False).run(["y"], largest)
    return int(product[0, 0]) != 4 * 255 * 127
