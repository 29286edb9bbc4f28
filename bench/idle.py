#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""User memory of idle keep-alive connections, ours and nginx's, in one run.

    bazel run -c opt //bench:idle                        as many as RLIMIT_NOFILE lets a server hold
    bazel run -c opt //bench:idle -- --connections 5000

Each server has one shard or worker. Clients in several processes, each with an address of its own
in 127.0.0.0/8, open connections and ask once on each. Once all are idle, the pages that the server
touches are counted (Anonymous in smaps_rollup: what is allocated and written). Each is run a second
time with room for 64 connections, 64 of them held; so there are two figures:

    all     what is touched ÷ connections: with the program's own memory, which is the same for few
    each    the difference of the two runs ÷ the difference in connections: what one more takes

Kernel memory, of sockets, is not counted. Afterwards every connection must still be open, and
answer again. It fails when one of ours takes more than 1 KiB, in either figure, or more than
nginx's in "each".
"""

import argparse
import collections
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile

FEW = 64
CLIENT_CONNECTIONS = 10000  # of one process; it has files of its own too
CONTEXTS = 64
# Its own files: a request's for each context, refusals, the listener's and the runtime's.
RESERVED_FILES = 300
BYTES_MAX = 1024

# A keep-alive timeout would end what is to be held, and so would fewer than a sixteenth of the
# worker_connections free: nginx then closes idle ones.
NGINX_CONFIG = """
{user}
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr crit;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    keepalive_timeout 3600s;
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

Server = collections.namedtuple("Server", "process pid port")


def fail(sentence):
    sys.exit("bench/idle: " + sentence)


def start_held(program, backend, connections, directory):
    """Starts http_held, which prints the port that the kernel chose."""
    process = subprocess.Popen(
        [program, str(connections), str(CONTEXTS), directory,
         "--port", "0", "--shards", "1", "--backend", backend],
        stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        found = re.search(r"listening on http://127\.0\.0\.1:(\d+)", line)
        if found:
            return Server(process, process.pid, int(found.group(1)))
    fail("http_held ended with %d before it listened" % process.wait())


def start_nginx(connections, directory):
    """Starts nginx with one worker, which inherits its socket; pid is the worker's."""
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        fail("nginx is missing: run tools/setup")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        port = listener.getsockname()[1]
        config = os.path.join(directory, "nginx.conf")
        with open(config, "w") as file:
            # Root's nginx turns into another user, which need not exist in a sandbox.
            user = "user root;" if os.geteuid() == 0 else ""
            file.write(NGINX_CONFIG.format(
                directory=directory, port=port, user=user, connections=connections * 15 // 14 + 16))
        process = subprocess.Popen(
            [program, "-e", "stderr", "-p", directory, "-c", config],
            env=dict(os.environ, NGINX="%d;" % listener.fileno()),
            pass_fds=[listener.fileno()])
    # Its worker is there once it answers.
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        if not client.recv(64).startswith(b"HTTP/1.1 200 "):
            fail("nginx does not answer 200")
    with open("/proc/%d/task/%d/children" % (process.pid, process.pid)) as children:
        return Server(process, int(children.read().split()[0]), port)


def stop(process):
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def touched_bytes(pid):
    """Of allocated memory; the pages of the program's file are everybody's."""
    with open("/proc/%d/smaps_rollup" % pid) as rollup:
        return 1024 * int(re.search(r"^Anonymous: +(\d+) kB", rollup.read(), re.M).group(1))


def said(crowd, word):
    """Waits for a line of a crowd's: the word and a number."""
    line = crowd.stdout.readline()
    if not line.startswith(word):
        fail("http_crowd said %r instead of %s" % (line, word))
    return int(line.split()[1])


def hold(crowd_program, server, connections):
    """Returns how many connections were held, and the bytes that the server touched meanwhile."""
    crowds = []
    try:
        for first in range(0, connections, CLIENT_CONNECTIONS):
            count = min(CLIENT_CONNECTIONS, connections - first)
            crowds.append(subprocess.Popen(
                [crowd_program, "127.0.0.%d" % (2 + len(crowds)), str(server.port), str(count)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        held = sum(said(crowd, "held") for crowd in crowds)
        touched = touched_bytes(server.pid)
        for crowd in crowds:
            crowd.stdin.write("\n")
            crowd.stdin.flush()
        answered = sum(said(crowd, "answered") for crowd in crowds)
    finally:
        for crowd in crowds:
            stop(crowd)
    if held != connections or answered != held:
        fail("of %d connections %d were held and %d answered again" % (connections, held, answered))
    return touched


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--held", required=True, help="the program http_held")
    parser.add_argument("--crowd", required=True, help="the program http_crowd")
    parser.add_argument("--connections", type=int, default=100000)
    parser.add_argument("--small", action="store_true",
                        help="2,000 connections, too few to say what one takes in all")
    options = parser.parse_args()
    held = os.path.abspath(options.held)
    crowd = os.path.abspath(options.crowd)

    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    connections = 2000 if options.small else options.connections
    if connections > files - RESERVED_FILES:
        print("RLIMIT_NOFILE is %d: %d connections instead of %d." % (
            files, files - RESERVED_FILES, connections))
        connections = files - RESERVED_FILES
    if connections <= FEW:
        fail("RLIMIT_NOFILE is too low for anything")

    directory = tempfile.mkdtemp(prefix="tina_bench_idle.")
    starts = {
        "tina": lambda count: start_held(held, "io_uring", count, directory),
        "tina/epoll": lambda count: start_held(held, "epoll", count, directory),
        "nginx": lambda count: start_nginx(count, directory),
    }
    each = {}
    whole = {}
    print("%d idle connections, user memory of each in bytes\n" % connections)
    print("    %-12s %10s %10s %16s" % ("", "each", "all", "touched in all"))
    try:
        for name, start in starts.items():
            touched = {}
            for count in (FEW, connections):
                server = start(count)
                try:
                    touched[count] = hold(crowd, server, count)
                finally:
                    stop(server.process)
            each[name] = (touched[connections] - touched[FEW]) / (connections - FEW)
            whole[name] = touched[connections] / connections
            print("    %-12s %10.0f %10.0f %16d" % (
                name, each[name], whole[name], touched[connections]))
            sys.stdout.flush()
    finally:
        shutil.rmtree(directory)
    print("\nAll of them answered again.")
    if options.small:
        return  # pages of 2 MiB are coarser than what so few take
    for name in ("tina", "tina/epoll"):
        if max(each[name], whole[name]) > BYTES_MAX or each[name] >= each["nginx"]:
            fail("a connection of %s takes too much" % name)


if __name__ == "__main__":
    main()
