"""The plugin's shared object: found in the installed package or in the cache, or compiled once."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nmfaudio.errors import OutputError
from nmfaudio.live.compilers import COMMON, ENDINGS, SOURCE, VARIANTS, Compiler, find_compiler, this_machine

_INSTALLED = Path(__file__).parent / "built"  # where wheels carry the one of their platform


def shared_object() -> Path:
    """Return the path of the shared object for this machine; the first call may compile it.

    Raises
    ------
    OutputError
        Where it has to be compiled and that fails.
    """
    name = f"nmfaudio-{this_machine()}-{source_digest()}{ENDINGS[this_machine().partition('-')[0]]}"
    for folder in (_INSTALLED, cache_folder()):
        if (folder / name).exists():
            return folder / name
    return build(find_compiler(), cache_folder() / name)


def source_digest() -> str:
    """Return a short hash of the source files and the compiler's flags."""
    digest = hashlib.sha256(repr((COMMON, VARIANTS)).encode())
    for path in sorted(SOURCE.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Return the folder of this user's cache."""
    if named := os.environ.get("NMFAUDIO_CACHE"):
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "nmfaudio"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "nmfaudio"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "nmfaudio"


def build(compiler: Compiler, target: Path) -> Path:
    """Compile the shared object; it appears whole or not at all.

    Raises
    ------
    OutputError
        With the end of what the compiler printed.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix="building-") as name:
            folder = Path(name)
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(_run, compiler.compile_commands(folder)))
            library = folder / target.name
            _run(compiler.link_command(folder, library))
            os.replace(library, target)
    except OSError as error:
        raise OutputError(f"{target}: cannot be built ({error.strerror or error})") from None
    return target


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        last = " | ".join(done.stderr.strip().splitlines()[-4:])
        raise OutputError(f"the C compiler failed with exit code {done.returncode}: {last}")
