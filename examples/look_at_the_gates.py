# %% [markdown]
# # Look at the gates
#
# How recurrent memory turns sound into words: the gates of the shipped model on one recording.
# This file is a notebook (open it in VS Code, PyCharm or with Jupytext) and a script:
# `python examples/look_at_the_gates.py`. It needs `uv sync --extra train`, for matplotlib.

# %%
from pathlib import Path

from matplotlib.figure import Figure

from asr.audio import load
from asr.bundle import Bundle, default_bundle
from asr.model.gates import gates

audio = load(Path("samples/1272-141231-0000.flac"))
bundle = Bundle.open(default_bundle())
frame_seconds = bundle.model.frame_seconds
print(f"{audio.duration:.2f} s, one frame every {1000 * frame_seconds:.0f} ms")

# %% [markdown]
# Each layer reads the frames in both directions. For every frame and cell the *forget gate* says
# how much of the cell's memory stays: 1 keeps everything, 0 forgets. A cell keeps the product of
# its forget gates, so their mean logarithm gives the time after which half of its memory is gone.

# %%
opened = list(gates(bundle.acoustic_model(), audio.samples))
for item in opened:
    half_lives = item.half_life(frame_seconds)
    print(
        f"layer {item.layer} {item.direction:5}  forget gate {item.forget.mean():.2f}  "
        f"half-life: median {1000 * half_lives.median():.0f} ms, longest {half_lives.max():.1f} s"
    )

# %% [markdown]
# The same as a picture: time from left to right, one row per cell, cells with the longest memory at
# the top. In pauses the gates stand still; in speech they change from frame to frame.

# %%
last = opened[-2]  # the topmost layer, reading ahead
order = last.half_life(frame_seconds).argsort()
figure = Figure(figsize=(10, 4), layout="constrained")
axes = figure.subplots()
picture = axes.imshow(
    last.forget[:, order].T.numpy(), aspect="auto", origin="lower", cmap="magma", vmin=0, vmax=1,
    extent=(0.0, audio.duration, 0.0, float(len(order))),
)  # fmt: skip
axes.set(xlabel="seconds", ylabel="cells, by memory", title=f"forget gates of layer {last.layer}")
figure.colorbar(picture, label="1 keeps, 0 forgets")
figure.savefig("gates.png")
print("gates.png")
