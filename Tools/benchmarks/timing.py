"""How every peer is timed, and how it talks to benchmark.py."""

import json
import sys
import time


def timed(iterate, iterations, warmup):
    """Seconds of each of `iterations` calls, after `warmup` calls that do not count."""
    for _ in range(warmup):
        iterate()
    seconds = []
    for _ in range(iterations):
        begin = time.perf_counter()
        iterate()
        seconds.append(time.perf_counter() - begin)
    return seconds


def serve(version, kinds):
    """Prints the version, then for each line {"kind": …, "case": …} of the input what the function of
    that kind returns for that case, as a line."""
    print(json.dumps({"version": version}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(kinds[request["kind"]](request["case"])), flush=True)
