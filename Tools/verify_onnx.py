"""Runs ONNX models through `carousel run` and compares with what they should give.

    python Tools/verify_onnx.py nodes [NAME...]     the node tests of the package onnx (1.18 ships their data)
    python Tools/verify_onnx.py models FILE...      ONNX Runtime on the same random inputs
    python Tools/verify_onnx.py gradients FILE...   the gradients of PyTorch in Float64, for drawn ones of the outputs
    python Tools/verify_onnx.py random [COUNT]      random PyTorch networks, exported both ways
    python Tools/verify_onnx.py exported [COUNT]    random layers, written by `carousel convert`, in ONNX Runtime
                          [--seed 1] [--device D] [--carousel BINARY] [--data FOLDER] [--verbose]

Bound: an nrms of 1e-5, for graphs with whole numbers in the place of weights 2e-2; whole numbers are equal.
"""

import argparse
import collections
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from safetensors.numpy import load_file, save_file

ROOT = Path(__file__).resolve().parents[1]
BOUND = 1e-5


def nrms(actual, expected):
    """The root mean square of the errors beside the largest value."""
    actual, expected = actual.astype("f8"), expected.astype("f8")
    if actual.shape != expected.shape:
        return float("inf")
    if expected.size == 0:
        return 0.0
    same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
    scale = np.abs(np.where(np.isfinite(expected), expected, 0)).max()
    error = np.where(same, 0, actual - expected)
    result = float(np.sqrt((error**2).mean()) / (scale if scale > 0 else 1))
    return result if np.isfinite(result) else float("inf")


class Runner:
    def __init__(self, arguments):
        self.arguments = arguments
        self.folder = tempfile.TemporaryDirectory()
        self.results = collections.Counter()

    def run(self, path, inputs, options=()):
        """The outputs of carousel by name, or the sentence of its failure."""
        given, made = Path(self.folder.name, "in.safetensors"), Path(self.folder.name, "out.safetensors")
        made.unlink(missing_ok=True)
        save_file({name: np.array(value, order="C") for name, value in inputs.items()}, given)
        command = [self.arguments.carousel, "run", path, "--inputs", given, "--outputs", made, "--quiet", *options]
        if self.arguments.device:
            command += ["--device", self.arguments.device]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if done.returncode == 0:
            return load_file(made), ""
        return None, f"exit {done.returncode}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else ''}"

    def check(self, name, path, inputs, expected, bound=BOUND, options=()):
        found, sentence = self.run(path, inputs, options)
        if found is None:
            kind = "refused" if "exit 65" in sentence else "FAILED"
            self.results[kind] += 1
            print(f"{kind:8} {name}: {sentence}")
            return kind == "refused"
        worst, where = 0.0, ""
        for output, value in expected.items():
            error = nrms(found[output], value) if output in found else float("inf")
            if not error <= worst:
                worst, where = error, output
        unknown = [key for key in found if key not in expected and np.any(found[key])]
        if unknown:
            worst, where = float("inf"), f"{', '.join(unknown)}, which nothing is known of"
        ok = worst <= bound
        self.results["ok" if ok else "WRONG"] += 1
        if not ok or self.arguments.verbose:
            print(f"{'ok' if ok else 'WRONG':8} {name}: nrms {worst:.2e} of {where}")
        return ok


def nodes(runner):
    folder = Path(runner.arguments.data or Path(onnx.__file__).parent / "backend/test/data") / "node"
    names = [path.name for path in sorted(folder.iterdir())]
    wanted = runner.arguments.names
    for name in names:
        if wanted and not any(name.startswith("test_" + word) for word in wanted):
            continue
        try:
            model = onnx.load(folder / name / "model.onnx")
        except Exception:
            continue
        data = folder / name / "test_data_set_0"

        def tensor(kind, index):
            proto = onnx.TensorProto()
            proto.ParseFromString((data / f"{kind}_{index}.pb").read_bytes())
            return numpy_helper.to_array(proto)

        try:
            inputs = {v.name: tensor("input", i) for i, v in enumerate(model.graph.input)}
            expected = {v.name: tensor("output", i) for i, v in enumerate(model.graph.output)}
            known = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}
            if any(a.dtype.str[1:] not in known for a in [*inputs.values(), *expected.values()]):
                continue
        except Exception:
            continue
        # Numbers of four digits, what is computed from them too.
        is_rounded = name == "test_averagepool_2d_ceil_last_window_starts_on_pad"
        half = is_rounded or any(a.dtype == np.float16 for a in [*inputs.values(), *expected.values()])
        runner.check(name, folder / name / "model.onnx", inputs, expected, 1e-3 if half else BOUND)


def random_inputs(session, generator, sizes):
    result = {}
    kinds = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32}
    for value in session.get_inputs():
        shape = [d if isinstance(d, int) and d > 0 else sizes.get(str(d), sizes["*"]) for d in value.shape]
        name = value.name
        if name == "sr":
            result[name] = np.array(16000, np.int64)
        elif value.type == "tensor(float)":
            scale = 0.1 if name in ("state", "h", "c") else 0.5
            result[name] = (generator.standard_normal(shape) * scale).astype("f4")
        else:
            result[name] = generator.integers(0, 30, shape).astype(kinds[value.type])
    return result


def models(runner):
    for path, session, inputs in model_inputs(runner):
        names = [value.name for value in session.get_outputs()]
        expected = dict(zip(names, session.run(names, inputs)))
        whole = any("Integer" in n.op_type or "DynamicQuantize" in n.op_type for n in onnx.load(path).graph.node)
        runner.check(Path(path).name, path, inputs, expected, 2e-2 if whole else BOUND)


def gradients(runner):
    """The gradients of every parameter and input, of the sum of all outputs times numbers that are drawn."""
    import torch
    from onnx_in_torch import Model

    generator = np.random.default_rng(runner.arguments.seed)
    for path, session, inputs in model_inputs(runner):
        leaves = {name: torch.tensor(np.array(value)) for name, value in inputs.items()}
        leaves = {name: x.double().requires_grad_() if x.is_floating_point() else x for name, x in leaves.items()}
        model = Model(path)
        outputs = model(leaves)
        given = {name: generator.standard_normal(y.shape).astype("f4") for name, y in outputs.items()}
        sum((y * torch.tensor(given[name])).sum() for name, y in outputs.items()).backward()
        leaves.update(model.leaves)
        expected = {"grad_" + name: x.grad.numpy() for name, x in leaves.items() if x.grad is not None}
        expected.update({name: y.detach().numpy() for name, y in outputs.items()})
        name = f"{Path(path).name} ({len(expected) - len(outputs)} gradients)"
        runner.check(name, path, {**inputs, **{"grad_" + key: value for key, value in given.items()}}, expected,
                     options=["--gradients"])


def model_inputs(runner):
    """Each file with a session of ONNX Runtime and inputs."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    generator = np.random.default_rng(runner.arguments.seed)
    for path in runner.arguments.names:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        sizes = {"*": 1, "S": 25, "sequence_length": 9, "batch": 1, "sequence": 576, "image_width": 120,
                 "batch_size": 2, "seq_len": 11}
        inputs = random_inputs(session, generator, sizes)
        if Path(path).name in ("silero_vad.onnx", "silero_vad_half.onnx", "silero_vad_16k_op15.onnx",
                               "silero_vad_op18_ifless.onnx", "silero_vad_openvino_16k.onnx"):
            time = np.arange(576) / 16000
            voice = sum(np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 12)) * 0.2
            inputs["input"] = (voice + generator.standard_normal((1, 576)) * 0.01).astype("f4")
            inputs["state"] = (generator.standard_normal((2, 1, 128)) * 0.1).astype("f4")
        yield path, session, inputs


def network(choose):
    """A random network and an input of it."""
    import torch
    from torch import nn

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.kind = choose.choice(["LSTM", "GRU", "RNN"])
            self.embed = choose.random() < 0.3
            self.convolve = not self.embed and choose.random() < 0.3
            self.first = choose.random() < 0.5
            features = choose.randint(1, 9)
            hidden = choose.randint(1, 12)
            layers, both = choose.randint(1, 2), choose.random() < 0.5
            if self.embed:
                self.embedding = nn.Embedding(11, features)
            self.features = features
            if self.convolve:
                self.convolution = nn.Conv1d(features, 5, 3, padding=1)
                self.norm = nn.BatchNorm1d(5)
                features = 5
            options = {"nonlinearity": choose.choice(["tanh", "relu"])} if self.kind == "RNN" else {}
            self.recurrent = getattr(nn, self.kind)(
                features, hidden, layers, batch_first=self.first, bidirectional=both,
                bias=choose.random() < 0.8, **options)
            width = hidden * (2 if both else 1)
            self.layer_norm = nn.LayerNorm(width) if choose.random() < 0.5 else nn.Identity()
            self.head = nn.Linear(width, choose.randint(1, 6))
            self.pool = choose.choice(["none", "last", "mean", "max"])
            self.out = choose.choice([nn.Softmax(-1), nn.Sigmoid(), nn.Identity(), nn.LogSoftmax(-1)])

        def forward(self, x):
            if self.embed:
                x = self.embedding(x)
            if self.convolve:
                order = (0, 2, 1) if self.first else (1, 2, 0)
                back = (0, 2, 1) if self.first else (2, 0, 1)
                x = torch.relu(self.norm(self.convolution(x.permute(*order)))).permute(*back)
            y, _ = self.recurrent(x)
            y = self.layer_norm(y)
            time = 1 if self.first else 0
            if self.pool == "last":
                y = y[:, -1] if self.first else y[-1]
            elif self.pool == "mean":
                y = y.mean(time)
            elif self.pool == "max":
                y = y.amax(time)
            return self.out(self.head(y))

    net = Network().eval()
    steps, batch = choose.randint(1, 12), choose.randint(1, 4)
    shape = (batch, steps) if net.first else (steps, batch)
    if net.embed:
        return net, torch.randint(0, 11, shape)
    return net, torch.randn(*shape, net.features)


def random_networks(runner):
    import logging
    import warnings

    import torch

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    count = int(runner.arguments.names[0]) if runner.arguments.names else 20
    for index in range(count):
        seed = runner.arguments.seed + index
        choose = random.Random(seed)
        torch.manual_seed(seed)
        net, x = network(choose)
        with torch.no_grad():
            expected = net.double()(x if net.embed else x.double()).numpy()
        net.float()
        for dynamo in (False, True):
            path = Path(runner.folder.name, "net.onnx")
            import contextlib
            import io
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                torch.onnx.export(net, (x,), path, input_names=["x"], output_names=["y"], dynamo=dynamo,
                                  **({"external_data": False} if dynamo else {}))
            runner.check(f"{'dynamo' if dynamo else 'script'} network {seed} ({net.kind})", path,
                         {"x": x.numpy()}, {"y": expected})


def flags_of_layers(choose):
    """The options of random layers of any cell, as words for carousel."""
    cell = choose.choice(["rnn", "lstm", "gru", "mingru", "slstm"])
    hidden = choose.choice([1, 2, 3, 4, 6, 8])
    words = ["--cell", cell, "--input-size", choose.randint(1, 7), "--hidden-size", hidden]

    def maybe(probability, *more):
        if choose.random() < probability:
            words.extend(more)
            return True
        return False

    maybe(0.5, "--layers", choose.randint(2, 3))
    direction = choose.choice(["forward", "reverse", "bidirectional"])
    words += ["--direction", direction]
    if direction == "bidirectional":
        maybe(0.5, "--merge", choose.choice(["sum", "average", "multiply"]))
    maybe(0.4, "--bias", choose.choice(["single", "none"]))
    maybe(0.2, "--zoneout", f"{choose.uniform(0.05, 0.6):.3f}" + (",0.25" if cell == "lstm" else ",0"))
    gates = {"rnn": ["hidden"], "lstm": ["input", "forget", "cell", "output", "hidden"],
             "gru": ["reset", "update", "new"], "mingru": ["update", "new"], "slstm": ["cell", "output"]}[cell]
    bounded = ["sigmoid", "tanh", "scaledtanh:0.7:1.1", "hardsigmoid:0.3:0.4", "softsign"]
    functions = bounded + ["relu", "affine:0.5:0.1", "leakyrelu:0.2", "thresholdedrelu:0.3", "elu:0.6", "softplus",
                           "positive"]
    own_forget = True
    if cell == "lstm":
        tie = choose.choice([[], [], [], ["--couple-input-forget"], ["--tie", "input=forget"],
                             ["--tie", "forget=output"], ["--forget-decay", "0.8"]])
        words += tie
        own_forget = not tie
        if "forget=output" not in tie:
            maybe(0.3, "--peepholes")
        maybe(0.25, "--cell-clip", "0.4")
    if cell == "gru":
        maybe(0.5, "--gru-reset", choose.choice(["before", "after"]))
    if cell != "mingru":
        maybe(0.3, "--layer-norm")
    projected = cell in ("lstm", "slstm") and hidden > 1 and choose.random() < 0.25
    if projected:
        words += ["--projection-size", choose.randint(1, hidden - 1)]
    if cell != "mingru" and not projected:
        maybe(0.3, "--recurrence", "diagonal" if hidden % 2 or choose.random() < 0.5 else "blocks:2")
    if maybe(0.15) and cell != "rnn":
        held = choose.choice([g for g in gates if g != "hidden" and (g != "forget" or own_forget)])
        words += ["--override", f"{held}={choose.uniform(0.1, 0.9):.3f}"]
    for gate in gates:
        if own_forget or gate != "forget":
            # With a gate that has no bound the states would grow beyond all numbers.
            known = functions if gate in ("cell", "new", "hidden") else bounded
            maybe(0.12, "--activation", f"{gate}={choose.choice(known)}")
    return [str(word) for word in words]


def exported_layers(runner):
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    count = int(runner.arguments.names[0]) if runner.arguments.names else 200
    folder = Path(runner.folder.name)
    weights, model = folder / "layers.safetensors", folder / "layers.onnx"
    inputs_file, outputs_file = folder / "x.safetensors", folder / "y.safetensors"

    def carousel(*words):
        done = subprocess.run([str(word) for word in (runner.arguments.carousel, *words)],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"exit {done.returncode}: {done.stderr.strip()} ({' '.join(map(str, words))})")
        return done.stdout

    for index in range(count):
        seed = runner.arguments.seed + index
        choose, generator = random.Random(seed), np.random.default_rng(seed)
        flags = flags_of_layers(choose)
        name = f"layers {seed} ({' '.join(flags)})"
        try:
            tensors = json.loads(carousel("parameters", *flags, "--json"))["tensors"]
        except RuntimeError as error:
            runner.results["FAILED"] += 1
            print(f"FAILED   {name}: {error}")
            continue

        def numbers(shape, scale=1.0):
            return (generator.standard_normal(shape) * scale).astype("f4")

        state = {t["name"]: numbers(t["shape"], 1 / max(t["shape"][-1], 1) ** 0.5) for t in tensors}
        steps, batch = choose.randint(1, 12), choose.randint(1, 4)
        x = numbers((steps, batch, next(t["shape"][1] for t in tensors if t["name"] == "weight_ih_l0")))
        save_file({"x": x}, inputs_file)
        more = ["--states"] if choose.random() < 0.5 else []
        try:
            save_file(state, weights)
            carousel("run", weights, "--inputs", inputs_file, "--outputs", outputs_file, "--device",
                     "reference", *flags)
            expected = load_file(outputs_file)
            given = {"x": x}
            if more:
                for key, value in list(expected.items()):
                    if key.endswith("_n"):
                        start = numbers(value.shape)
                        given[key[0] + "_0"] = np.abs(start) + 1 if key[0] == "n" else start
                save_file(given, inputs_file)
            head = []
            if choose.random() < 0.4:
                state["fc.weight"] = numbers((choose.randint(1, 5), expected["y"].shape[-1]), 0.5)
                state["fc.bias"] = numbers(state["fc.weight"].shape[:1])
                head = ["--head", "fc"]
                save_file(state, weights)
            carousel("run", weights, "--inputs", inputs_file, "--outputs", outputs_file, "--device",
                     "reference", *head, *flags)
            expected = load_file(outputs_file)
            carousel("convert", weights, model, *more, *head, *flags)
            session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
            names = [value.name for value in session.get_outputs()]
            found = dict(zip(names, session.run(names, given)))
        except Exception as error:
            runner.results["FAILED"] += 1
            print(f"FAILED   {name}: {error}")
            continue
        worst = max(nrms(found[key], expected[key]) if key in found else float("inf") for key in expected)
        ok = worst <= BOUND
        runner.results["ok" if ok else "WRONG"] += 1
        if not ok or runner.arguments.verbose:
            print(f"{'ok' if ok else 'WRONG':8} {name}: nrms {worst:.2e}")
        runner.check(name + " read back", model, given, expected)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["nodes", "models", "gradients", "random", "exported"])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device")
    parser.add_argument("--data")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--carousel", default=str(ROOT / ".build/release/carousel"))
    runner = Runner(parser.parse_args())
    {"nodes": nodes, "models": models, "gradients": gradients, "random": random_networks,
     "exported": exported_layers}[runner.arguments.kind](runner)
    if not runner.results:
        sys.exit(f"error: nothing to verify, found no test of {', '.join(runner.arguments.names) or 'any name'}")
    print(", ".join(f"{count} {kind}" for kind, count in sorted(runner.results.items())))
    sys.exit(1 if runner.results["WRONG"] or runner.results["FAILED"] else 0)


if __name__ == "__main__":
    main()
