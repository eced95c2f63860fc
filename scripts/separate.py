"""Separate a recording into stems: ``python3 scripts/separate.py RECORDING -o FOLDER``.

The first run sets up ``.venv``. The script then runs ``.venv/bin/python -m nmfaudio separate ...``.
``--extras formats`` in front of the recording also installs what reads M4A, MP4 and other formats; it is
needed once. Several extras are separated by commas.
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
    extras, arguments = split_extras(sys.argv[1:])
    python = environment.prepare_or_exit(extras=extras)
    # -P: a file such as random.py in the user's folder must not hide a module of Python.
    environment.hand_over([python, "-P", "-m", "nmfaudio", "separate", *arguments])


def split_extras(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return the extras that ``--extras`` in front of all other arguments names, and the other arguments."""
    if arguments[:1] != ["--extras"]:
        return [], arguments
    if len(arguments) < 2:
        sys.exit("--extras needs names, for example: python3 scripts/separate.py --extras formats song.m4a")
    return arguments[1].split(","), arguments[2:]


if __name__ == "__main__":
    main()
