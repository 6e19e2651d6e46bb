"""Pages that load nothing: Jinja templates with pictures, sound and data in them."""

import base64
import io
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from asr.sampling import SAMPLE_RATE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def render(template: Path, **values: Any) -> str:
    """The page of a template, which escapes every text and misses no value."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(template.read_text(encoding="utf-8")).render(**values)


def svg(figure: "Figure", title: str) -> Markup:
    """A figure as SVG that stands in the page."""
    import matplotlib

    drawing = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "earshot"}):
        figure.savefig(drawing, format="svg", metadata={"Date": None, "Title": title})
    text = drawing.getvalue()
    return Markup(text[text.index("<svg") :])


def sound(samples: NDArray[np.float32]) -> str:
    """Samples `(S,)` as the address of a 16-bit WAV file that stands in the page."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        writer.writeframes(np.round(samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return f"data:audio/wav;base64,{base64.b64encode(file.getvalue()).decode()}"
