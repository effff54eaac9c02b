"""Runs random recurrent layers through `carousel run --gradients` and through PyTorch in Float64.

    python Tools/verify_pytorch.py [--count 300] [--seed 1] [--options | --half | --scale FACTOR]
                                   [--device D] [--carousel BINARY]

With --options the layers have what PyTorch's own lack, and `recurrent_layers` computes them with
PyTorch's autograd. With --half Carousel computes with --precision fp16, and PyTorch with weights that were
rounded to FP16. With --scale inputs and initial states are that much larger, and a tensor may have four
times the error that PyTorch's own Float32 has, where that is more: the largest of a few orders of the
features. Configuration k of seed S is the only one of seed S + k, so that a failure is repeated by itself.
"""

import argparse
import copy
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from option_configuration import OptionConfiguration
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

ROOT = Path(__file__).resolve().parents[1]
BOUND = 1e-5
# Orders of the features in which PyTorch's Float32 is tried.
ORDERS = 8
TYPES = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8"), "I64": np.dtype("<i8")}


@dataclass(frozen=True)
class Configuration:
    """A stack of layers and the tensors that it is given."""

    cell: str
    activation: str
    steps: int
    batchSize: int
    inputSize: int
    hiddenSize: int
    projectionSize: int
    layers: int
    bidirectional: bool
    bias: bool
    lengths: list | None
    states: bool

    @staticmethod
    def draw(seed):
        choose = random.Random(seed)
        cell = choose.choice(["RNN", "LSTM", "GRU"])
        steps, batch_size = choose.randint(1, 30), choose.randint(1, 12)
        # PyTorch packs no sequence of length 0.
        lengths = [choose.randint(1, steps) for _ in range(batch_size)]
        if max(lengths) < steps:
            lengths[choose.randrange(batch_size)] = steps
        hidden_size = choose.randint(1, 48)
        projects = cell == "LSTM" and hidden_size > 1 and choose.random() < 0.4
        return Configuration(
            cell=cell,
            activation=choose.choice(["tanh", "relu"]) if cell == "RNN" else "tanh",
            steps=steps,
            batchSize=batch_size,
            inputSize=choose.randint(1, 48),
            hiddenSize=hidden_size,
            projectionSize=choose.randint(1, hidden_size - 1) if projects else 0,
            layers=choose.randint(1, 3),
            bidirectional=choose.random() < 0.5,
            bias=choose.random() < 0.7,
            lengths=lengths if choose.random() < 0.5 else None,
            states=choose.random() < 0.6,
        )

    def make(self):
        """The layers of PyTorch, their parameters those of a Float32 model."""
        options = {"nonlinearity": self.activation} if self.cell == "RNN" else {}
        if self.projectionSize:
            options["proj_size"] = self.projectionSize
        return getattr(torch.nn, self.cell)(
            self.inputSize,
            self.hiddenSize,
            self.layers,
            bias=self.bias,
            bidirectional=self.bidirectional,
            **options,
        ).double()

    def inputs(self, scale):
        """Everything that IN holds, as Float64 of Float32 values; x and states are `scale` times normal."""
        directions = 2 if self.bidirectional else 1
        width = self.projectionSize or self.hiddenSize
        hidden = (self.layers * directions, self.batchSize, width)
        cell = (self.layers * directions, self.batchSize, self.hiddenSize)
        shapes = {
            "x": (self.steps, self.batchSize, self.inputSize),
            "grad_y": (self.steps, self.batchSize, directions * width),
            "grad_h_n": hidden,
        }
        if self.cell == "LSTM":
            shapes["grad_c_n"] = cell
        if self.states:
            shapes["h_0"] = hidden
            if self.cell == "LSTM":
                shapes["c_0"] = cell
        scales = {"x": scale, "h_0": scale, "c_0": scale}
        return {
            name: (torch.randn(shape) * scales.get(name, 1)).double() for name, shape in shapes.items()
        }

    def words(self):
        """What the tensors do not say, as options of `carousel run`."""
        return ["--activation", "relu"] if self.activation == "relu" else []

    def case(self, half=False, scale=1.0):
        """The model, everything that IN holds, all that `carousel run --gradients` writes, and bounds.

        With `half` that of a model whose weights are rounded to FP16.
        """
        inputs, model = self.inputs(scale), self.make()
        parameters = {name: value.detach().float() for name, value in model.named_parameters()}
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                rounds = half and name.startswith("weight")
                parameter.copy_(parameters[name].half() if rounds else parameters[name])
        single = copy.deepcopy(model).float()
        reference = expected(self, model, inputs)
        bounds = {name: BOUND for name in reference}
        for _ in range(ORDERS if scale != 1 else 0):
            order = torch.randperm(self.inputSize)
            for name, value in single_results(self, single, inputs, order).items():
                error = nrms(value.numpy(), reference[name].detach().numpy())
                bounds[name] = max(bounds[name], 4 * error)
        if self.lengths is not None:
            inputs["lengths"] = torch.tensor(self.lengths)
        return parameters, inputs, reference, bounds


def expected(configuration, model, inputs):
    """All that `carousel run --gradients` writes, by PyTorch."""
    x = inputs["x"].clone().requires_grad_()
    names = ["h", "c"] if configuration.cell == "LSTM" else ["h"]
    zeros = [torch.zeros_like(inputs[f"grad_{name}_n"]) for name in names]
    states = [inputs.get(f"{name}_0", zero) for name, zero in zip(names, zeros)]
    states = [state.clone().requires_grad_() for state in states]
    given = tuple(states) if configuration.cell == "LSTM" else states[0]
    if configuration.lengths is None:
        y, final = model(x, given)
    else:
        packed = pack_padded_sequence(x, configuration.lengths, enforce_sorted=False)
        y, final = model(packed, given)
        y, _ = pad_packed_sequence(y, total_length=configuration.steps)
    final = final if configuration.cell == "LSTM" else (final,)
    loss = (y * inputs["grad_y"]).sum()
    for name, state in zip(names, final):
        loss = loss + (state * inputs[f"grad_{name}_n"]).sum()
    loss.backward()
    result = {"y": y, "grad_x": x.grad}
    for name, initial, state in zip(names, states, final):
        result[f"{name}_n"] = state
        result[f"grad_{name}_0"] = initial.grad
    for name, parameter in model.named_parameters():
        result[f"grad_{name}"] = parameter.grad
    return result


def single_results(configuration, model, inputs, order):
    """The same by PyTorch in Float32, as Float64; the features of x are in another order.

    Sums of another order have other roundings: of a few large gradients a single one tells little.
    """
    model = copy.deepcopy(model)
    inverse = torch.argsort(order)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith("weight_ih_l0"):
                parameter.copy_(parameter[:, order])
    inputs = {name: value.float() for name, value in inputs.items()}
    inputs["x"] = inputs["x"][..., order]
    result = expected(configuration, model, inputs)
    for name in result:
        if name == "grad_x" or name.startswith("grad_weight_ih_l0"):
            result[name] = result[name][..., inverse]
    return {name: value.detach().double() for name, value in result.items()}


def write(path, tensors):
    """A safetensors file: Float64 arrays as F32, whole numbers as I64."""
    header, data = {}, b""
    for name, array in tensors.items():
        kind = "I64" if array.dtype.kind == "i" else "F32"
        chunk = np.ascontiguousarray(array, dtype=TYPES[kind]).tobytes()
        header[name] = {
            "dtype": kind,
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + len(chunk)],
        }
        data += chunk
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def read(path):
    """The tensors of a safetensors file."""
    content = path.read_bytes()
    end = 8 + struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:end])
    header.pop("__metadata__", None)
    result = {}
    for name, entry in header.items():
        begin, stop = entry["data_offsets"]
        array = np.frombuffer(content[end + begin : end + stop], TYPES[entry["dtype"]])
        result[name] = array.astype(np.float64).reshape(entry["shape"])
    return result


def nrms(actual, reference, cancelled=0.0):
    """√Σ(a−r)² / (√n · max|r|); not a number below the bound where a is none.

    Where r is 0 as the sum of terms that cancel, `cancelled` is the largest of them, by which a is measured.
    """
    largest = np.abs(reference).max() or cancelled
    error = np.sqrt(np.square(actual - reference).mean())
    if largest == 0:
        return 0.0 if error == 0 else float("inf")
    return float(error / largest)


def verify(configuration, settings, folder):
    """The tensors that are wrong, with what is wrong about them, and the largest nrms."""
    words = {"half": True} if settings.half else {"scale": settings.scale} if settings.scale else {}
    parameters, inputs, reference, *bounds = configuration.case(**words)
    bounds = bounds[0] if bounds else {name: BOUND for name in reference}
    write(folder / "m", {name: value.detach().numpy() for name, value in parameters.items()})
    write(folder / "i", {name: value.numpy() for name, value in inputs.items()})
    (folder / "o").unlink(missing_ok=True)
    command = [settings.carousel, "run", folder / "m", "--inputs", folder / "i"]
    command += ["--outputs", folder / "o", "--gradients", *configuration.words()]
    if settings.device:
        command += ["--device", settings.device]
    if settings.half:
        command += ["--precision", "fp16"]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    if run.returncode != 0:
        return [f"exit status {run.returncode}: {run.stderr.strip()}"], 0.0
    actual = read(folder / "o")
    wrong = []
    if actual.keys() != reference.keys():
        wrong.append(f"tensors {sorted(actual)}, expected {sorted(reference)}")
    largest = 0.0
    for name in actual.keys() & reference.keys():
        expected = reference[name].detach().numpy()
        if actual[name].shape != expected.shape:
            wrong.append(f"{name} {actual[name].shape}, expected {expected.shape}")
            continue
        # From zero states h does not depend on the stabiliser of an sLSTM: what reaches n and m cancels.
        cancelled = float(reference["grad_n_0"].abs().max()) if name == "grad_m_0" else 0.0
        value = nrms(actual[name], expected, cancelled)
        if not value <= bounds[name]:
            wrong.append(f"{name} nrms {value:.2e}, bound {bounds[name]:.2e}")
        largest = max(largest, value)
    return wrong, largest


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--options", action="store_true", help="what PyTorch's own layers lack")
    kinds.add_argument("--half", action="store_true", help="with weights in 16 bits")
    kinds.add_argument("--scale", type=float, help="the factor of inputs and initial states")
    parser.add_argument("--device", help="as carousel takes it")
    parser.add_argument("--carousel", type=Path, default=ROOT / ".build/release/carousel")
    settings = parser.parse_args()
    if settings.count < 1:
        parser.error("--count must be at least 1")
    if settings.scale is not None and not 0 < settings.scale <= 1e30:
        parser.error("--scale must be above 0 and at most 1e30")
    os.environ.setdefault("CAROUSEL", str(settings.carousel))
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="LSTM with projections")
    kind = OptionConfiguration if settings.options else Configuration
    words = " --options" if settings.options else " --half" if settings.half else ""
    words += f" --scale {settings.scale:g}" if settings.scale else ""
    words += f" --device '{settings.device}'" if settings.device else ""
    failures, largest = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(settings.seed, settings.seed + settings.count):
            configuration = kind.draw(seed)
            torch.manual_seed(seed)
            wrong, value = verify(configuration, settings, Path(folder))
            largest = max(largest, value)
            if wrong:
                failures += 1
                print(f"seed {seed}: {json.dumps(asdict(configuration))}")
                for sentence in wrong:
                    print(f"  {sentence}")
                print(f"  repeat with: Tools/verify-pytorch --count 1 --seed {seed}{words}")
    print(
        f"{settings.count - failures} of {settings.count} configurations agree with PyTorch "
        f"{torch.__version__}, largest nrms {largest:.2e}, bound {BOUND:.0e}"
        + (" or four times PyTorch's own error" if settings.scale else "")
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
