# %% [markdown]
# # From sound to words, in six pictures
#
# What the shipped model does with one recording, step by step: as a script,
# `python examples/how_it_works.py`, and as a notebook, `examples/how_it_works.ipynb`. Both write
# the six pictures to the folder `pictures` and need `uv sync --inexact --extra train`. `asr inspect
# CLIP -o page.html` makes a page with everything on one time axis, for any recording.

# %%
import base64
from itertools import groupby, product
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from asr.audio import load
from asr.bundle import shipped
from asr.inspection import inspect
from asr.runtime import Recognizer
from asr.sampling import SAMPLE_RATE

pictures = Path("pictures")
pictures.mkdir(exist_ok=True)
recognizer = Recognizer.load(device="cpu")
audio = load(shipped("samples") / "1272-141231-0000.flac")
seen = inspect(recognizer, audio)
frame = seen.frame_seconds
end = audio.duration


class Picture:
    """A picture in its file, which a notebook shows."""

    def __init__(self, figure: Figure, name: str) -> None:
        self.path = pictures / name
        figure.savefig(self.path, dpi=80, pil_kwargs={"quality": 75})
        print(self.path)

    def _repr_html_(self) -> str:
        coded = base64.b64encode(self.path.read_bytes()).decode()
        return f'<img src="data:image/webp;base64,{coded}">'


# %% [markdown]
# ## 1. Samples
# A recording is a row of numbers, 16,000 for each second: the pressure of the air.

# %%
figure = Figure(figsize=(11, 2.2), layout="constrained")
axes = figure.subplots()
axes.plot(np.arange(len(audio.samples)) / SAMPLE_RATE, audio.samples, linewidth=0.3)
for word in seen.transcript.words:
    axes.axvspan(word.start, word.end, alpha=0.15)
    axes.text(word.start, 0.9 * audio.samples.max(), word.text, fontsize=7)
axes.set(xlabel="seconds", ylabel="pressure", xlim=(0, end))
Picture(figure, "1-samples.webp")

# %% [markdown]
# ## 2. Log-mel energies
# Each 10 ms, a window of 25 ms becomes 80 numbers: the energy in bands that are narrow where the
# ear hears finely. Two convolutions then join four of these frames into one, of 40 ms.

# %%
figure = Figure(figsize=(11, 2.6), layout="constrained")
axes = figure.subplots()
axes.imshow(seen.log_mel.T, aspect="auto", origin="lower", cmap="magma", extent=(0, end, 0, 80))
axes.set(xlabel="seconds", ylabel="mel bands")
Picture(figure, "2-log-mels.webp")

# %% [markdown]
# ## 3. One LSTM cell, by its equations
# The layer's weights, the frame's input x and the last output h give three gates and a candidate;
# the cell c is what the layer remembers. Computed by hand here, for all cells of a layer.

# %%
model = recognizer.bundle.acoustic_model()
lstm = model.recurrent.layers[0].ahead
W, U, b, b2 = (weight.detach().double().numpy() for weight in lstm.all_weights[0])
with torch.no_grad():
    features, lengths = model.features(
        torch.from_numpy(audio.samples)[None], torch.tensor([len(audio.samples)])
    )
    x, _ = model.subsampling(features, lengths)


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


h = c = np.zeros(lstm.hidden_size)
by_hand = []
for x_t in x[0].double().numpy():
    z_i, z_f, z_g, z_o = np.split(W @ x_t + b + U @ h + b2, 4)
    i = sigmoid(z_i)  # input gate: how much of the candidate is taken in
    f = sigmoid(z_f)  # forget gate: how much of the memory is kept
    g = np.tanh(z_g)  # candidate
    o = sigmoid(z_o)  # output gate: how much of the memory is shown
    c = f * c + i * g
    h = o * np.tanh(c)
    by_hand.append(c)
shown = {name: curve.numpy() for name, curve in seen.traces[0].curves.items()}
difference = np.abs(np.array(by_hand) - shown["cell"]).max()
print(f"largest difference between the equations and the model: {difference:.1e}")

vowel = next(event.series for event in seen.events if event.name == "vowel")
follows = [abs(np.corrcoef(series, vowel)[0, 1]) for series in shown["cell"].T]
cell = int(np.nanargmax(follows))
figure = Figure(figsize=(11, 5), layout="constrained")
above, below = figure.subplots(2, 1, sharex=True)
times = (np.arange(len(vowel)) + 0.5) * frame
for name in ("input", "forget", "output"):
    above.plot(times, shown[name][:, cell], label=f"{name} gate")
for name in ("candidate", "cell", "hidden"):
    below.plot(times, shown[name][:, cell], label=name)
for axes in (above, below):
    axes.fill_between(times, 0, vowel, alpha=0.15, step="mid", label="vowels")
    axes.legend(loc="upper right", fontsize=8)
above.set_title(f"cell {cell} of layer 1, ahead: of all cells the one that follows vowels most")
below.set(xlabel="seconds", xlim=(0, end))
Picture(figure, "3-one-cell.webp")

# %% [markdown]
# ## 4. Both directions
# A layer reads the frames ahead and back, so each frame knows what came and what comes. Cells are
# sorted by their half-life: a few keep their memory for seconds, most for a few frames.

# %%
figure = Figure(figsize=(11, 3.2), layout="constrained")
for axes, item in zip(figure.subplots(1, 2, sharey=True), seen.traces[-2:], strict=True):
    order = item.half_life(frame).argsort()
    kept = item.curves["forget"][:, order].T.numpy()
    drawn = axes.imshow(
        kept,
        aspect="auto",
        origin="lower",
        cmap="magma",
        vmin=0,
        vmax=1,
        extent=(0, end, 0, len(order)),
    )
    axes.set(title=f"forget gates of layer {item.layer}, {item.direction}", xlabel="seconds")
figure.colorbar(drawn, ax=figure.axes, label="1 keeps, 0 forgets")
Picture(figure, "4-both-directions.webp")

# %% [markdown]
# ## 5. CTC: all paths that spell a text
# In each frame the model gives every unit a probability; one unit is the blank. A path takes one
# unit per frame; without repetitions and blanks it spells a text. The probability of a text is the
# sum over all its paths. Ten frames of two units have 59,049 paths: few enough to sum by hand.

# %%
generator = torch.Generator().manual_seed(4)
log_probs = torch.randn(10, 3, generator=generator).mul(1.5).log_softmax(-1)  # blank, a, b
text = [1, 2]


def spelled(path: tuple[int, ...]) -> list[int]:
    return [unit for unit, _ in groupby(path) if unit != 0]


total = sum(
    float(torch.exp(log_probs[range(10), list(path)].sum()))
    for path in product(range(3), repeat=10)
    if spelled(path) == text
)
loss = torch.nn.functional.ctc_loss(
    log_probs[:, None], torch.tensor([text]), torch.tensor([10]), torch.tensor([2]), reduction="sum"
)
print(f"sum over all paths of 'ab': {total:.6f}; by the CTC loss: {float(torch.exp(-loss)):.6f}")

head = seen.heads[-1]
probabilities = np.exp(head.log_probs)
figure = Figure(figsize=(11, 2.6), layout="constrained")
axes = figure.subplots()
for unit in np.flatnonzero(probabilities.max(axis=0) > 0.3)[1:]:
    curve = probabilities[:, unit]
    axes.plot(times, curve, linewidth=1)
    rises, falls = np.diff(curve, prepend=0) > 0, np.diff(curve, append=0) <= 0
    for peak in np.flatnonzero((curve > 0.3) & rises & falls):
        axes.text(times[peak], curve[peak], head.units[unit], fontsize=8)
axes.plot(times, probabilities[:, 0], color="lightgrey", zorder=0, label="blank")
axes.legend(loc="lower right", fontsize=8)
axes.set(xlabel="seconds", ylabel="probability", xlim=(0, end), ylim=(0, 1.15))
Picture(figure, "5-ctc.webp")

# %% [markdown]
# ## 6. The search
# Phones are not words. A beam search follows the most probable beginnings of sentences, whose words
# come from a lexicon of pronunciations, and adds what a language model says of them.

# %%
best = recognizer.transcribe(audio, nbest=5)
letters = recognizer.transcribe(audio, decoder="greedy").plain
figure = Figure(figsize=(11, 2.4), layout="constrained")
axes = figure.subplots()
readings = list(best.alternatives)[::-1]
axes.barh(
    [item.text for item in readings], [item.score - best.alternatives[0].score for item in readings]
)
axes.set(xlabel=f"log score below the best; letters alone read: {letters}")
print(best.plain)
Picture(figure, "6-search.webp")
