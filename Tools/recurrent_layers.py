"""Recurrent layers written from the papers in PyTorch, whose autograd makes their gradients.

They are for the options that PyTorch's own layers lack, and share no code with Carousel: `options` are
those of a checkpoint's JSON, parameters have Carousel's names.
"""

import functools
import json
import os
import subprocess
from pathlib import Path

import torch
from torch.nn.functional import layer_norm, logsigmoid

PLAIN = {
    "bias": "double", "activations": {}, "forgetGate": {"own": {}}, "peepholes": False,
    "recurrence": "dense", "overrides": {},
}  # fmt: skip
# What draws the masks of one layer, by its place in the upper byte of a stream.
RECURRENT_DROPOUT, ZONEOUT_HIDDEN, ZONEOUT_CELL, DROP_CONNECT = 5, 6, 7, 8


@functools.cache
def cells():
    """What `carousel cells --json` says of each cell by its name.

    The binary is that of the environment variable CAROUSEL, or the one that was built last.
    """
    builds = Path(__file__).resolve().parents[1] / ".build"
    found = [builds / kind / "carousel" for kind in ["release", "debug"]]
    found = sorted((path for path in found if path.exists()), key=lambda path: -path.stat().st_mtime)
    binary = os.environ.get("CAROUSEL") or found[0]
    table = json.loads(subprocess.run([binary, "cells", "--json"], check=True, capture_output=True).stdout)
    return {cell["name"]: cell for cell in table["cells"]}


def gate_letters(cell, options):
    """The gates that have weights, by their letters: an LSTM's forget gate may have none."""
    letters = [gate["letter"] for gate in cells()[cell]["gates"]]
    return [g for g in letters if g != "f" or "own" in options["forgetGate"]]


class Noise:
    """The masks of one layer and direction in one training step: Philox4x32-10 (Salmon et al. 2011)."""

    def __init__(self, seed, step, unit):
        self.seed, self.position = seed, unit << 40 | step

    def uniform(self, use, shape):
        """Multiples of 2⁻²⁴ in [0, 1), one for each element in order."""
        count, stream = torch.Size(shape).numel(), use << 56 | self.position
        words = [word for index in range((count + 3) // 4) for word in self.block(index, stream)]
        return torch.tensor([(word >> 8) / 2**24 for word in words[:count]]).reshape(shape)

    def block(self, index, stream):
        low = 2**32 - 1
        counter = [index & low, index >> 32, stream & low, stream >> 32]
        key = [self.seed & low, self.seed >> 32]
        for _ in range(10):
            left, right = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
            counter = [
                right >> 32 ^ counter[1] ^ key[0], right & low,
                left >> 32 ^ counter[3] ^ key[1], left & low,
            ]  # fmt: skip
            key = [(key[0] + 0x9E3779B9) & low, (key[1] + 0xBB67AE85) & low]
        return counter

    def dropped(self, use, probability, shape):
        """1 / (1 - p) where an element stays, else 0."""
        return (self.uniform(use, shape) >= probability) / (1 - probability)

    def kept(self, use, probability, shape):
        """1 where zoneout keeps the state before, else 0."""
        return (self.uniform(use, shape) < probability) * 1.0


class Layer:
    """One layer in one direction; `weights` by their names without suffix."""

    def __init__(self, cell, options, weights, noise):
        self.cell, self.options, self.weights, self.noise = cell, PLAIN | options, weights, noise
        self.gates = gate_letters(cell, self.options)
        self.hidden = weights["weight_ih"].shape[0] // len(self.gates)
        self.recurrent = self.recurrent_matrix() if "weight_hh" in weights else None

    def recurrent_matrix(self):
        """weight_hh as a dense matrix, after DropConnect."""
        weight, probability = self.weights["weight_hh"], self.options.get("dropConnect", 0)
        if self.noise and probability:
            weight = weight * self.noise.dropped(DROP_CONNECT, probability, weight.shape)
        kind = self.options["recurrence"].split(":")[0]
        if kind == "diagonal":
            return torch.cat([torch.diag(gate) for gate in weight.split(self.hidden)])
        if kind == "blocks":
            return torch.cat([torch.block_diag(*gate) for gate in weight])
        return weight

    def rows(self, gates):
        """The rows of some gates in a row."""
        first = self.gates.index(gates[0]) * self.hidden
        return slice(first, first + len(gates) * self.hidden)

    def sums(self, v, matrix, side, gates):
        """The sums of some gates, those of each normalised group by itself, by their names."""
        rows = self.rows(gates)
        product = v @ matrix[rows].T
        if self.options.get("layerNorm"):
            size = [product.shape[1]]
            product = layer_norm(product, size, self.weights[f"weight_ln_{side}"][rows])
        bias = self.weights.get(f"bias_{side}")
        product = product if bias is None else product + bias[rows]
        return dict(zip(gates, product.split(self.hidden, 1)))

    def gate(self, name, value):
        return torch.tanh(value) if name in "gnh" else torch.sigmoid(value)

    def step(self, x, h, seen, memory):
        """What one step makes of h and of the states beside it; `seen` is h after dropout."""
        if self.cell == "gru":
            return self.gru(x, h, seen), memory
        a = self.sums(x, self.weights["weight_ih"], "ih", self.gates)
        if self.cell == "mingru":
            return self.mingru(a, h), memory
        u = self.sums(seen, self.recurrent, "hh", self.gates)
        sums = {gate: a[gate] + u[gate] for gate in self.gates}
        if self.cell == "rnn":
            return torch.tanh(sums["h"]), memory
        if self.cell == "slstm":
            return self.slstm(sums, memory)
        h, c = self.lstm(sums, memory["c"])
        return h, {"c": c}

    def mingru(self, sums, h):
        """Feng et al. 2024; g in log space is that of their listing."""
        z, g = torch.sigmoid(sums["z"]), sums["g"]
        if self.options["activations"].get("new", {}).get("function") == "positive":
            g = torch.where(g >= 0, g + 0.5, torch.sigmoid(g))
        return (1 - z) * h + z * g

    def slstm(self, sums, before):
        """Beck et al. 2024, equations 8 to 17."""
        log_f = logsigmoid(sums["f"])
        m = torch.maximum(log_f + before["m"], sums["i"])
        i, f = torch.exp(sums["i"] - m), torch.exp(log_f + before["m"] - m)
        c = f * before["c"] + i * torch.tanh(sums["z"])
        n = f * before["n"] + i
        h = self.projected(torch.sigmoid(sums["o"]) * c / n)
        return h, {"c": c, "n": n, "m": m}

    def projected(self, h):
        return h @ self.weights["weight_hr"].T if "weight_hr" in self.weights else h

    def gru(self, x, h, seen):
        a = self.sums(x, self.weights["weight_ih"], "ih", "rz")
        a |= self.sums(x, self.weights["weight_ih"], "ih", "n")
        u = self.sums(seen, self.recurrent, "hh", "rz")
        r, z = torch.sigmoid(a["r"] + u["r"]), torch.sigmoid(a["z"] + u["z"])
        if self.options.get("gruReset") == "before":
            n = torch.tanh(a["n"] + self.sums(r * seen, self.recurrent, "hh", "n")["n"])
        else:
            n = torch.tanh(a["n"] + r * self.sums(seen, self.recurrent, "hh", "n")["n"])
        return (1 - z) * n + z * h

    def lstm(self, sums, c):
        weights, forget, clip = (
            self.weights,
            self.options["forgetGate"],
            self.options.get("cellClip"),
        )
        peephole = {gate: weights.get(f"weight_c{gate}", 0.0) for gate in "ifo"}
        i = torch.sigmoid(sums["i"] + peephole["i"] * c)
        if "own" in forget:
            f = torch.sigmoid(sums["f"] + peephole["f"] * c)
        elif "output" in forget:
            f = torch.sigmoid(sums["o"])
        else:
            f = (
                1 - i
                if "coupled" in forget
                else i
                if "input" in forget
                else forget["constant"]["_0"]
            )
        c = f * c + i * torch.tanh(sums["g"])
        c = c if clip is None else c.clamp(-clip, clip)
        o = torch.sigmoid(sums["o"] + peephole["o"] * c)
        squashed = c
        if self.options.get("layerNorm"):
            bias = weights.get("bias_ln_c")
            squashed = layer_norm(c, [self.hidden], weights["weight_ln_c"], bias)
        return self.projected(o * torch.tanh(squashed)), c

    def walk(self, x, lengths, states, reverse):
        """All steps: y, and the states after the last, by their names."""
        h = states["h"]
        memory = {name: state for name, state in states.items() if name != "h"}
        options, noise = self.options, self.noise
        mask = 1.0
        if noise and options.get("recurrentDropout"):
            mask = noise.dropped(RECURRENT_DROPOUT, options["recurrentDropout"], h.shape)

        def keep(name, use, state):
            probability = options.get(name, 0.0)
            shape = (x.shape[0], *state.shape)
            if noise and probability:
                return noise.kept(use, probability, shape)
            return torch.full(shape, float(probability))

        keep_h = keep("zoneoutHidden", ZONEOUT_HIDDEN, h)
        keep_c = keep("zoneoutCell", ZONEOUT_CELL, memory["c"]) if memory else None
        y = [None] * x.shape[0]
        for t in reversed(range(len(y))) if reverse else range(len(y)):
            active = (t < lengths).unsqueeze(1)
            made_h, made = self.step(x[t], h, h * mask, memory)
            next_h = keep_h[t] * h + (1 - keep_h[t]) * made_h
            y[t] = torch.where(active, next_h, 0.0)
            h = torch.where(active, next_h, h)
            memory = {
                name: torch.where(active, keep_c[t] * state + (1 - keep_c[t]) * made[name], state)
                for name, state in memory.items()
            }
        return torch.stack(y), {"h": h} | memory


def suffixes(layers, direction):
    """What the names of each layer's and direction's parameters end with, and whether it is reverse."""
    ways = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[direction]
    return [
        (f"_l{index}" + ("_reverse" if way and len(ways) == 2 else ""), way)
        for index in range(layers) for way in ways
    ]  # fmt: skip


def parameter_shapes(cell, options, inputs, hidden, layers, direction):
    """The shapes of a stack's parameters by their names, in Carousel's order."""
    options = PLAIN | options
    own = "own" in options["forgetGate"]
    gates = len(gate_letters(cell, options))
    rows, width = gates * hidden, options.get("projectionSize") or hidden
    kind, _, blocks = options["recurrence"].partition(":")
    blocks = int(blocks or 1)
    recurrent = {
        "dense": (rows, width), "diagonal": (rows,),
        "blocks": (gates, blocks, hidden // blocks, width // blocks),
    }[kind]  # fmt: skip
    result = {}
    for suffix, _ in suffixes(layers, direction):
        below = inputs if "_l0" in suffix else width * (2 if direction == "bidirectional" else 1)
        shapes = {"weight_ih": (rows, below)}
        if cells()[cell]["recurrentWeights"]:
            shapes["weight_hh"] = recurrent
        if options["bias"] != "none":
            shapes["bias_ih"] = (rows,)
        if options["bias"] == "double" and "weight_hh" in shapes:
            shapes["bias_hh"] = (rows,)
        if options.get("projectionSize"):
            shapes["weight_hr"] = (width, hidden)
        if options["peepholes"]:
            shapes |= {f"weight_c{gate}": (hidden,) for gate in ("ifo" if own else "io")}
        if options.get("layerNorm"):
            shapes |= {"weight_ln_ih": (rows,), "weight_ln_hh": (rows,)}
            if cell == "lstm":
                shapes["weight_ln_c"] = (hidden,)
                if options["bias"] != "none":
                    shapes["bias_ln_c"] = (hidden,)
        result |= {name + suffix: shape for name, shape in shapes.items()}
    return result


def stack(cell, options, parameters, x, lengths, initial, direction, noise=None):
    """A stack of layers over `x [T, N, C]`, directions concatenated.

    `initial` has h [L·D, N, P], and the cell's other states [L·D, N, H]; `noise` is (seed, step), or
    nothing is drawn. Returns y and the last states in the shape of `initial`.
    """
    last = {name: [] for name in initial}
    layers = 1 + max(int(name.split("_l")[-1].split("_")[0]) for name in parameters)
    ways = suffixes(layers, direction)
    per_layer = len(ways) // layers
    for index in range(layers):
        outputs = []
        for unit in range(index * per_layer, (index + 1) * per_layer):
            suffix, reverse = ways[unit]
            weights = {
                name.removesuffix(suffix): value for name, value in parameters.items()
                if name.endswith(suffix)
            }  # fmt: skip
            one = Layer(cell, options, weights, noise and Noise(*noise, unit))
            states = {name: value[unit] for name, value in initial.items()}
            y, final = one.walk(x, lengths, states, reverse)
            outputs.append(y)
            for name, state in final.items():
                last[name].append(state)
        x = torch.cat(outputs, -1)
    return x, {name: torch.stack(states) for name, states in last.items()}
