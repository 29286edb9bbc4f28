#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Latency of a well-behaved client while slowhttptest holds 1,000 connections.

    bazel run -c opt //bench:slow                    3 rounds, about five minutes
    bazel run -c opt //bench:slow -- --rounds 5

The server is ours with one shard and its default limits. The client asks 1,000 times a second over
8 connections, and latency counts from when a request was due (http_pace). In each round it is
measured during each attack, from the first attacker on, and without one just before, so that a
change of the machine's mood falls on both; ratios are medians of each round's ratio. The attacks:

    headers    never ends its request's head (slowloris)
    body       never ends its body
    read       asks for 1 MB and reads 32 bytes every 5 s
    range      asks for 1,000 overlapping ranges at once

"held" is how many of the attackers' connections the server had open at most. Server and load are
on cores of their own, where there are two; on the load's, attackers run when the client does not
(SCHED_IDLE), as they would be on other machines: what is measured is the server's. It fails when
an attack's ratio of the 99th percentiles is 2 or more.
"""

import argparse
import collections
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

RATIO_MAX = 2
LARGE_BYTES = 1000000
SAMPLE_SECONDS = 1  # each takes milliseconds of the client's core

Attack = collections.namedtuple("Attack", "name arguments path")

ATTACKS = [
    Attack("headers", ["-H", "-i", "2", "-x", "24", "-t", "GET"], "hello"),
    Attack("body", ["-B", "-i", "2", "-x", "10", "-s", "8192", "-t", "POST"], "echo"),
    Attack("read", ["-X", "-n", "5", "-z", "32", "-w", "512", "-y", "1024"], "files/large"),
    Attack("range", ["-R", "-t", "GET", "-a", "10", "-b", "3000"], "files/large"),
]


def fail(sentence):
    sys.exit("bench/slow: " + sentence)


def pinned(core):
    return lambda: os.sched_setaffinity(0, {core})


def yielding(core):
    def begin():
        os.sched_setaffinity(0, {core})
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    return begin


def stop(process):
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Server:
    """http_held, with the default of connection_count."""

    def __init__(self, options, directory, core):
        self.process = subprocess.Popen(
            [options.held, "1024", "1024", directory, "--port", "0", "--shards", "1"],
            stdout=subprocess.PIPE, text=True, preexec_fn=pinned(core))
        for line in self.process.stdout:
            found = re.search(r"listening on http://127\.0\.0\.1:(\d+)", line)
            if found:
                self.port = int(found.group(1))
                return
        fail("http_held ended with %d before it listened" % self.process.wait())

    def sockets(self):
        """How many the server has open."""
        directory = "/proc/%d/fd/" % self.process.pid
        count = 0
        for fd in os.listdir(directory):
            try:
                count += os.readlink(directory + fd).startswith("socket:")
            except FileNotFoundError:
                pass  # closed meanwhile
        return count


class Bench:
    def __init__(self, options, server, core):
        self.options = options
        self.server = server
        self.core = core

    def attack(self, attack):
        """Starts slowhttptest, again whenever it ends because it was answered or cut off."""
        return subprocess.Popen(
            ["sh", "-c", 'while :; do "$@"; done', "attack",
             "slowhttptest", *attack.arguments, "-c", str(self.options.connections),
             "-r", str(max(200, self.options.connections // 4)),
             "-l", str(self.options.seconds + 60), "-v", "0",
             "-u", "http://127.0.0.1:%d/%s" % (self.server.port, attack.path)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            preexec_fn=yielding(self.core))

    def pace(self):
        """Returns the client's 50th and 99th percentiles in µs, and the most sockets seen."""
        client = subprocess.Popen(
            [self.options.pace, str(self.server.port), "8", "1000", str(self.options.seconds)],
            stdout=subprocess.PIPE, text=True, preexec_fn=pinned(self.core))
        sockets = 0
        while client.poll() is None:
            sockets = max(sockets, self.server.sockets())
            time.sleep(SAMPLE_SECONDS)
        found = re.match(r"p50 (\d+) p99 (\d+) ", client.stdout.read())
        if client.returncode != 0 or not found:
            fail("the client was not served")
        return int(found.group(1)), int(found.group(2)), sockets

    def settle(self):
        """Waits for the last attackers' connections to be gone."""
        deadline = time.monotonic() + 60
        while self.server.sockets() > self.own_sockets:
            if time.monotonic() > deadline:
                fail("connections stay open when their clients are gone")
            time.sleep(SAMPLE_SECONDS)

    def arrive(self):
        """Waits until attackers are connected and returns how many at once."""
        deadline = time.monotonic() + 30
        while self.server.sockets() <= self.own_sockets:
            if time.monotonic() > deadline:
                fail("an attack does not reach the server")
            time.sleep(0.01)
        return self.server.sockets() - self.own_sockets

    def round(self, results):
        for attack in ATTACKS:
            self.settle()
            quiet = self.pace()
            process = self.attack(attack)
            try:
                held = self.arrive()
                attacked = self.pace()
            finally:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            held = max(held, attacked[2] - quiet[2])
            results[attack.name].append((quiet, attacked, held))
            print("%-10s p99 %6d µs quiet, %6d µs attacked, %4d held" % (
                attack.name, quiet[1], attacked[1], held), flush=True)

    def run(self):
        self.own_sockets = self.server.sockets()
        results = collections.defaultdict(list)
        for _ in range(self.options.rounds):
            self.round(results)
        return results


def median(values):
    return statistics.median(list(values))


def results_print(results):
    """Returns the names of the attacks that cost too much."""
    print("    %-10s %10s %10s %12s %12s %8s %8s" % (
        "", "quiet p50", "p99 µs", "attacked p50", "p99 µs", "ratio", "held"))
    bad = []
    for name, rounds in results.items():
        ratio = median(attacked[1] / quiet[1] for quiet, attacked, _ in rounds)
        if ratio >= RATIO_MAX:
            bad.append(name)
        print("    %-10s %10.0f %10.0f %12.0f %12.0f %8.2f %8.0f" % (
            name,
            median(quiet[0] for quiet, _, _ in rounds),
            median(quiet[1] for quiet, _, _ in rounds),
            median(attacked[0] for _, attacked, _ in rounds),
            median(attacked[1] for _, attacked, _ in rounds),
            ratio,
            median(held for _, _, held in rounds)))
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--held", required=True, help="the program http_held")
    parser.add_argument("--pace", required=True, help="the program http_pace")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=15, help="of each measurement")
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--small", action="store_true",
                        help="one short round, to see that all of it works")
    options = parser.parse_args()
    options.held = os.path.abspath(options.held)
    options.pace = os.path.abspath(options.pace)
    if options.small:
        options.rounds, options.seconds, options.connections = 1, 1, 50
    if shutil.which("slowhttptest") is None:
        fail("slowhttptest is missing: run tools/setup")

    # So that what it started ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    directory = tempfile.mkdtemp(prefix="tina_bench_slow.")
    try:
        with open(os.path.join(directory, "large"), "wb") as large:
            large.write(bytes(LARGE_BYTES))
        server = Server(options, directory, cores[0])
        try:
            results = Bench(options, server, cores[-1]).run()
        finally:
            stop(server.process)
    finally:
        shutil.rmtree(directory)
    print("\n%d connections, medians of %d rounds of %d s, load of the machine %.1f\n" % (
        options.connections, options.rounds, options.seconds, os.getloadavg()[0]))
    bad = results_print(results)
    if bad and not options.small:
        fail("p99 is %d times its quiet value or more under: %s" % (RATIO_MAX, ", ".join(bad)))


if __name__ == "__main__":
    main()
