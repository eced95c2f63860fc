"""Set up ``.venv`` in the repository root with uv, or with venv and pip, and run commands in it.

A stamp in ``.venv`` says what it was made from. It is written last, so an interrupted set-up is done again.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = "scripts/constraints.txt"
LOG_LINES = 15
SECONDS_BETWEEN_LINES = 10


class SetupError(Exception):
    """The set-up failed; the message says what happened and what to do."""


def prepare(root: Path, extras: Collection[str]) -> Path:
    """Return the Python of the environment, after setting up what is missing."""
    python = root / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    with lock(root):
        stamp = root / ".venv" / "nmfaudio-setup.json"
        try:
            present = json.loads(stamp.read_text("utf-8"))
            extras = sorted({*extras, *present.pop("extras")})
        except (OSError, ValueError, KeyError, AttributeError):
            present = {}
        wanted = {"python": sys.version, "requirements": requirements_digest(root)}
        is_usable = python.exists() and present.get("python") == sys.version
        if not is_usable or present != wanted or not has_extras(stamp, extras):
            stamp.unlink(missing_ok=True)
            for label, command in steps(python, extras, create=not is_usable):
                run_step(root, label, command)
            stamp.write_text(json.dumps({**wanted, "extras": sorted(extras)}), "utf-8")
    return python


def has_extras(stamp: Path, extras: Collection[str]) -> bool:
    """Whether the environment has these extras already."""
    return set(extras) <= set(json.loads(stamp.read_text("utf-8"))["extras"])


def requirements_digest(root: Path) -> str:
    """Hash the files that decide what is installed, and the root, which an editable install points to."""
    files = [(root / name).read_bytes() for name in ("pyproject.toml", CONSTRAINTS)]
    return hashlib.sha256(b"\0".join([os.fsencode(root), *files])).hexdigest()


def steps(python: Path, extras: Collection[str], *, create: bool) -> Iterator[tuple[str, list[str]]]:
    """Yield the commands of a set-up, each with a label."""
    # Called from inside a virtual environment, build on the Python below it.
    base = getattr(sys, "_base_executable", None) or sys.executable
    package = f".[{','.join(sorted(extras))}]" if extras else "."
    if shutil.which("uv"):
        if create:
            yield "creating it", ["uv", "venv", "--clear", "--python", base, ".venv"]
        install = ["uv", "pip", "install", "--python", str(python)]
    else:
        if create:
            require_venv()
            yield "creating it", [base, "-m", "venv", "--clear", ".venv"]
        install = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    yield "installing the packages", [*install, "-c", CONSTRAINTS, "-e", package]


def require_venv() -> None:
    """Check that Python can make environments: Debian ships that part separately."""
    if missing := [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]:
        raise SetupError(
            f"this Python lacks {' and '.join(missing)}. On Debian or Ubuntu run `sudo apt install "
            f"python{sys.version_info.major}.{sys.version_info.minor}-venv`, elsewhere install uv; "
            "then run the same command again."
        )


@contextlib.contextmanager
def lock(root: Path) -> Iterator[None]:
    """Allow one set-up at a time; the system releases the lock when its holder ends."""
    with (root / ".venv.lock").open("a+b") as handle:
        with contextlib.suppress(ImportError):  # Windows: two first runs at the same time are not prevented
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def run_step(root: Path, label: str, command: Sequence[str]) -> None:
    """Run one command of the set-up and show the seconds; where it fails, show the end of its output."""
    start = due = time.monotonic()
    with tempfile.TemporaryFile() as log:
        with subprocess.Popen(command, cwd=root, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process:
            try:
                while process.poll() is None:
                    if time.monotonic() >= due:
                        seconds = time.monotonic() - start
                        print(f"setting up .venv: {label} ... {seconds:.0f} s", file=sys.stderr, flush=True)
                        due += SECONDS_BETWEEN_LINES
                    time.sleep(0.05)
            except BaseException:
                process.terminate()
                raise
        if process.returncode:
            log.seek(0)
            lines = log.read().decode("utf-8", "replace").splitlines()[-LOG_LINES:]
            raise SetupError(
                f"{label} failed with exit code {process.returncode}. The last lines of its output:\n"
                + "".join(f"    {line}\n" for line in lines)
                + "Check the network and the free disk space, then run the same command again.\n"
                f"The command of this step, for the root of the repository:\n    {shlex.join(command)}"
            )


def prepare_or_exit(root: Path = ROOT, extras: Collection[str] = ()) -> str:
    """Prepare for a script: a failure ends it with a message and code 1, Ctrl-C with code 130."""
    try:
        return str(prepare(root, extras))
    except (SetupError, OSError) as error:
        sys.exit(f"setting up .venv: {error}")
    except KeyboardInterrupt:
        print("\nsetting up .venv: interrupted; the next run starts again", file=sys.stderr)
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
