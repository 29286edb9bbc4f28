# SPDX-License-Identifier: Apache-2.0
"""Servers to be measured: processes on cores of their own, and the CPU time that they have used."""

import os
import re
import subprocess
import sys


class Server:
    """A process that serves on a port of 127.0.0.1 until stop."""

    def __init__(self, name, process, port):
        self.name = name
        self.wide = name.endswith("/2")
        self.process = process
        self.port = port

    def threads(self):
        """The threads of the process and of its workers."""
        tasks = "/proc/%d/task/" % self.process.pid
        with open(tasks + "%d/children" % self.process.pid) as children:
            pids = [str(self.process.pid)] + children.read().split()
        return [(pid, int(thread)) for pid in pids for thread in os.listdir("/proc/%s/task" % pid)]

    def cpu_ns(self):
        """Time on the CPU of all threads, in ns."""
        total = 0
        for pid, thread in self.threads():
            with open("/proc/%s/task/%d/schedstat" % (pid, thread)) as stat:
                total += int(stat.read().split()[0])
        return total

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def pinned(cores):
    return lambda: os.sched_setaffinity(0, cores)


def start(name, arguments, cores):
    """Starts a server that prints, or logs, the port that the kernel chose."""
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=pinned(cores))
    for line in process.stdout:
        found = re.search(r"listening on (?:http://)?127\.0\.0\.1:(\d+)", line)
        if found:
            return Server(name, process, int(found.group(1)))
    sys.exit("bench: %s ended with %d before it listened" % (name, process.wait()))
