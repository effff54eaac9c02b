"""Measures Carousel beside its peers, alternately in one run, and prints who is faster.

Each round measures every case once with each program, so that what else the machine does falls on all
of them; a peer is one process for all cases. Only the ratios carry over to another day.
"""

import argparse
import datetime
import json
import math
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import chart

ROOT = Path(__file__).resolve().parents[2]
PEERS = {
    "pytorch": ("PyTorch", Path(__file__).with_name("pytorch_peer.py")),
    "onnxruntime": ("ONNX Runtime", Path(__file__).with_name("onnxruntime_peer.py")),
}
NAMES = {name: title for name, (title, _) in PEERS.items()} | {"against": "the other Carousel"}
# A call of a layer case computes about this much, a second or so, in FEWEST_ to MOST_ITERATIONS passes:
# the shorter the turns, the more alike what else the machine does in them. Where passes are short, a round
# has up to MOST_TURNS calls of each program.
OPERATIONS_PER_CALL = 1e11
FEWEST_ITERATIONS = 3
MOST_ITERATIONS = 300
MOST_TURNS = 5


@dataclass(frozen=True)
class Layer:
    """Recurrent layers; measured is the median time of a pass."""

    cell: str
    mode: str
    steps: int
    batchSize: int
    inputSize: int
    hiddenSize: int
    layers: int = 1
    bidirectional: bool = False
    ragged: bool = False

    unit = "ms"

    @property
    def name(self):
        extra = f" L{self.layers}" if self.layers > 1 else ""
        extra += " bidirectional" if self.bidirectional else ""
        extra += " lengths" if self.ragged else ""
        return (
            f"{self.cell} {self.mode} T{self.steps} N{self.batchSize}"
            f" C{self.inputSize} H{self.hiddenSize}{extra}"
        )

    @property
    def peers(self):
        return ["pytorch"] if self.mode == "training" else ["pytorch", "onnxruntime"]

    @property
    def lengths(self):
        """Uniform in 1 to T, the same for every program; None for T everywhere."""
        if not self.ragged:
            return None
        draw = random.Random(1)
        return [draw.randint(1, self.steps) for _ in range(self.batchSize)]

    @property
    def operations(self):
        """Floating-point operations of a pass."""
        gates = {"lstm": 4, "gru": 3, "rnn": 1}[self.cell]
        directions = 2 if self.bidirectional else 1
        products = gates * self.hiddenSize * (self.inputSize + self.hiddenSize)
        products += (
            (self.layers - 1) * gates * self.hiddenSize * self.hiddenSize * (directions + 1)
        )
        operations = 2 * self.steps * self.batchSize * products * directions
        return operations * (3 if self.mode == "training" else 1)

    @property
    def iterations(self):
        passes = round(OPERATIONS_PER_CALL / self.operations)
        return min(MOST_ITERATIONS, max(FEWEST_ITERATIONS, passes))

    @property
    def turns(self):
        calls = round(OPERATIONS_PER_CALL / (self.operations * self.iterations))
        return min(MOST_TURNS, max(1, calls))

    @property
    def description(self):
        return asdict(self) | {
            "lengths": self.lengths,
            "iterations": self.iterations,
            "warmup": max(1, self.iterations // 5),
        }

    def carousel(self, settings, binary):
        case = self.description
        arguments = ["profile", "--wall-only", "--cell", self.cell, "--mode", self.mode]
        for option, value in [
            ("--steps", self.steps),
            ("--batch-size", self.batchSize),
            ("--input-size", self.inputSize),
            ("--hidden-size", self.hiddenSize),
            ("--layers", self.layers),
            ("--iterations", settings.iterations or case["iterations"]),
            ("--warmup", case["warmup"]),
        ]:
            arguments += [option, str(value)]
        if self.bidirectional:
            arguments += ["--bidirectional"]
        if self.lengths:
            arguments += ["--lengths", ",".join(map(str, self.lengths))]
        report = run_json([binary, *arguments, *settings.device_options, "--json"])
        wall = report["wall"]
        return {
            "seconds": wall["medianSeconds"],
            "gflops": wall["gflops"],
            "peakGflops": report["peak"]["gflops"],
        }

    def peer(self, peer):
        return {"seconds": peer.measure("layer", self.description)["medianSeconds"]}


@dataclass(frozen=True)
class Text:
    """`train text` end to end; measured is the time of a training step."""

    data: str = "Data/kjv/kjv.txt"
    hiddenSize: int = 256
    embeddingSize: int = 64
    layers: int = 1
    steps: int = 64
    batchSize: int = 64
    learningRate: float = 0.002
    clip: float = 1.0

    unit = "ms a step"
    mode = "training"
    peers = ["pytorch"]
    turns = 1

    @property
    def name(self):
        return f"train text H{self.hiddenSize} N{self.batchSize} T{self.steps}"

    @property
    def description(self):
        return asdict(self) | {"iterations": 40, "warmup": 20}

    def carousel(self, settings, binary):
        case = self.description
        with tempfile.TemporaryDirectory() as folder:
            run_folder = Path(folder) / "run"
            arguments = [binary, "train", "text", self.data, "--output", run_folder]
            for option, value in [
                ("--hidden-size", self.hiddenSize),
                ("--embedding-size", self.embeddingSize),
                ("--layers", self.layers),
                ("--steps", self.steps),
                ("--batch-size", self.batchSize),
                ("--learning-rate", self.learningRate),
                ("--clip-norm", self.clip),
                ("--validation", 0),
                ("--log-every", case["warmup"]),
                ("--max-steps", case["iterations"] + case["warmup"]),
                ("--seed", 1),
            ]:
                arguments += [option, str(value)]
            run_command([*arguments, *settings.device_options, "--quiet"])
            rate = characters_per_second(run_folder / "metrics.jsonl")
            return {"seconds": self.steps * self.batchSize / rate}

    def peer(self, peer):
        wall = peer.measure("text", self.description)
        return {"seconds": self.steps * self.batchSize / wall["bytesPerSecond"]}


@dataclass(frozen=True)
class Model:
    """A deployed model from an ONNX file; measured is the median time of a pass, its inputs written and its
    outputs left where they are."""

    title: str
    file: str
    shapes: tuple
    values: tuple = ()
    iterations: int = 10

    unit = "ms"
    mode = "model"
    peers = ["onnxruntime"]
    turns = 2

    @property
    def name(self):
        return f"model {self.title}"

    @property
    def description(self):
        return {
            "file": str(ROOT / "Data/onnx-models" / self.file),
            "shapes": dict(self.shapes),
            "values": dict(self.values),
            "iterations": self.iterations,
            "warmup": max(2, self.iterations // 5),
        }

    def carousel(self, settings, binary):
        case = self.description
        arguments = ["profile", case["file"], "--wall-only", "--mode", "inference"]
        for name, shape in case["shapes"].items():
            arguments += ["--shape", f"{name}={','.join(map(str, shape))}"]
        for name, value in case["values"].items():
            arguments += ["--value", f"{name}={value}"]
        for option, value in [
            ("--iterations", settings.iterations or case["iterations"]),
            ("--warmup", case["warmup"]),
        ]:
            arguments += [option, str(value)]
        report = run_json([binary, *arguments, *settings.device_options, "--json"])
        return {
            "seconds": report["wall"]["medianSeconds"],
            "peakGflops": report["peak"]["gflops"],
        }

    def peer(self, peer):
        return {"seconds": peer.measure("model", self.description)["medianSeconds"]}


class Peer:
    """A peer's process: a line with a case in, a line with what it measured out."""

    def __init__(self, name, settings):
        self.name, script = PEERS[name]
        self.process = subprocess.Popen(
            [settings.python, script],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.version = self.answer()["version"]

    def measure(self, kind, case):
        print(json.dumps({"kind": kind, "case": case}), file=self.process.stdin, flush=True)
        return self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended with exit status {self.process.wait()}")
        return json.loads(line)


def cases():
    table = [
        (5, 32, 20, 128, ["rnn", "lstm", "gru"], {}),
        (50, 32, 20, 128, ["rnn", "lstm", "gru"], {}),
        (100, 64, 128, 256, ["rnn", "lstm", "gru"], {}),
        (25, 64, 512, 512, ["rnn", "lstm", "gru"], {}),
        (50, 64, 1024, 1024, ["lstm", "gru"], {}),
        (50, 1, 256, 256, ["lstm", "gru"], {}),
        (150, 16, 256, 256, ["lstm"], {}),
        (100, 32, 128, 128, ["lstm"], {"layers": 2, "bidirectional": True}),
        (100, 32, 128, 256, ["lstm"], {"ragged": True}),
        (1000, 8, 64, 128, ["gru"], {}),
    ]
    layers = [
        Layer(cell, mode, *sizes, **extra)
        for mode in ("inference", "training")
        for *sizes, cells, extra in table
        for cell in cells
    ]
    # Ten seconds of sound are 1000 frames of DeepFilterNet3; a chunk of Silero's is 512 samples after 64.
    frames = 1000
    models = [
        Model(
            "Silero VAD, 1000 chunks",
            "silero_vad_16k_sequence.onnx",
            (("input", (1000, 576)), ("h", (1, 1, 128)), ("c", (1, 1, 128))),
        ),
        Model(
            "Silero VAD, one chunk",
            "silero_vad_16k_op15.onnx",
            (("input", (1, 576)), ("state", (2, 1, 128))),
            (("sr", 16000),),
            iterations=200,
        ),
        Model(
            "DeepFilterNet3 encoder, 10 s",
            "enc.onnx",
            (("feat_erb", (1, 1, frames, 32)), ("feat_spec", (1, 2, frames, 96))),
        ),
        Model(
            "DeepFilterNet3 ERB decoder, 10 s",
            "erb_dec.onnx",
            (
                ("emb", (1, frames, 512)),
                ("e3", (1, 64, frames, 8)),
                ("e2", (1, 64, frames, 8)),
                ("e1", (1, 64, frames, 16)),
                ("e0", (1, 64, frames, 32)),
            ),
        ),
        Model(
            "DeepFilterNet3 DF decoder, 10 s",
            "df_dec.onnx",
            (("emb", (1, frames, 512)), ("c0", (1, 64, frames, 96))),
        ),
        Model("ddddocr CRNN, 64 x 160", "common.onnx", (("input1", (1, 1, 64, 160)),)),
    ]
    return [*layers, Text(), Text(hiddenSize=512), *models]


def characters_per_second(metrics):
    """The median rate of the lines of a run's metrics, the first one left out as warm-up."""
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    rates = [line["bytesPerSecond"] for line in lines if line.get("bytesPerSecond")]
    if len(rates) < 2:
        sys.exit(f"{metrics} holds {len(rates)} lines with bytesPerSecond, expected 2 or more")
    return statistics.median(rates[1:])


def run_command(command):
    command = [str(part) for part in command]
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode != 0:
        sys.exit(f"{done.stderr}\nexit status {done.returncode}: {' '.join(command)}")
    return done.stdout


def run_json(command):
    return json.loads(run_command(command))


def surroundings(settings, peers):
    """What the figures depend on: device, driver, host, commit, versions."""
    devices = run_json([settings.carousel, "devices", "--json"])["devices"]
    chosen = [device for device in devices if device["default"]]
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    return {
        "date": datetime.date.today().isoformat(),
        "commit": commit,
        "command": " ".join(["Tools/benchmark", *sys.argv[1:]]),
        "deviceOption": settings.device or "auto",
        "devices": devices if settings.device else chosen,
        "loadAtStart": settings.load,
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.machine()}",
        "peers": {name: peer.version for name, peer in peers.items()},
    }


def measure(selected, settings, peers):
    """For each case a list of turns, each with what every program measured."""
    measured = {case: [] for case in selected}
    for number in range(1, settings.rounds + 1):
        for case in selected:
            print(f"round {number}/{settings.rounds}: {case.name}", file=sys.stderr)
            binaries = {"carousel": settings.carousel}
            if settings.against:
                binaries["against"] = settings.against
            sides = [*binaries, *(name for name in case.peers if name in peers)]
            for _ in range(case.turns):
                turns = measured[case]
                turns.append({
                    side: case.carousel(settings, binaries[side])
                    if side in binaries
                    else case.peer(peers[side])
                    for side in (sides[::-1] if len(turns) % 2 else sides)
                })
    return measured


def peak_gflops(turns):
    """The median of the peaks that Carousel measured beside its cases, or None where it measured none.

    One of them may be half of it, or more than it was a moment later: where two cores of a virtual
    machine shared one of the machine's while it was measured.
    """
    measured = [turn["carousel"].get("peakGflops") for each in turns.values() for turn in each]
    known = [peak for peak in measured if peak is not None]
    return statistics.median(known) if known else None


def summarize(case, turns, peak):
    """Medians over the turns: each time, the best peer's as a multiple of Carousel's, the part of `peak`."""
    sides = turns[0].keys()
    peers = [side for side in sides if side != "carousel"]
    result = {
        "name": case.name,
        "mode": case.mode,
        "unit": case.unit,
        "case": case.description,
        "seconds": {
            side: statistics.median(each[side]["seconds"] for each in turns) for side in sides
        },
        "turns": turns,
    }
    rates = [each["carousel"].get("gflops") for each in turns]
    if rates[0] is not None:
        result["fractionOfPeak"] = statistics.median(rates) / peak
    if peers:
        ratios = [
            min(each[peer]["seconds"] for peer in peers) / each["carousel"]["seconds"]
            for each in turns
        ]
        result |= {
            "ratio": statistics.median(ratios),
            "ratioMin": min(ratios),
            "ratioMax": max(ratios),
        }
    return result


def geometric_means(results):
    """Of the ratios of each mode."""
    means = {}
    for mode in ("inference", "training", "model"):
        ratios = [r["ratio"] for r in results if r["mode"] == mode and "ratio" in r]
        if ratios:
            means[mode] = math.exp(statistics.mean(math.log(ratio) for ratio in ratios))
    return means


def table(results, peers):
    names = [NAMES[peer] for peer in peers]
    rows = [["case", "Carousel, ms", *(f"{name}, ms" for name in names), "of peak"]]
    if peers:
        rows[0].append("best peer / Carousel")
    for result in results:
        seconds = result["seconds"]
        row = [result["name"]]
        for side in ["carousel", *peers]:
            row.append(f"{seconds[side] * 1e3:.2f}" if side in seconds else "")
        fraction = result.get("fractionOfPeak")
        row.append(f"{fraction:.0%}" if fraction is not None else "")
        if peers:
            row.append(
                f"{result['ratio']:.2f} ({result['ratioMin']:.2f} to {result['ratioMax']:.2f})"
                if "ratio" in result
                else ""
            )
        rows.append(row)
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "| --- |" + " --- |" * (len(rows[0]) - 1), *lines[1:]])


def peer_names(text):
    names = [] if text == "none" else text.split(",")
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]} is not one of {', '.join(PEERS)}, none")
    return names


def main():
    parser = argparse.ArgumentParser(description=__doc__, prog="Tools/benchmark")
    parser.add_argument(
        "--rounds",
        type=int,
        default=5,
        help=f"measurements of each program; up to {MOST_TURNS} times as many where passes are short",
    )
    parser.add_argument("--only", metavar="TEXT", default="", help="only cases with TEXT in the name")
    parser.add_argument(
        "--peers", type=peer_names, default=list(PEERS), help="pytorch,onnxruntime or none"
    )
    parser.add_argument("--iterations", type=int, help="passes of Carousel that are timed at once")
    parser.add_argument("--device", help="passed on to carousel")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write everything as JSON")
    parser.add_argument("--chart", metavar="FILE", type=Path, help="also draw the ratios, as SVG")
    parser.add_argument("--list", action="store_true", help="name the cases and end")
    parser.add_argument("--carousel", default=ROOT / ".build/release/carousel", help="the binary")
    parser.add_argument(
        "--against", metavar="FILE", type=Path, help="another carousel binary, as one more peer"
    )
    parser.add_argument("--python", default=sys.executable, help="a Python that has the peers")
    settings = parser.parse_args()
    settings.device_options = ["--device", settings.device] if settings.device else []

    selected = [case for case in cases() if settings.only in case.name]
    if settings.list:
        print("\n".join(case.name for case in selected))
        return
    if not selected or settings.rounds < 1:
        parser.error("nothing to measure: --only matches no case, or --rounds is below 1")
    sides = [*settings.peers, *(["against"] if settings.against else [])]
    if settings.chart and not sides:
        parser.error("--chart draws the ratios to the peers, but --peers is none")

    settings.load = os.getloadavg()[0]
    if settings.load > 0.5:
        print(f"warning: others compute here (load {settings.load:.1f})", file=sys.stderr)
    if any(isinstance(case, Text) for case in selected):
        run_command([ROOT / "Tools/fetch-data", "kjv"])
    if any(isinstance(case, Model) for case in selected):
        run_command([ROOT / "Tools/fetch-data", "onnx-models"])
    peers = {name: Peer(name, settings) for name in settings.peers}
    where = surroundings(settings, peers)
    turns = measure(selected, settings, peers)
    peak = peak_gflops(turns)
    results = [summarize(case, turns[case], peak) for case in selected]
    means = geometric_means(results)

    names = ", ".join(f"{d['name']} ({d['driver']})" for d in where["devices"])
    versions = [f"{PEERS[name][0]} {version}" for name, version in where["peers"].items()]
    caption = ", ".join([where["date"], where["commit"], names, f"{where['cores']} cores", *versions])
    print(caption + "\n\n" + table(results, sides))
    if means:
        print("\ngeometric mean of the ratios: ", end="")
        print(", ".join(f"{mode} {mean:.2f}" for mode, mean in means.items()))
    if peak:
        print(f"\nmeasured peak {peak:.0f} GFLOP/s, the median of the run")
    if settings.json:
        settings.json.parent.mkdir(parents=True, exist_ok=True)
        document = where | {"peakGflops": peak, "geometricMeans": means, "results": results}
        settings.json.write_text(json.dumps(document, indent=1) + "\n")
    if settings.chart:
        settings.chart.parent.mkdir(parents=True, exist_ok=True)
        settings.chart.write_text(chart.draw(results, means, caption))


if __name__ == "__main__":
    main()
