"""Runs chords in closed loops: load.py SECONDS CALLERS... prints one line of JSON for each number of callers."""

import json
import statistics
import sys
import threading
import time

from celery import chord
from tasks import last, step


def begin():
    return chord([step.s(1), step.s(2)], last.s(3)).apply_async()


def measure(seconds, callers):
    accepted, ended = [], []
    start = time.perf_counter()

    def loop():
        while time.perf_counter() < start + seconds:
            begun = time.perf_counter()
            result = begin()
            accepted.append(time.perf_counter() - begun)
            result.get(timeout=60, interval=0.002)
            ended.append(time.perf_counter() - begun)

    threads = [threading.Thread(target=loop) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - start
    return {
        "callers": callers,
        "accept_ms": statistics.median(accepted) * 1e3,
        "end_to_end_ms": statistics.median(ended) * 1e3,
        "rate": len(ended) / wall,
    }


begin().get(timeout=30)
for callers in sys.argv[2:]:
    print(json.dumps(measure(float(sys.argv[1]), int(callers))), flush=True)
