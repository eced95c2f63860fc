"""Run every check: ``python3 scripts/test.py [PYTEST OPTIONS]``.

The first run sets up ``.venv`` with what the tests need. The checks run in the repository's root.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an older Python reads this far, and says so
    sys.exit(
        "nmfaudio needs Python 3.11 or newer, and this is "
        f"{sys.version_info[0]}.{sys.version_info[1]}.\n"
        "Install a newer one and name it, for example: python3.12 scripts/test.py"
    )

import os
from pathlib import Path

import environment

CHECKS = {
    "lint": ["ruff", "check"],
    "format": ["ruff", "format", "--check"],
    "types": ["mypy"],
    "tests": ["pytest", "-n", "2", "--dist", "worksteal"],
}


def from_here(argument: str) -> str:
    """Let an existing path, or ``path::test``, name the same file from the root."""
    path, colons, test = argument.partition("::")
    if Path.cwd() == environment.ROOT or not Path(path).exists():
        return argument
    return str(Path(path).resolve()) + colons + test


def main() -> int:
    """Set up what is missing, run all checks, and return the first failure's exit code."""
    python = environment.prepare_or_exit(extras=["dev"])
    # Where this is set, each command that a test starts would compile the source of the package again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    codes = {}
    for name, command in CHECKS.items():
        arguments = [from_here(argument) for argument in sys.argv[1:]] if name == "tests" else []
        print(f"\n== {name}: {' '.join([*command, *arguments])}", flush=True)
        codes[name] = environment.call([python, "-m", *command, *arguments], environment.ROOT)
        if codes[name] == 130:
            return 130
    print("\n== " + ", ".join(f"{name}: {'FAILED' if codes[name] else 'ok'}" for name in codes))
    return next((code for code in codes.values() if code), 0)


if __name__ == "__main__":
    sys.exit(main())
