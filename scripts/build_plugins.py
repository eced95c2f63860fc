"""Build the plugin's shared object for this and for other kinds of machines.

    python scripts/build_plugins.py --target linux-x86_64 --target windows-x86_64 -o built
    python scripts/build_plugins.py --into-package

The package `ziglang` compiles. What cannot be run here is checked for the names that hosts look for.
`--into-package` puts the one for this machine where a wheel carries it.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from nmfaudio import NmfaudioError
from nmfaudio.live.build import build, source_digest
from nmfaudio.live.compilers import ENDINGS, TARGETS, find_compiler, this_machine

PACKAGE = Path(__file__).resolve().parent.parent / "nmfaudio" / "live" / "built"
ENTRY_POINTS = ("lv2_descriptor", "ladspa_descriptor", "clap_entry", "GetPluginFactory")
OF_SYSTEM = {"linux": "ModuleEntry", "windows": "InitDll", "macos": "bundleEntry"}


def missing_names(path: Path, system: str) -> list[str]:
    """Return the names that hosts look for and that the file does not hold."""
    content = path.read_bytes()
    return [name for name in (*ENTRY_POINTS, OF_SYSTEM[system]) if name.encode() + b"\0" not in content]


def build_one(target: str, folder: Path) -> Path:
    """Build one shared object and check its names."""
    compiler = find_compiler(target)
    ending = ENDINGS[compiler.system]
    path, start = folder / f"nmfaudio-{target}-{source_digest()}{ending}", time.monotonic()
    build(compiler, path)
    if missing := missing_names(path, compiler.system):
        sys.exit(f"{path} lacks {', '.join(missing)}")
    print(f"{path}: {path.stat().st_size} bytes in {time.monotonic() - start:.0f} s")
    return path


def main() -> None:
    """Build what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--target", action="append", choices=TARGETS, help="repeatable; default: all")
    parser.add_argument("-o", "--output", type=Path, default=Path("built"), help="folder; default: built")
    parser.add_argument("--into-package", action="store_true", help="for this machine, into the package")
    options = parser.parse_args()
    targets = [this_machine()] if options.into_package else options.target or list(TARGETS)
    folder = PACKAGE if options.into_package else options.output
    try:
        for target in targets:
            build_one(target, folder)
    except NmfaudioError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
