"""How many components a loop has
==============================

You will see a picture of how stable the components of a drum loop are, for each number of components.

The number of components that is recommended is printed: it is the number of drums in the loop.

::

    python examples/rank_and_stability.py [rank.png]
"""

import sys
from pathlib import Path

import nmfaudio

LOOP = Path(__file__).resolve().parent.parent / "audio_samples" / "drum_loop.flac"


def main(picture: str = "rank.png") -> None:
    """Recommend a number of components and draw the evidence."""
    loop = nmfaudio.read(LOOP)
    recommendation = nmfaudio.count_components(loop, most=5, restarts=4)
    nmfaudio.plot_rank(recommendation, name="drum_loop.flac").savefig(picture, dpi=100)
    print(f"{recommendation.rank} components: {recommendation.reason}")
    print(f"written: {picture}")


if __name__ == "__main__":
    main(*sys.argv[1:])
