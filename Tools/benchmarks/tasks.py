"""Measures whole runs of `train classify` beside the same model in PyTorch: `Tools/benchmark --tasks`, which says how
it is used.

Both begin as processes of their own, read the same files, train the same network with the same settings for the same
epochs, judge it on the held-out part after each, and test the best one at the end. Runs alternate.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

FOLDER = os.path.dirname(os.path.realpath(__file__))
COMMON = {"cell": "lstm", "hiddenSize": 128, "learningRate": 0.003, "warmup": 100, "clip": 1.0, "validation": 0.1}
TASKS = {
    "japanese-vowels": {
        **COMMON, "batchSize": 16, "epochs": 60, "train": "Data/japanese-vowels/JapaneseVowels_TRAIN.ts",
        "test": "Data/japanese-vowels/JapaneseVowels_TEST.ts"},
    "fashion-mnist": {
        **COMMON, "batchSize": 64, "epochs": 3, "train": "Data/fashion-mnist/train-images-idx3-ubyte.gz",
        "test": "Data/fashion-mnist/t10k-images-idx3-ubyte.gz"},
}


def carousel(options, task, seed, epochs):
    """The seconds of a whole run, its accuracy on the test part, and the seconds that it trained."""
    with tempfile.TemporaryDirectory() as folder:
        words = [
            options.binary, "train", "classify", task["train"], "--test", task["test"], "--cell", task["cell"],
            "--hidden-size", str(task["hiddenSize"]), "--recurrent-dropout", "0", "--pooling", "last",
            "--batch-size", str(task["batchSize"]), "--learning-rate", str(task["learningRate"]),
            "--warmup-steps", str(task["warmup"]), "--clip-norm", str(task["clip"]),
            "--validation", str(task["validation"]), "--max-epochs", str(epochs), "--seed", str(seed), "--patience",
            str(epochs), "--quiet", "--json", "--output", os.path.join(folder, "run")]
        return run(words, None)


def pytorch(options, task, seed, epochs):
    """The same of PyTorch."""
    words = [options.python, os.path.join(FOLDER, "tasks_pytorch.py")]
    return run(words, json.dumps({**task, "seed": seed, "epochs": epochs}))


def run(words, text):
    begin = time.perf_counter()
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begin
    if done.returncode != 0:
        sys.exit(f"error: {' '.join(words)} ended with {done.returncode}: {done.stderr}")
    return seconds, json.loads(done.stdout)["test"]["accuracy"]


def main():
    parser = argparse.ArgumentParser(prog="Tools/benchmark --tasks")
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--binary", default=".build/release/carousel")
    options = parser.parse_args()
    options.python = os.environ.get("CAROUSEL_PYTHON", sys.executable)
    names = options.tasks.split(",")
    for name in names:
        if name not in TASKS:
            sys.exit(f"error: there is no task '{name}', expected some of {', '.join(TASKS)}")
    print("| task | Carousel, s | accuracy | PyTorch, s | accuracy | PyTorch / Carousel |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    for name in names:
        task = TASKS[name]
        carousel(options, task, 1, 1)  # Compiles the kernels.
        pairs = [
            (carousel(options, task, seed, task["epochs"]), pytorch(options, task, seed, task["epochs"]))
            for seed in range(1, options.rounds + 1)]
        ratios = [theirs[0] / ours[0] for ours, theirs in pairs]
        ours, theirs = ([statistics.median(column) for column in zip(*side)] for side in zip(*pairs))
        print(
            f"| {name}, {task['epochs']} epochs | {ours[0]:.1f} | {ours[1]:.4f} | {theirs[0]:.1f} | {theirs[1]:.4f} | "
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |", flush=True)


main()
