#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CPU time per request of HTTP servers that answer a constant, side by side in one run.

    bazel run -c opt //bench:http                    5 rounds, about ten minutes
    bazel run -c opt //bench:http -- --rounds 9

Each server has one thread, pinned to one core, and wrk, the load, is pinned to another; but those
that are named .../2 have two shards or workers on two cores, one of which wrk shares when there are
no more. They stand in tables of their own, beside their own nginx. In each round every server is
loaded in turn, so that a change of the machine's mood falls on all of them. The figure is the
server's time on the CPU, from the scheduler's own account of its threads, divided by the requests
that wrk saw answered: steady where throughput is not. Medians are over rounds, and ratios are
medians of each round's ratio. System calls are counted in a run of their own, since counting them
costs as much as making some of them; it needs root, and "-" says that it was refused.
"""

import argparse
import collections
import ctypes
import os
import platform
import re
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile

from server import Server, pinned, start

Load = collections.namedtuple("Load", "name connections pipelined")

LOADS = [
    Load("64 connections", 64, 1),
    Load("1024 connections", 1024, 1),
    Load("64 connections, pipelined 16", 64, 16),
]
SMALL_LOADS = [Load("8 connections", 8, 1), Load("8 connections, pipelined 16", 8, 16)]

PIPELINE_LUA = """
init = function(args)
    local requests = {}
    for i = 1, %d do requests[i] = wrk.format("GET", "/hello") end
    batch = table.concat(requests)
end
request = function() return batch end
"""

# No log, as every server here.
NGINX_CONFIG = """
{user}
daemon off;
worker_processes {workers};
pid {directory}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    default_type text/plain;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 "Hello, World!\\n"; }}
    }}
}}
"""


class SystemCalls:
    """Counts the system calls of a server's threads, perf_event_open(2), while it is entered."""

    EVENT = "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id"
    CALL = {"x86_64": 298, "aarch64": 241}

    def __init__(self, server):
        self.server = server

    def __enter__(self):
        with open(self.EVENT) as event:
            # type: tracepoint, size, config: its number; the rest of the attributes is zero.
            attributes = struct.pack("IIQ", 2, 64, int(event.read())) + bytes(48)
        libc = ctypes.CDLL(None, use_errno=True)
        self.counters = []
        for _, thread in self.server.threads():
            fd = libc.syscall(self.CALL[platform.machine()], attributes, thread, -1, -1, 8)
            if fd < 0:
                raise OSError(ctypes.get_errno(), "perf_event_open")
            self.counters.append(fd)
        return self

    def __exit__(self, *_):
        self.total = 0
        for fd in self.counters:
            self.total += struct.unpack("Q", os.read(fd, 8))[0]
            os.close(fd)


def start_nginx(name, directory, cores):
    """Starts nginx, with a worker for each core.

    It inherits its socket, which is how its own upgrade hands them over.
    """
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(4096)
    port = listener.getsockname()[1]
    directory = os.path.join(directory, name.replace("/", ""))
    os.mkdir(directory)
    config = os.path.join(directory, "nginx.conf")
    with open(config, "w") as file:
        # Root's nginx turns into another user, which need not exist in a sandbox.
        user = "user root;" if os.geteuid() == 0 else ""
        file.write(NGINX_CONFIG.format(
            directory=directory, port=port, user=user, workers=len(cores)))
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        sys.exit("bench/http: nginx is missing: run tools/setup")
    process = subprocess.Popen(
        [program, "-e", "stderr", "-p", directory, "-c", config],
        env=dict(os.environ, NGINX="%d;" % listener.fileno()),
        pass_fds=[listener.fileno()],
        preexec_fn=pinned(cores),
    )
    listener.close()
    return Server(name, process, port)


def response_bytes(server):
    """Asks once, as wrk does, and returns how many bytes the right answer took."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % server.port)
        answer = b""
        while not answer.endswith(b"\r\n\r\nHello, World!\n"):
            received = client.recv(4096)
            if not received:
                sys.exit("bench/http: %s answered %r" % (server.name, answer))
            answer += received
        return len(answer)


def count_calls(server, load, seconds, directory, core):
    """Returns the server's system calls per request, or None where they cannot be counted."""
    try:
        with SystemCalls(server) as calls:
            _, per_second = measure(server, load, seconds, directory, core)
    except (OSError, KeyError):
        return None  # not root, or in a sandbox
    return calls.total / (per_second * seconds)


def measure(server, load, seconds, directory, core):
    """Returns the server's CPU time per request in µs, and requests per second."""
    script = os.path.join(directory, "pipeline.lua")
    with open(script, "w") as file:
        file.write(PIPELINE_LUA % load.pipelined)
    command = ["wrk", "-t1", "-c%d" % load.connections, "-d%ds" % seconds]
    if load.pipelined > 1:
        command += ["-s", script]
    before = server.cpu_ns()
    wrk = subprocess.run(
        command + ["http://127.0.0.1:%d/hello" % server.port],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=pinned({core}),
    )
    cpu_ns = server.cpu_ns() - before
    requests = re.search(r"(\d+) requests in", wrk.stdout)
    bad = re.search(r"Socket errors.*|Non-2xx.*", wrk.stdout)
    if wrk.returncode != 0 or bad or not requests or int(requests.group(1)) == 0:
        sys.exit("bench/http: %s, %s:\n%s" % (server.name, load.name, wrk.stdout))
    count = int(requests.group(1))
    return cpu_ns / 1000 / count, count / seconds


def print_table(title, load, names, bases, results, calls):
    print("\n%s" % title)
    print("    %-12s %14s %10s %10s %12s %14s" % (
        "", "CPU µs/request", *("/ " + base for base in bases), "requests/s", "calls/request"))
    for name in names:
        rounds = results[load, name]
        ratios = []
        for base in bases:
            pairs = zip(rounds, results[load, base])
            ratios.append(statistics.median(own[0] / other[0] for own, other in pairs))
        cpu_us, per_second = (statistics.median(column) for column in zip(*rounds))
        counted = "-" if calls[name] is None else "%.3f" % calls[name]
        print("    %-12s %14.2f %10.2f %10.2f %12.0f %14s" % (
            name, cpu_us, *ratios, per_second, counted))
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", action="append", default=[], metavar="NAME=PROGRAM[,ARG...]",
                        help="a server that takes --port 0 and prints where it listens")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each measurement")
    parser.add_argument("--small", action="store_true",
                        help="one short round, to see that all of it works")
    options = parser.parse_args()
    if options.small:
        options.rounds = options.seconds = 1
    loads = SMALL_LOADS if options.small else LOADS
    if shutil.which("wrk") is None:
        sys.exit("bench/http: wrk is missing: run tools/setup")

    cores = sorted(os.sched_getaffinity(0))
    server_core, load_core = cores[0], cores[-1]
    wide_cores = set(cores[:2])
    if server_core == load_core:
        print("One core only: server and load share it, and throughput says nothing.")

    directory = tempfile.mkdtemp(prefix="tina_bench_http.")
    servers = []
    try:
        for named in options.server:
            name, command = named.split("=", 1)
            program, *arguments = command.split(",")
            command = [os.path.abspath(program), "--port", "0"] + arguments
            own_cores = wide_cores if name.endswith("/2") else {server_core}
            servers.append(start(name, command, own_cores))
        servers.append(start_nginx("nginx", directory, {server_core}))
        servers.append(start_nginx("nginx/2", directory, wide_cores))
        names = [server.name for server in servers if not server.wide]
        wide_names = [server.name for server in servers if server.wide]
        for server in servers:
            print("%s answers with %d bytes" % (server.name, response_bytes(server)))
        results = collections.defaultdict(list)
        for load in loads:
            for _ in range(options.rounds):
                for server in servers:
                    results[load, server.name].append(
                        measure(server, load, options.seconds, directory, load_core))
            calls = {server.name: count_calls(server, load, options.seconds, directory, load_core)
                     for server in servers}
            print_table(load.name, load, names, ("floor", "nginx"), results, calls)
            print_table(load.name + ", two shards or workers", load, wide_names,
                        ("tina", "nginx/2"), results, calls)
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
