"""Processes for commands of tests that have loaded nmfaudio already: that takes longer than most commands.

`CommandServer` starts this file as a program. The program loads nmfaudio, and divides (`os.fork`) for each
command: the new process runs the command and ends. So a command has a process, a working folder and an exit
code of its own, as when a user runs it.
"""

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

SECONDS = 120  # that a command may take
_SIGNALS = {signal.SIGINT, signal.SIGTERM}


def environment():
    """Return the environment of this process, without what pytest changes for each test."""
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


class CommandServer:
    """A process that has loaded nmfaudio and runs commands in copies of itself."""

    def __init__(self):
        self._environment = environment()
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def fits(self, **options):
        """Whether a command can run here: with no options of its own, in the environment of the start."""
        return not options and environment() == self._environment

    def run(self, arguments, folder, meanwhile=None):
        """Run a command in a folder; return it as `subprocess.run` does, with its outputs as text.

        `meanwhile` is called with the number of the process that has begun.
        """
        words = [*map(str, arguments)]
        with tempfile.TemporaryDirectory() as outputs:
            print(json.dumps([words, str(folder), outputs]), file=self._process.stdin, flush=True)
            process = int(self._process.stdout.readline())
            if meanwhile:
                meanwhile(process)
            code = int(self._process.stdout.readline())
            told = [Path(outputs, name).read_text("utf-8") for name in ("stdout", "stderr")]
        return subprocess.CompletedProcess(["nmfaudio", *words], code, *told)

    def end(self):
        """End the process."""
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


def _serve():
    import numpy as np

    import nmfaudio.cli.workers
    import nmfaudio.separators.dictionary.separator  # noqa: F401
    from nmfaudio import Audio, separate

    noise = Audio(np.random.default_rng(0).standard_normal((1, 9000)) / 9, 8000)
    separate(noise, sources=2, iterations=2)  # loads the compiled code too
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        arguments, folder, outputs = json.loads(line)
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # until the command itself handles them
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # about threads that the copy lacks
            child = os.fork()
        if child == 0:
            answers.close()
            os._exit(_run(arguments, folder, outputs))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        print(child, file=answers, flush=True)
        status = os.waitpid(child, 0)[1]
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def _run(arguments, folder, outputs):
    """Run a command in a new process, and return its exit code."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(SECONDS)
    os.chdir(folder)
    files = [os.open(os.devnull, os.O_RDONLY)]
    files += [os.open(Path(outputs, name), os.O_CREAT | os.O_WRONLY) for name in ("stdout", "stderr")]
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.argv = ["nmfaudio", *arguments]
    code = 0
    try:
        from nmfaudio.cli import main

        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as Python itself does where nothing catches an exception
        traceback.print_exc()
        code = 1
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    _serve()
