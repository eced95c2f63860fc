"""Schedulers and workers of Dask, started by their command lines, for tests."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

DASK = Path(sys.executable).with_name("dask")
ENVIRONMENT = {
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "10s",
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "3s",
}
# Settings of `distributed.LocalCluster` for workers that are threads of this process.
THREADS = {
    "protocol": "tcp://",
    "processes": False,
    "threads_per_worker": 1,
    "host": "127.0.0.1",
    "scheduler_kwargs": {"dashboard": False, "dashboard_address": ":0"},
}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class DaskProcesses:
    """A scheduler and workers on this machine; each is the leader of a process group that can be killed."""

    def __init__(self, folder, host="127.0.0.1", **environment):
        self.folder, self.host, self.port = folder, host, free_port()
        self.environment = {**os.environ, **ENVIRONMENT, **environment}
        self.processes = []
        self.address = f"tcp://{host}:{self.port}"
        self.start_scheduler()

    def start_scheduler(self):
        self.scheduler = self._start("scheduler", "--host", self.host, "--port", self.port, "--no-show")
        self._wait_for_port()

    def start_worker(self, *flags, host=None, prefix=(), cwd=None, **environment):
        place = self.folder / f"worker{len(self.processes)}"
        usual = ("--nthreads", 1, "--no-dashboard", "--local-directory", place, "--host", host or self.host)
        started = {"prefix": prefix, "cwd": cwd or self.folder, "environment": environment}
        return self._start("worker", self.address, *usual, *flags, **started)

    def kill(self, process):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def end(self):
        for process in self.processes:
            self.kill(process)

    def _start(self, *arguments, prefix=(), cwd=None, environment=None):
        with (self.folder / "dask.log").open("ab") as log:
            process = subprocess.Popen(
                [*prefix, str(DASK), *map(str, arguments)],
                stdout=log,
                stderr=log,
                env={**self.environment, **(environment or {})},
                cwd=cwd or self.folder,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def _wait_for_port(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 1):
                return
            time.sleep(0.05)
        raise TimeoutError((self.folder / "dask.log").read_text()[-2000:])


class CutNetwork:
    """A network namespace that is joined to this machine by a cable that can be cut."""

    OUTER, INNER = "10.213.77.1", "10.213.77.2"

    def __init__(self):
        self.name = f"nmfaudio{os.getpid()}"
        self.link = f"nmf{os.getpid()}"[:13]
        inner = self.link + "i"
        self._ip("netns", "add", self.name)
        self._ip("link", "add", self.link, "type", "veth", "peer", "name", inner)
        self._ip("link", "set", inner, "netns", self.name)
        self._ip("addr", "add", f"{self.OUTER}/24", "dev", self.link)
        self._ip("link", "set", self.link, "up")
        self._ip("-n", self.name, "addr", "add", f"{self.INNER}/24", "dev", inner)
        self._ip("-n", self.name, "link", "set", inner, "up")
        self._ip("-n", self.name, "link", "set", "lo", "up")
        self.prefix = ("ip", "netns", "exec", self.name)

    def cut(self):
        self._ip("link", "set", self.link, "down")

    def end(self):
        for arguments in (("link", "del", self.link), ("netns", "del", self.name)):
            with contextlib.suppress(subprocess.CalledProcessError):
                self._ip(*arguments)

    @staticmethod
    def _ip(*arguments):
        subprocess.run(["ip", *arguments], check=True, capture_output=True)


def why_no_namespace():
    """Return why no network namespace can be made here; empty where one can."""
    if not shutil.which("ip"):
        return "the program ip is not installed"
    try:
        CutNetwork().end()
    except subprocess.CalledProcessError as error:
        return f"network namespaces cannot be made here: {error.stderr.decode().strip()}"
    return ""
