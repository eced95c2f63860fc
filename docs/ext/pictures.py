"""Pictures of the explanations: the scripts in `docs/pictures/` draw them when the build begins.

A script runs where a picture of an earlier build is missing or older than the script.
"""

import subprocess
import sys
from pathlib import Path

from sphinx.application import Sphinx

SCRIPTS = Path(__file__).resolve().parents[1] / "pictures"
MADE = SCRIPTS / "made"


def draw(app: Sphinx) -> None:
    """Run the scripts whose pictures are missing or old."""
    MADE.mkdir(exist_ok=True)
    for script in sorted(SCRIPTS.glob("*.py")):
        done = MADE / f"{script.stem}.txt"  # what the script printed, written when its pictures are complete
        if not done.exists() or done.stat().st_mtime < script.stat().st_mtime:
            command = [sys.executable, str(script), str(MADE)]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            done.write_text(printed, "utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Draw before the pages are read."""
    app.connect("builder-inited", draw)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
