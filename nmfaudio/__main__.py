"""`python -m nmfaudio`: the same as the command `nmfaudio`."""

from nmfaudio.cli import main

if __name__ == "__main__":
    main()
