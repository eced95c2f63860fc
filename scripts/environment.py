"""Set up ``.venv`` in the repository root, once, and run commands in it.

plan     compare what this checkout needs with the stamp that the last finished set-up left
lock     one set-up at a time
install  run the planned stages, showing each; the stamp comes last
run      call a command, or hand over to it
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = "scripts/constraints.txt"
PYTHON = f"{sys.implementation.cache_tag}{getattr(sys, 'abiflags', '')}"
LOG_LINES = 15
SECONDS_BETWEEN_LINES = 10


class SetupError(Exception):
    """Setting up failed; the message says what happened and what to do."""


@dataclass(frozen=True)
class Stamp:
    """What an environment holds."""

    requirements: str
    extras: list[str]
    installer: str
    python: str = PYTHON


@dataclass(frozen=True)
class Stage:
    """One command of a set-up, run in the root, and the words to show meanwhile."""

    label: str
    command: list[str]


@dataclass(frozen=True)
class Plan:
    """The environment to reach, and whether to start from an empty folder."""

    stamp: Stamp
    fresh: bool


def python_in(root: Path) -> Path:
    """Return where the environment's Python lies."""
    return root / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def stamp_in(root: Path) -> Path:
    """Return where the stamp lies."""
    return root / ".venv" / "nmfaudio-setup.json"


def plan(root: Path, extras: Collection[str]) -> Plan | None:
    """Plan the set-up; None if the environment holds what is needed, or more."""
    found, digest = read_stamp(root), requirements_digest(root)
    usable = found.get("python") == PYTHON and python_in(root).exists()
    held = found["extras"] if usable else []
    if usable and found["requirements"] == digest and set(extras) <= set(held):
        return None
    installer = "uv" if shutil.which("uv") else "pip"
    without_pip = usable and found["installer"] == "uv" and installer == "pip"
    stamp = Stamp(digest, sorted({*extras, *held}), installer)
    return Plan(stamp, fresh=not usable or without_pip)


def read_stamp(root: Path) -> dict[str, Any]:
    """Return the stamp's content; empty where no set-up has finished."""
    try:
        return asdict(Stamp(**json.loads(stamp_in(root).read_text("utf-8"))))
    except (OSError, ValueError, TypeError):
        return {}


def requirements_digest(root: Path) -> str:
    """Hash what decides the installed set, and the root: an editable install points there."""
    files = [(root / name).read_bytes() for name in ("pyproject.toml", CONSTRAINTS)]
    return hashlib.sha256(b"\0".join([os.fsencode(root), *files])).hexdigest()


def stages(root: Path, planned: Plan) -> list[Stage]:
    """Return the stages of a plan, for uv or for Python's own venv and pip."""
    # Called from inside a virtual environment, build on the Python below it.
    base = getattr(sys, "_base_executable", None) or sys.executable
    python, extras = str(python_in(root)), ",".join(planned.stamp.extras)
    if planned.stamp.installer == "uv":
        create = ["uv", "venv", "--python", base, ".venv"]
        install = ["uv", "pip", "install", "--python", python]
    else:
        create = [base, "-m", "venv", ".venv"]
        install = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    install += ["-c", CONSTRAINTS, "-e", f".[{extras}]" if extras else "."]
    first = [Stage("creating it anew", create)] if planned.fresh else []
    return [*first, Stage(f"installing {', '.join(package_names(root)[:3])}", install)]


def package_names(root: Path) -> list[str]:
    """Return the names of the packages that pyproject.toml asks for."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    return [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in project["dependencies"]]


@contextmanager
def lock(root: Path) -> Iterator[None]:
    """Hold the set-up's lock; the system frees it when its last holder ends."""
    with (root / ".venv.lock").open("a+b") as handle:
        # An installer that outlives a killed parent keeps the lock.
        os.set_inheritable(handle.fileno(), True)
        show_until("waiting for another set-up of it", lambda: taken(handle))
        yield


def taken(handle: IO[bytes]) -> bool:
    """Try to take the lock, without waiting."""
    try:
        if sys.platform == "win32":
            import msvcrt

            handle.seek(0)
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def install(root: Path, planned: Plan) -> None:
    """Run the stages; what lies there without a stamp is never trusted."""
    if planned.fresh and planned.stamp.installer == "pip":
        require_venv()
    stamp_in(root).unlink(missing_ok=True)
    if planned.fresh and (root / ".venv").exists():
        shutil.rmtree(root / ".venv")
    for stage in stages(root, planned):
        run_stage(root, stage)
    stamp_in(root).write_text(json.dumps(asdict(planned.stamp)), "utf-8")


def require_venv() -> None:
    """Check that Python can make environments: Debian ships that part separately."""
    if missing := [name for name in ("venv", "ensurepip") if find_spec(name) is None]:
        raise SetupError(
            f"this Python lacks {' and '.join(missing)}. On Debian or Ubuntu run `sudo apt install "
            f"python{sys.version_info.major}.{sys.version_info.minor}-venv`, elsewhere install uv; "
            "then run the same command again."
        )


def run_stage(root: Path, stage: Stage) -> None:
    """Run one stage with running seconds; on failure show the end of what it printed."""
    with tempfile.TemporaryFile() as log:
        # Open handles are passed on: the lock is one of them.
        with subprocess.Popen(
            stage.command,
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            close_fds=False,
        ) as process:
            try:
                show_until(stage.label, lambda: process.poll() is not None)
            except BaseException:
                process.terminate()
                raise
        if process.returncode:
            log.seek(0)
            lines = log.read().decode("utf-8", "replace").splitlines()[-LOG_LINES:]
            raise SetupError(failure(stage, process.returncode, lines))


def failure(stage: Stage, code: int, lines: Sequence[str]) -> str:
    """Say which stage failed, the end of its output, and the way out."""
    said = "".join(f"    {line}\n" for line in lines)
    return (
        f"{stage.label} failed with exit code {code}. Its last lines:\n{said}"
        "Check the network and the free disk space, then run the same command again.\n"
        f"This step by hand, in the repository's root:\n    {shlex.join(stage.command)}"
    )


def show_until(label: str, finished: Callable[[], bool]) -> None:
    """Show running seconds until it is finished; nothing if it already is."""
    every = 1 if sys.stderr.isatty() else SECONDS_BETWEEN_LINES
    start = due = time.monotonic()
    while not finished():
        if (now := time.monotonic()) >= due:
            show(label, now - start)
            due = now + every
        time.sleep(0.1)
    if due > start:
        show(label, time.monotonic() - start, last=True)


def show(label: str, seconds: float, last: bool = False) -> None:
    """Print one progress line, rewritten on a terminal; stdout is the command's own."""
    line = f"setting up .venv: {label} ... {'took ' if last else ''}{seconds:.0f} s"
    live = sys.stderr.isatty()
    if live:
        width = shutil.get_terminal_size().columns - 1
        line = f"\r{line[:width]:{width}}"
    print(line, end="" if live and not last else "\n", file=sys.stderr, flush=True)


def prepare(root: Path, extras: Collection[str]) -> Path:
    """Return the environment's Python, after setting up what is missing."""
    if plan(root, extras):
        with lock(root):
            if planned := plan(root, extras):  # not if another run did it meanwhile
                install(root, planned)
    return python_in(root)


def prepare_or_exit(root: Path = ROOT, extras: Collection[str] = ()) -> str:
    """Prepare for a script: a failure ends it with a message and code 1, Ctrl-C with code 130."""
    try:
        return str(prepare(root, extras))
    except (SetupError, OSError) as error:
        sys.exit(f"setting up .venv: {error}")
    except KeyboardInterrupt:
        print("\nsetting up .venv: interrupted; the next run starts afresh", file=sys.stderr)
        sys.exit(130)


def call(command: Sequence[str], folder: Path | None = None) -> int:
    """Run a command and return its exit code; at Ctrl-C, let it end by itself."""
    with subprocess.Popen(command, cwd=folder) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.wait()
            return 130


def hand_over(command: Sequence[str]) -> NoReturn:
    """Become the command, so that signals and exit codes are its own; Windows cannot."""
    if sys.platform == "win32":
        sys.exit(call(command))
    os.execv(command[0], list(command))
