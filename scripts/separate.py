"""Separate a recording into stems: ``python3 scripts/separate.py RECORDING -o FOLDER``.

The first run sets up ``.venv``. The script then runs ``.venv/bin/python -m nmfaudio separate ...``.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an older Python reaches this line and prints the message
    sys.exit(
        "nmfaudio needs Python 3.11 or newer, and this is "
        f"{sys.version_info[0]}.{sys.version_info[1]}.\n"
        "Install a newer version and run it by name, for example: python3.12 scripts/separate.py"
    )

import environment


def main() -> None:
    """Set up the environment if necessary, then separate."""
    python = environment.prepare_or_exit()
    # -P: a file such as random.py in the user's folder must not hide a module of Python.
    environment.hand_over([python, "-P", "-m", "nmfaudio", "separate", *sys.argv[1:]])


if __name__ == "__main__":
    main()
