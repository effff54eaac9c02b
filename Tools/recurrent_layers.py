"""Recurrent layers written from the papers in PyTorch, whose autograd makes their gradients.

They are for the options that PyTorch's own layers lack, and share no code with Carousel: `options` are
those of a checkpoint's JSON, parameters have Carousel's names.
"""

import torch
from torch.nn.functional import layer_norm

PLAIN = {
    "bias": "double", "activations": {}, "forgetGate": {"own": {}}, "peepholes": False,
    "recurrence": "dense", "overrides": {},
}  # fmt: skip
GATES = {"rnn": "h", "gru": "rzn", "lstm": "ifgo"}
# What draws the masks of one layer, by its place in the upper byte of a stream.
RECURRENT_DROPOUT, ZONEOUT_HIDDEN, ZONEOUT_CELL, DROP_CONNECT = 5, 6, 7, 8


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
        # LSTM gates without a forget gate's weights have three groups of rows.
        self.gates = [g for g in GATES[cell] if g != "f" or "own" in self.options["forgetGate"]]
        self.hidden = weights["weight_ih"].shape[0] // len(self.gates)
        self.recurrent = self.recurrent_matrix()

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

    def step(self, x, h, seen, c):
        """What one step makes of h and c; `seen` is h after dropout."""
        if self.cell == "gru":
            return self.gru(x, h, seen), c
        a = self.sums(x, self.weights["weight_ih"], "ih", self.gates)
        u = self.sums(seen, self.recurrent, "hh", self.gates)
        if self.cell == "rnn":
            return torch.tanh(a["h"] + u["h"]), c
        return self.lstm({gate: a[gate] + u[gate] for gate in self.gates}, c)

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
        h = o * torch.tanh(squashed)
        return (h @ weights["weight_hr"].T if "weight_hr" in weights else h), c

    def walk(self, x, lengths, h, c, reverse):
        """All steps: y, and the states after the last."""
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
        keep_c = keep("zoneoutCell", ZONEOUT_CELL, c) if c is not None else None
        y = [None] * x.shape[0]
        for t in reversed(range(len(y))) if reverse else range(len(y)):
            active = (t < lengths).unsqueeze(1)
            made_h, made_c = self.step(x[t], h, h * mask, c)
            next_h = keep_h[t] * h + (1 - keep_h[t]) * made_h
            y[t] = torch.where(active, next_h, 0.0)
            h = torch.where(active, next_h, h)
            if c is not None:
                c = torch.where(active, keep_c[t] * c + (1 - keep_c[t]) * made_c, c)
        return torch.stack(y), h, c


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
    gates = len(GATES[cell]) - (cell == "lstm" and not own)
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
        shapes = {"weight_ih": (rows, below), "weight_hh": recurrent}
        if options["bias"] != "none":
            shapes["bias_ih"] = (rows,)
        if options["bias"] == "double":
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

    `initial` has h [L·D, N, P], and c [L·D, N, H] for the LSTM; `noise` is (seed, step), or nothing is
    drawn. Returns y and the last states in the shape of `initial`.
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
            y, h, c = one.walk(x, lengths, states["h"], states.get("c"), reverse)
            outputs.append(y)
            last["h"].append(h)
            if "c" in last:
                last["c"].append(c)
        x = torch.cat(outputs, -1)
    return x, {name: torch.stack(states) for name, states in last.items()}
