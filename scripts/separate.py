"""Separate a recording into stems: ``python3 scripts/separate.py RECORDING -o FOLDER``.

The first run sets up ``.venv``; then this is ``.venv/bin/python -m nmfaudio separate ...``.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an older Python reads this far, and says so
    sys.exit(
        "nmfaudio needs Python 3.11 or newer, and this is "
        f"{sys.version_info[0]}.{sys.version_info[1]}.\n"
        "Install a newer one and name it, for example: python3.12 scripts/separate.py"
    )

import environment


def main() -> None:
    """Set up what is missing, then separate."""
    python = environment.prepare_or_exit()
    # -P: a random.py in the user's folder must not hide Python's own.
    environment.hand_over([python, "-P", "-m", "nmfaudio", "separate", *sys.argv[1:]])


if __name__ == "__main__":
    main()
