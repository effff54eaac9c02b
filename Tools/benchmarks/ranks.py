"""Measures training by several processes: `Tools/benchmark --ranks`, which says how it is used.

Strong scaling trains the same batch with every number of ranks, weak scaling a batch that grows with them. One process
trains the batch without shards too. Runs of different numbers of ranks alternate, and the median of the rounds counts.
"""
import argparse
import json
import os
import random
import shlex
import statistics
import subprocess
import sys
import tempfile

LAUNCHERS = {
    "openmpi": ["mpirun.openmpi", "--allow-run-as-root", "--oversubscribe", "-q"],
    "mpich": ["mpirun.mpich"],
}
BATCH, LENGTH = 32, 50


def numbers(text):
    return [int(word) for word in text.split(",")]


def train(options, text, ranks, hidden, batch, shards):
    """What one run comes to, as its JSON says."""
    with tempfile.TemporaryDirectory() as folder:
        words = [
            options.binary, "train", "text", text, "--hidden-size", str(hidden), "--batch-size", str(batch),
            "--sequence-length", str(LENGTH), "--shards", str(shards), "--max-steps", str(options.updates),
            "--validation", "0", "--evaluate-every", "1000000", "--log-every", "1000000", "--device",
            options.device, "--quiet", "--json", "--output", os.path.join(folder, "run")]
        environment = dict(os.environ)
        if options.threads:
            environment["POCL_MAX_PTHREAD_COUNT"] = str(options.threads)
        launcher = shlex.split(options.launcher) if options.launcher else [*LAUNCHERS[options.mpi], "-n", str(ranks)]
        command = words if ranks == 1 else [*launcher, *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"error: {' '.join(command)} ended with {done.returncode}: {done.stderr}")
        return json.loads(done.stdout)


def measure(options, text):
    """A row for each scaling, hidden size and number of ranks."""
    cases = []
    shards = options.shards or max(options.ranks)
    for hidden in options.hidden_sizes:
        if 1 in options.ranks:
            cases.append(("whole", hidden, 1, BATCH, 1))
        for ranks in options.ranks:
            cases.append(("strong", hidden, ranks, BATCH, shards))
            cases.append(("weak", hidden, ranks, BATCH * ranks, ranks))
    found = {case: [] for case in cases}
    for case in cases:  # Compiles the kernels.
        train(argparse.Namespace(**{**vars(options), "updates": 2}), text, *case[2:3], *case[1:2], *case[3:])
    for _ in range(options.rounds):
        for case in cases:
            _, hidden, ranks, batch, shards = case
            found[case].append(train(options, text, ranks, hidden, batch, shards))
    rows = []
    for (kind, hidden, ranks, batch, shards), runs in found.items():
        rate = statistics.median(run["bytesPerSecond"] for run in runs)
        update = batch * LENGTH / rate
        cost = [run.get("communication") or {"bytesSent": 0, "seconds": 0} for run in runs]
        rows.append({
            "scaling": kind, "hiddenSize": hidden, "ranks": ranks, "batchSize": batch, "shards": shards,
            "bytesPerSecond": rate, "updateSeconds": update,
            "bytesSentPerUpdate": cost[0]["bytesSent"] / options.updates,
            "exchangeSecondsPerUpdate": statistics.median(each["seconds"] for each in cost) / options.updates,
            "hiddenSecondsPerUpdate": statistics.median(
                each.get("hiddenSeconds", 0) for each in cost) / options.updates,
        })
    return rows


def show(rows):
    """The table, with what a rank adds."""
    print(f"{'scaling':8} {'H':>5} {'ranks':>5} {'batch':>6} {'kB/s':>9} {'of linear':>9} {'update':>9} "
          f"{'sent':>9} {'exchanges':>9} {'hidden':>7}")
    for row in rows:
        one = next(
            other for other in rows if other["ranks"] == min(r["ranks"] for r in rows)
            and other["scaling"] == row["scaling"] and other["hiddenSize"] == row["hiddenSize"])
        linear = row["bytesPerSecond"] / one["bytesPerSecond"] * one["ranks"] / row["ranks"]
        row["ofLinear"] = linear
        share = row["exchangeSecondsPerUpdate"] / row["updateSeconds"]
        print(f"{row['scaling']:8} {row['hiddenSize']:5} {row['ranks']:5} {row['batchSize']:6} "
              f"{row['bytesPerSecond'] / 1000:9.1f} {linear:9.2f} {row['updateSeconds'] * 1000:6.2f} ms "
              f"{row['bytesSentPerUpdate'] / 1e6:6.2f} MB {share:9.0%} "
              f"{row['hiddenSecondsPerUpdate'] / max(row['exchangeSecondsPerUpdate'], 1e-12):7.0%}")
    for whole in [row for row in rows if row["scaling"] == "whole"]:
        for row in rows:
            if row["scaling"] == "strong" and row["ranks"] == 1 and row["hiddenSize"] == whole["hiddenSize"]:
                cost = row["updateSeconds"] / whole["updateSeconds"] - 1
                print(f"H {row['hiddenSize']}: {row['shards']} shards in one process cost {cost:+.1%}")


def fit(rows):
    """Latency and bandwidth that explain the exchanges best: seconds = 2 (R - 1) latency + bytes / bandwidth.

    Least squares over the rows with more than one rank; nothing where they cannot tell both.
    """
    known = [row for row in rows if row["ranks"] > 1]
    a = [(2.0 * (row["ranks"] - 1), row["bytesSentPerUpdate"]) for row in known]
    b = [row["exchangeSecondsPerUpdate"] for row in known]
    xx, xy, yy = sum(x * x for x, _ in a), sum(x * y for x, y in a), sum(y * y for _, y in a)
    xb, yb = sum(x * t for (x, _), t in zip(a, b)), sum(y * t for (_, y), t in zip(a, b))
    determinant = xx * yy - xy * xy
    if determinant <= 1e-4 * xx * yy:
        return None
    return (xb * yy - yb * xy) / determinant, (yb * xx - xb * xy) / determinant


def check(rows, latency, per_byte):
    """What the model with the fitted numbers says of each row of weak scaling, beside what was measured."""
    print(f"\n{'H':>5} {'ranks':>5} {'compute':>9} {'exchanges':>9} {'fitted':>9} {'update':>9} {'foretold':>9}")
    for row in rows:
        if row["scaling"] != "weak" or row["ranks"] == 1:
            continue
        one = next(other for other in rows if other["ranks"] == 1 and other["scaling"] == "weak"
                   and other["hiddenSize"] == row["hiddenSize"])
        cost = 2 * (row["ranks"] - 1) * latency + row["bytesSentPerUpdate"] * per_byte
        row["foretoldSeconds"] = one["updateSeconds"] + max(0.0, cost - row["hiddenSecondsPerUpdate"])
        times = [one["updateSeconds"], row["exchangeSecondsPerUpdate"], cost, row["updateSeconds"],
                 row["foretoldSeconds"]]
        print(f"{row['hiddenSize']:5} {row['ranks']:5} " + " ".join(f"{time * 1e3:6.2f} ms" for time in times))


def foretell(rows, latency):
    """What the model says of more ranks, with weak scaling: efficiency at 10 and 100 Gb/s."""
    print("\nforetold, weak scaling: the share of linear with exchanges after the backward pass, and hidden in it")
    for hidden in sorted({row["hiddenSize"] for row in rows}):
        known = [row for row in rows if row["hiddenSize"] == hidden and row["scaling"] == "weak"]
        one = next(row for row in known if row["ranks"] == 1)
        two = next((row for row in known if row["ranks"] == 2), None)
        if two is None:
            continue
        whole = two["bytesSentPerUpdate"]  # 2 (R - 1)/R gradients with R = 2: one gradient.
        compute = one["updateSeconds"]
        for gigabits in (10, 100):
            words = []
            for ranks in (8, 64, 512):
                cost = 2 * (ranks - 1) * latency + 2 * (ranks - 1) / ranks * whole / (gigabits * 1e9 / 8)
                hidden_cost = max(0.0, cost - compute / 2)
                words.append(f"{ranks} ranks {compute / (compute + cost):.2f}, {compute / (compute + hidden_cost):.2f}")
            print(f"H {hidden}, {gigabits} Gb/s: " + "; ".join(words))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", type=numbers, default=[1, 2, 4])
    parser.add_argument("--mpi", choices=list(LAUNCHERS), default="openmpi")
    parser.add_argument("--launcher", help="the words before the program, where they are others")
    parser.add_argument("--hidden-sizes", type=numbers, default=[64, 256])
    parser.add_argument("--shards", type=int, help="of strong scaling; without it as many as the most ranks")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of a rank on PoCL; 0 leaves it to the device")
    parser.add_argument("--updates", type=int, default=30)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--binary", default=".build/release/carousel")
    parser.add_argument("--json")
    options = parser.parse_args()
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        generator = random.Random(1)
        file.write("".join(generator.choice("etaoin shrdlu.\n") for _ in range(400_000)))
        file.flush()
        rows = measure(options, file.name)
    show(rows)
    found = fit(rows)
    if found:
        latency, per_byte = found
        print(f"\nfitted: a latency of {latency * 1e6:.0f} us for each of 2 (R - 1) messages, "
              f"{per_byte * 1e9:.2f} ns for each byte")
        check(rows, latency, per_byte)
    # What InfiniBand and fast Ethernet have; on one machine most of what was fitted is waiting.
    foretell(rows, 5e-6)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"rows": rows, "threads": options.threads, "mpi": options.mpi, "fitted": found}, file, indent=2)


if __name__ == "__main__":
    main()
