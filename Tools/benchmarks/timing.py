"""How every peer is timed."""

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
