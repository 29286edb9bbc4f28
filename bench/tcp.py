#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CPU time per message of TCP echo servers, side by side in one run.

    bazel run -c opt //bench:tcp                     5 rounds, about three minutes
    bazel run -c opt //bench:tcp -- --rounds 9

Each server has one thread, pinned to one core, and the load is pinned to another: so many
connections, each with one message of 64 bytes under way. In each round every server is loaded in
turn, so that a change of the machine's mood falls on all of them. The figure is the server's time
on the CPU, from the scheduler's own account of its threads, divided by the messages that came
back. Medians are over rounds, and ratios are medians of each round's ratio.
"""

import argparse
import collections
import os
import re
import statistics
import subprocess
import sys

from server import pinned, start

CONNECTIONS = [64, 1024]
BYTES = 64


def measure(server, load, connections, seconds, core):
    """Returns the server's CPU time per message in µs, and messages per second."""
    before = server.cpu_ns()
    done = subprocess.run(
        [load, str(server.port), str(connections), str(BYTES), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=pinned({core}),
    )
    cpu_ns = server.cpu_ns() - before
    told = re.search(r"^messages (\d+)$", done.stdout, re.MULTILINE)
    if done.returncode != 0 or not told or int(told.group(1)) == 0:
        sys.exit("bench/tcp: %s: the load ended with %d" % (server.name, done.returncode))
    count = int(told.group(1))
    return cpu_ns / 1000 / count, count / seconds


def print_table(connections, names, results):
    print("\n%d connections" % connections)
    print("    %-12s %14s %10s %12s" % ("", "CPU µs/message", "/ floor", "messages/s"))
    for name in names:
        pairs = zip(results[name], results["floor"])
        ratio = statistics.median(own[0] / floor[0] for own, floor in pairs)
        cpu_us, per_second = (statistics.median(column) for column in zip(*results[name]))
        print("    %-12s %14.2f %10.2f %12.0f" % (name, cpu_us, ratio, per_second))
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", action="append", default=[], metavar="NAME=PROGRAM[,ARG...]",
                        help="a server that takes --port 0 and prints where it listens")
    parser.add_argument("--load", required=True, metavar="PROGRAM")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each measurement")
    parser.add_argument("--small", action="store_true",
                        help="one short round, to see that all of it works")
    options = parser.parse_args()
    if options.small:
        options.rounds = options.seconds = 1
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == 1:
        print("One core only: server and load share it, and throughput says nothing.")
    servers = []
    try:
        for named in options.server:
            name, command = named.split("=", 1)
            program, *arguments = command.split(",")
            command = [os.path.abspath(program), "--port", "0"] + arguments
            servers.append(start(name, command, {cores[0]}))
        for connections in CONNECTIONS:
            results = collections.defaultdict(list)
            for _ in range(options.rounds):
                for server in servers:
                    results[server.name].append(measure(
                        server, os.path.abspath(options.load), connections, options.seconds,
                        cores[-1]))
            print_table(connections, [server.name for server in servers], results)
    finally:
        for server in servers:
            server.stop()


if __name__ == "__main__":
    main()
