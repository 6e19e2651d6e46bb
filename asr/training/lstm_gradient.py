"""A faster gradient of LSTMs for training in bfloat16 on a CPU: few and large matrix products.

With bfloat16 weights on a CPU, the backward pass of `nn.LSTM` (oneDNN) takes up to eight times as
long as its forward pass, in proportion to the frames and however few the utterances. Only two
recursions need to go step by step: the cell's memory forward, and its gradient backward. Here all
other work is one product or one elementwise operation over all steps. The forward pass stays
oneDNN's.

The equations are those of `asr.model.recurrent`; the backward pass follows Graves, "Supervised
Sequence Labelling with Recurrent Neural Networks" (2012), section 4.6, without peepholes. With dv
for the gradient of the loss by v, and da for that by the sums that the gates are functions of, it
is, from the last frame to the first:

    dh[t] = d_out[t] + da[t + 1] U
    dc[t] = dh[t] * o (1 - tanh(c)^2) + dc[t + 1] * f[t + 1]
    da[t] = [dc * g * i (1 - i),  dc * c[t - 1] * f (1 - f),  dc * i * (1 - g^2),
             dh * tanh(c) * o (1 - o)]

Shapes: B batch, T frames, D input width, H hidden units.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from asr.model.recurrent import RecurrentLayer, run_direction

_LARGEST_BATCH = 12  # utterances; with more, oneDNN is as fast (benchmarks/backward.py)


def install(network: nn.Module) -> None:
    """Makes every recurrent layer in the network use this gradient where it is faster."""
    for module in network.modules():
        if isinstance(module, RecurrentLayer):
            module.run = _run


def _run(direction: nn.RNNBase, x: Tensor) -> Tensor:
    """`(B, T, D)` -> `(B, T, H)`."""
    if isinstance(direction, nn.LSTM) and _is_faster(x):
        return lstm(direction, x)
    return run_direction(direction, x)


def _is_faster(x: Tensor) -> bool:
    """Whether this gradient of an LSTM over `x`, `(B, T, D)`, is faster than oneDNN's."""
    half = x.dtype == torch.bfloat16 or (
        torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    )
    on_cpu = x.device.type == "cpu"
    return half and on_cpu and len(x) <= _LARGEST_BATCH and torch.is_grad_enabled()


def lstm(module: nn.LSTM, x: Tensor) -> Tensor:
    """`(B, T, D)` -> `(B, T, H)`: the output of `module(x)`, with this gradient.

    Args:
        module: one layer, one direction, `batch_first`, with biases.
    """
    weights = module.weight_ih_l0, module.weight_hh_l0, module.bias_ih_l0, module.bias_hh_l0
    out: Tensor = _ThroughTime.apply(x, *weights)
    return out


class _ThroughTime(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, u: Tensor, b_w: Tensor, b_u: Tensor) -> Tensor:
        start = x.new_zeros(1, len(x), u.shape[1])
        # Biases, one layer, no dropout, as for inference, one direction, the batch first.
        options = True, 1, 0.0, False, False, True
        out, _, _ = torch.lstm(x, (start, start), (w, u, b_w, b_u), *options)
        ctx.save_for_backward(x, out, w, u, b_w, b_u)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor, ...]:
        x, out, w, u, b_w, b_u = ctx.saved_tensors
        low = out.dtype  # of matrix products; sums over time are kept in at least float32
        high = torch.promote_types(low, torch.float32)
        (batch, steps, hidden), width = out.shape, x.shape[2]

        # Computes the gates again, for all steps at once: every h is known by now.
        read = torch.empty(steps, batch, width + hidden, dtype=low)  # x, and the h before it
        read[..., :width] = x.transpose(0, 1)
        read[0, :, width:] = 0
        read[1:, :, width:] = out.transpose(0, 1)[:-1]
        read = read.view(steps * batch, width + hidden)
        both = torch.cat([w, u], dim=1).to(low)  # (4 H, D + H)
        gates = torch.addmm((b_w + b_u).to(low), read, both.T)  # (T B, 4 H)
        raw = gates.view(steps, batch, 4, hidden).unbind(2)  # 4 of (T, B, H)
        i, f, o = (raw[gate].to(high).sigmoid_() for gate in (0, 1, 3))
        g = raw[2].to(high).tanh_()

        c = i * g
        for now, past, kept in zip(c[1:].unbind(), c.unbind(), f[1:].unbind(), strict=False):
            now.addcmul_(kept, past)

        # How each step's dc contributes to i, f and g, and its dh to o and dc. A sigmoid s has the
        # slope s - s s. In place, since a pass over all steps costs less than new memory.
        to_ifg = torch.empty(steps, batch, 3, hidden, dtype=high)
        torch.mul(g, i.addcmul(i, i, value=-1), out=to_ifg[:, :, 0])
        to_ifg[0, :, 1] = 0
        torch.mul(c[:-1], f[1:].addcmul(f[1:], f[1:], value=-1), out=to_ifg[1:, :, 1])
        torch.mul(i, g.square_().neg_().add_(1), out=to_ifg[:, :, 2])
        tanh_c = c.tanh_()
        to_c = o.addcmul(o, tanh_c.square(), value=-1)
        to_o = tanh_c.mul_(o.addcmul_(o, o, value=-1))

        d_gates = torch.empty(steps, batch, 4, hidden, dtype=high)
        flat, back = d_gates.view(steps, batch, 4 * hidden), u.to(high)
        d_h = torch.empty(steps, batch, hidden, dtype=high).copy_(d_out.transpose(0, 1))
        d_c = torch.zeros(batch, hidden, dtype=high)
        wide = d_c.unsqueeze(1)
        given = (d_h, to_c, to_o, to_ifg, d_gates[:, :, :3], d_gates[:, :, 3])
        after = (*zip(flat[1:].unbind(), f[1:].unbind(), strict=True), None)  # the last has none
        rows = zip(*(tensor.unbind() for tensor in given), after, strict=True)
        for dh, dh_to_c, dh_to_o, dc_to_ifg, d_ifg, d_o, later in reversed(list(rows)):
            if later is not None:
                d_later, f_later = later
                dh.addmm_(d_later, back)
                d_c.mul_(f_later)
            d_c.addcmul_(dh, dh_to_c)
            torch.mul(wide, dc_to_ifg, out=d_ifg)
            torch.mul(dh, dh_to_o, out=d_o)

        d = flat.view(steps * batch, 4 * hidden)
        d_b = d.sum(0).to(b_w.dtype)
        d = d.to(low)
        d_both = (d.T @ read).to(w.dtype)
        d_x = (d @ both[:, :width]).view(steps, batch, width).transpose(0, 1)
        return d_x.to(x.dtype), d_both[:, :width], d_both[:, width:], d_b, d_b
