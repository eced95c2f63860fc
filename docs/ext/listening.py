"""Sounds and scores of the audio samples on the pages of the separators: the directive `listen`.

`scripts/listening_examples.py` makes them when the build begins, unless an earlier build did.
`scripts/docs.py --fresh` makes them again.
"""

import html
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "scripts/listening_examples.py"
FOLDER = "listen"
STORED = ROOT / "build" / "site_extra" / FOLDER  # Sphinx copies it to the site


def make_sounds(app: Sphinx) -> None:
    """Run the script, unless its result is newer than the script itself."""
    scores, script = STORED / "scores.json", ROOT / SCRIPT
    if not scores.exists() or scores.stat().st_mtime < script.stat().st_mtime:
        command = [sys.executable, SCRIPT, str(STORED)]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def player(source: str, label: str) -> str:
    """Return a player with its name."""
    name = html.escape(label)
    return (
        f'<div class="player"><span>{name}</span>'
        f'<audio controls preload="none" aria-label="{name}" src="{html.escape(source)}"></audio></div>'
    )


def scores_table(rows: list[dict[str, Any]]) -> str:
    """Return a table of the scores in Markdown."""
    lines = ["| sound | stem | SI-SDR of the mixture, dB | SI-SDR of the stem, dB |", "|---|---|---|---|"]
    lines += [f"| {row['sound']} | {row['stem']} | {row['before']} | {row['after']} |" for row in rows]
    return "\n".join(lines)


class Listen(SphinxDirective):
    """Players and scores of one separator, which the argument names."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return what the mixture is, the players, and the scores."""
        scores = STORED / "scores.json"
        self.env.note_dependency(str(scores))
        example = json.loads(scores.read_text("utf-8"))[self.arguments[0]]
        up = "../" * self.env.docname.count("/")
        players = [player(f"{up}{FOLDER}/{file}", name) for name, file in example["files"].items()]
        text = [
            f"The mixture: {example['mixture']}.",
            scores_table(example["rows"]),
            f"`python {SCRIPT} FOLDER {self.arguments[0]}` made the sounds and figures with this site.",
        ]
        block = nodes.raw("", f'<div class="players">{"".join(players)}</div>', format="html")
        parsed = self.parse_text_to_nodes("\n\n".join(text))
        return [parsed[0], block, *parsed[1:]]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive; the sounds are made before Sphinx reads any page."""
    app.connect("builder-inited", make_sounds)
    app.add_directive("listen", Listen)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
