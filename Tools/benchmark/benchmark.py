"""Measures Carousel beside a peer, alternately in one run, and prints who is faster.

Each round measures every case once with Carousel and once with the peer, in processes of their
own, so that what else the machine does falls on both. Only the ratios carry over to another day.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEER = Path(__file__).with_name("pytorch_peer.py")
# A call of a layer case computes about this much, between a fraction of a second and a few.
OPERATIONS_PER_CALL = 2.5e11


@dataclass(frozen=True)
class Layer:
    """One recurrent layer; the metric is the median time of a pass, less is better."""

    cell: str
    mode: str
    steps: int
    batchSize: int
    inputSize: int
    hiddenSize: int

    metric = "seconds"

    @property
    def name(self):
        return (
            f"{self.cell} {self.mode} T{self.steps} N{self.batchSize}"
            f" C{self.inputSize} H{self.hiddenSize}"
        )

    @property
    def iterations(self):
        gates = {"lstm": 4, "gru": 3, "rnn": 1}[self.cell]
        products = gates * self.hiddenSize * (self.inputSize + self.hiddenSize)
        operations = 2 * self.steps * self.batchSize * products
        operations *= 3 if self.mode == "training" else 1
        return min(300, max(10, round(OPERATIONS_PER_CALL / operations)))

    @property
    def warmup(self):
        return max(3, self.iterations // 5)

    def carousel(self, settings):
        arguments = ["profile", "--cell", self.cell, "--mode", self.mode]
        for option, value in [
            ("--steps", self.steps),
            ("--batch-size", self.batchSize),
            ("--input-size", self.inputSize),
            ("--hidden-size", self.hiddenSize),
            ("--iterations", self.iterations),
            ("--warmup", self.warmup),
        ]:
            arguments += [option, str(value)]
        report = run_json([settings.carousel, *arguments, *settings.device_options, "--json"])
        return report["wall"]["medianSeconds"]

    def peer(self, settings):
        case = asdict(self) | {"iterations": self.iterations, "warmup": self.warmup}
        return run_json([settings.python, PEER, "layer", json.dumps(case)])["wall"]["medianSeconds"]


@dataclass(frozen=True)
class Text:
    """`train text` end to end; the metric is characters per second, more is better."""

    data: str = "Data/kjv/kjv.txt"
    hiddenSize: int = 256
    embeddingSize: int = 64
    layers: int = 1
    steps: int = 64
    batchSize: int = 64
    learningRate: float = 0.002
    clip: float = 1.0
    iterations: int = 60
    warmup: int = 20

    metric = "characters/s"

    @property
    def name(self):
        return f"train text H{self.hiddenSize} N{self.batchSize} T{self.steps}"

    def carousel(self, settings):
        with tempfile.TemporaryDirectory() as folder:
            run_folder = Path(folder) / "run"
            arguments = [settings.carousel, "train", "text", self.data, "--output", run_folder]
            for option, value in [
                ("--hidden-size", self.hiddenSize),
                ("--embedding-size", self.embeddingSize),
                ("--layers", self.layers),
                ("--steps", self.steps),
                ("--batch-size", self.batchSize),
                ("--learning-rate", self.learningRate),
                ("--clip-norm", self.clip),
                ("--validation", 0),
                ("--log-every", self.warmup),
                ("--max-steps", self.iterations + self.warmup),
                ("--seed", 1),
            ]:
                arguments += [option, str(value)]
            run_command([*arguments, *settings.device_options, "--quiet"])
            return characters_per_second(run_folder / "metrics.jsonl")

    def peer(self, settings):
        return run_json([settings.python, PEER, "text", json.dumps(asdict(self))])["wall"][
            "charactersPerSecond"
        ]


def cases():
    sizes = [(25, 64, 512, 512), (50, 32, 20, 128), (100, 64, 128, 256)]
    layers = [Layer("lstm", mode, *size) for size in sizes for mode in ("training", "inference")]
    return [*layers, Text()]


def characters_per_second(metrics):
    """The median rate of the lines of a run's metrics, the first one left out as warm-up."""
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    rates = [line["charactersPerSecond"] for line in lines if line.get("charactersPerSecond")]
    if len(rates) < 2:
        sys.exit(f"{metrics} holds {len(rates)} lines with charactersPerSecond, expected 2 or more")
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


def surroundings(settings):
    """What the figures depend on: device, driver, host, commit, versions."""
    devices = run_json([settings.carousel, "devices", "--json"])["devices"]
    chosen = [device for device in devices if device["default"]]
    peer = run_json([settings.python, PEER, "version"])
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    return {
        "date": datetime.date.today().isoformat(),
        "commit": commit,
        "command": "Tools/benchmark/run " + " ".join(sys.argv[1:]),
        "deviceOption": settings.device or "auto",
        "devices": devices if settings.device else chosen,
        "loadAtStart": settings.load,
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.machine()}",
        "peer": peer,
    }


def measure(selected, settings):
    samples = {case: {"carousel": [], "peer": []} for case in selected}
    for number in range(1, settings.rounds + 1):
        for case in selected:
            print(f"round {number}/{settings.rounds}: {case.name}", file=sys.stderr)
            sides = ["carousel", "peer"] if number % 2 else ["peer", "carousel"]
            for side in sides:
                samples[case][side].append(getattr(case, side)(settings))
    return samples


def summarize(case, samples):
    """Medians, and the median over the rounds of Carousel's rate as a multiple of the peer's."""
    pairs = list(zip(samples["carousel"], samples["peer"]))
    if case.metric == "seconds":
        ratios = [theirs / ours for ours, theirs in pairs]
    else:
        ratios = [ours / theirs for ours, theirs in pairs]
    return {
        "name": case.name,
        "metric": case.metric,
        "case": asdict(case) | {"iterations": case.iterations, "warmup": case.warmup},
        "carousel": statistics.median(samples["carousel"]),
        "peer": statistics.median(samples["peer"]),
        "ratio": statistics.median(ratios),
        "ratioMin": min(ratios),
        "ratioMax": max(ratios),
        "samples": samples,
    }


def show(value, metric):
    return f"{value * 1e3:.2f} ms" if metric == "seconds" else f"{value:,.0f} {metric}"


def table(results):
    rows = [("case", "Carousel", "PyTorch", "rate, Carousel : PyTorch")]
    for result in results:
        rows.append((
            result["name"],
            show(result["carousel"], result["metric"]),
            show(result["peer"], result["metric"]),
            f"{result['ratio']:.2f} ({result['ratioMin']:.2f} to {result['ratioMax']:.2f})",
        ))
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "| --- | --- | --- | --- |", *lines[1:]])


def main():
    parser = argparse.ArgumentParser(description=__doc__, prog="Tools/benchmark/run")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each side")
    parser.add_argument("--only", metavar="TEXT", default="", help="only cases with TEXT in their name")
    parser.add_argument("--device", help="passed on to carousel")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write everything as JSON")
    parser.add_argument("--list", action="store_true", help="name the cases and end")
    parser.add_argument("--carousel", default=ROOT / ".build/release/carousel", help="the binary")
    parser.add_argument("--python", default=sys.executable, help="a Python that has PyTorch")
    settings = parser.parse_args()
    settings.device_options = ["--device", settings.device] if settings.device else []

    selected = [case for case in cases() if settings.only in case.name]
    if settings.list:
        print("\n".join(case.name for case in selected))
        return
    if not selected or settings.rounds < 1:
        parser.error("nothing to measure: --only matches no case, or --rounds is below 1")

    settings.load = os.getloadavg()[0]
    if settings.load > 0.5:
        print(f"warning: others compute here (load {settings.load:.1f})", file=sys.stderr)
    where = surroundings(settings)
    samples = measure(selected, settings)
    results = [summarize(case, samples[case]) for case in selected]
    names = ", ".join(f"{d['name']} ({d['driver']})" for d in where["devices"])
    print(f"{where['date']}, {where['commit']}, {names}, {where['cores']} cores,", end=" ")
    print(f"PyTorch {where['peer']['version']} with {where['peer']['threads']} threads\n")
    print(table(results))
    if settings.json:
        settings.json.parent.mkdir(parents=True, exist_ok=True)
        settings.json.write_text(json.dumps(where | {"results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
