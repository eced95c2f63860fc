"""The commands that compile the plugin's C code, with the system's compiler or with the `ziglang` package."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from nmfaudio.errors import OutputError

SOURCE = Path(__file__).parent / "source"
COMMON = (
    "-std=gnu11",
    "-O3",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
    "-Wall",
    "-Wextra",
    "-fvisibility=hidden",
)
# The loops are compiled once for each of these kinds of x86-64 processors; one is chosen at run time.
VARIANTS = {
    "base": (),
    "avx2": ("-mavx2", "-mfma"),
    "avx512": ("-mavx512f", "-mavx512dq", "-mavx512vl", "-mavx512bw", "-mavx2", "-mfma"),
}
TARGETS = {
    "linux-x86_64": "x86_64-linux-gnu.2.17",
    "linux-aarch64": "aarch64-linux-gnu.2.17",
    "windows-x86_64": "x86_64-windows-gnu",
    "macos-x86_64": "x86_64-macos",
    "macos-aarch64": "aarch64-macos",
}
ENDINGS = {"linux": ".so", "windows": ".dll", "macos": ".dylib"}


@dataclass(frozen=True)
class Compiler:
    """A C compiler, and the kind of machine it compiles for.

    Attributes
    ----------
    command : tuple of str
    target : str
        One of `TARGETS`.
    """

    command: tuple[str, ...]
    target: str

    @property
    def system(self) -> str:
        """`linux`, `windows` or `macos`."""
        return self.target.partition("-")[0]

    @property
    def variants(self) -> dict[str, tuple[str, ...]]:
        """Names of the loops' variants and their flags."""
        return VARIANTS if self.target.endswith("x86_64") else {"base": ()}

    def compile_commands(self, folder: Path) -> list[list[str]]:
        """Return the commands that make an object file of each source file."""
        position = () if self.system == "windows" else ("-fPIC",)
        flags = [*self.command, *COMMON, *self._quiet(), *position, "-c"]
        plain = [path for path in sorted(SOURCE.glob("*.c")) if path.stem != "loops"]
        commands = [[*flags, str(path), "-o", str(folder / f"{path.stem}.o")] for path in plain]
        for name, extra in self.variants.items():
            target = str(folder / f"loops_{name}.o")
            wide = ("-mprefer-vector-width=512",) if name == "avx512" else ()
            commands.append(
                [*flags, f"-DVARIANT={name}", *extra, *wide, str(SOURCE / "loops.c"), "-o", target]
            )
        return commands

    def link_command(self, folder: Path, target: Path) -> list[str]:
        """Return the command that makes the shared object of the object files."""
        objects = [str(path) for path in sorted(folder.glob("*.o"))]
        libraries = {"linux": ("-Wl,-Bsymbolic", "-lm", "-ldl"), "windows": (), "macos": ()}[self.system]
        return [*self.command, "-shared", "-s", "-o", str(target), *objects, *libraries]

    def _quiet(self) -> Sequence[str]:
        # GCC notes that it passes vectors in another way than long ago; no function here passes any.
        return () if "zig" in " ".join(self.command) else ("-Wno-psabi",)


def this_machine() -> str:
    """Return the name of the target that is this machine.

    Raises
    ------
    OutputError
        For a kind of machine that the plugin is not written for.
    """
    system = {"linux": "linux", "win32": "windows", "darwin": "macos"}.get(sys.platform, sys.platform)
    kind = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    if (name := f"{system}-{kind}") not in TARGETS:
        raise OutputError(f"the plugin is not written for {name}: use one of {', '.join(TARGETS)}")
    return name


def find_compiler(target: str | None = None) -> Compiler:
    """Return a compiler for this machine, or with `target` the one that compiles for another.

    Raises
    ------
    OutputError
        Where there is none.
    """
    zig = (sys.executable, "-m", "ziglang", "cc") if find_spec("ziglang") else None
    if target is None:
        for name in ("cc", "gcc", "clang"):
            if path := shutil.which(name):
                return Compiler((path,), this_machine())
        target = this_machine()
    if target not in TARGETS:
        raise OutputError(f"target {target!r} is not known: use one of {', '.join(TARGETS)}")
    if zig is None:
        raise OutputError(
            "the plugin has to be compiled once, and there is no C compiler: install one (on Debian "
            "`sudo apt install gcc`), or run `pip install 'nmfaudio[live]'`, which brings one"
        )
    return Compiler((*zig, "-target", TARGETS[target]), target)
