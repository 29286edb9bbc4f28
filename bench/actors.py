#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CPU time of messages, spawns and restarts: Tina beside Erlang and CAF, in one run.

    bazel run -c opt //bench:actors                  5 rounds, about two minutes
    bazel run -c opt //bench:actors -- --rounds 9

Each is a whole program with one thread for its actors, pinned to one core: Tina on one shard,
Erlang with one scheduler that does not spin when it is idle, CAF with one worker. Each tells its
own CPU time, of all its threads, for one operation. In each round all of them run, one after the
other, so that a change of the machine's mood falls on all. Medians are over rounds, and ratios are
medians of each round's ratio.
"""

import argparse
import collections
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

Row = collections.namedtuple("Row", "name count title")

ROWS = [
    Row("ping_pong_1", 4000000, "ping-pong, 1 pair, a message"),
    Row("ping_pong_128", 4000000, "ping-pong, 128 pairs, a message"),
    Row("flood", 4000000, "flood from 1 to 1, a message"),
    Row("spawn", 400000, "spawn, one message, exit"),
    Row("restart", 100000, "crash, and restart by a supervisor"),
]
MISSING = {("caf", "restart")}  # it has no supervisor
NAMES = ["tina", "erlang", "caf"]


def fail(sentence):
    sys.exit("bench/actors: " + sentence)


def erlang_command(source, directory):
    """Compiles the module and returns what runs it."""
    for program in ("erlc", "erl"):
        if shutil.which(program) is None:
            fail("%s is missing: run tools/setup" % program)
    subprocess.run(["erlc", "-o", directory, source], check=True)
    module = os.path.basename(source).partition(".")[0]
    return ["erl", "-noshell", "-noinput", "+S", "1:1", "+sbwt", "none",
            "-pa", directory, "-run", module, "main"]


def measure(name, command, row, count, core, home):
    """Returns the CPU time of one operation in ns."""
    done = subprocess.run(
        command + [row.name, str(count)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        env=dict(os.environ, HOME=home),  # erl wants one
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    told = re.search(r"^ns (\d+\.\d+)$", done.stdout, re.MULTILINE)
    if done.returncode != 0 or not told:
        fail("%s %s ended with %d:\n%s" % (name, row.name, done.returncode, done.stdout))
    return float(told.group(1))


def print_row(row, results):
    cells = []
    for name in NAMES:
        cells.append("%10.1f" % statistics.median(results[name]) if results[name] else "%10s" % "-")
    for name in NAMES[1:]:
        pairs = [theirs / ours for theirs, ours in zip(results[name], results["tina"]) if ours]
        cells.append("%10.1f" % statistics.median(pairs) if pairs else "%10s" % "-")
    print("%-36s %s" % (row.title, " ".join(cells)))
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tina", required=True, metavar="PROGRAM")
    parser.add_argument("--caf", required=True, metavar="PROGRAM")
    parser.add_argument("--erlang", required=True, metavar="SOURCE")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true",
                        help="one short round, to see that all of it works")
    options = parser.parse_args()
    if options.small:
        options.rounds = 1
    core = max(os.sched_getaffinity(0))
    directory = tempfile.mkdtemp(prefix="tina_bench_actors.")
    try:
        commands = {
            "tina": [os.path.abspath(options.tina)],
            "erlang": erlang_command(options.erlang, directory),
            "caf": [os.path.abspath(options.caf)],
        }
        print("%-36s %10s %10s %10s %10s %10s" % (
            "CPU ns an operation", *NAMES, "erl/tina", "caf/tina"))
        for row in ROWS:
            count = row.count // 100 if options.small else row.count
            results = {name: [] for name in NAMES}
            for _ in range(options.rounds):
                for name in NAMES:
                    if (name, row.name) not in MISSING:
                        results[name].append(
                            measure(name, commands[name], row, count, core, directory))
            print_row(row, results)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
