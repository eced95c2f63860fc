"""Run the commands of documentation pages as a reader would: ``python scripts/run_pages.py PAGE...``.

Each page gets a fresh folder with links to `audio_samples/`, `examples/` and `scripts/`. Its blocks run in
their order: shell blocks with bash, Python blocks with this Python. A block with a caption is saved as the
file that the caption names. A block `text` shows what the block before it prints: its words must be equal,
its numbers nearly. A line `...` stands for lines that are left out. `--update` writes what was printed into
the page.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(
    r"^```(?:\{code-block\} *)?(?P<kind>\w+)\n(?::caption: (?P<caption>\S+)\n+)?(?P<content>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?")
WORD = re.compile(r"[A-Za-z]\w*")
TIMED = re.compile(r" in \d+(\.\d+)? s$")  # a line that ends with the seconds that the run took
LEFT_OUT = "..."
COLUMNS = "88"  # width of the terminal that pages show
# Programs that a block needs where it contains a word; where none of them is installed, the page ends there.
NEEDED = {"nmfaudio export": ("cc", "gcc", "clang"), "ffmpeg ": ("ffmpeg",), "--cluster": ("dask",)}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    kind: str
    caption: str | None
    content: str
    start: int  # of the content, in characters from the start of the page


def blocks_of(text: str) -> list[Block]:
    """Return the blocks of a page that are code, output or files, in their order."""
    return [
        Block(match["kind"], match["caption"], match["content"], match.start("content"))
        for match in FENCE.finditer(text)
    ]


def missing_programs(content: str) -> str | None:
    """Return the programs of which a block needs one, if none of them is installed."""
    for word, programs in NEEDED.items():
        if word in content and not any(shutil.which(program, path=search_path()) for program in programs):
            return " or ".join(programs)
    return None


def search_path() -> str:
    """Return the folders in which blocks look for programs: first that of this Python."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def prepare(folder: Path) -> dict[str, str]:
    """Link what a clone has into a folder, and return the environment in which blocks run."""
    for name in ("audio_samples", "examples", "scripts"):
        (folder / name).symlink_to(ROOT / name, target_is_directory=True)
    return {**os.environ, "PATH": search_path(), "COLUMNS": COLUMNS, "MPLBACKEND": "agg"}


def run_block(block: Block, folder: Path, environment: dict[str, str]) -> str:
    """Run a block, and return what it prints; raise ValueError if it fails."""
    shell = ["bash", "-euo", "pipefail", "-c", block.content]
    command = shell if block.kind == "sh" else [sys.executable, "-c", block.content]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"exit code {done.returncode} of\n{block.content}{done.stdout}{done.stderr}")
    return done.stdout


def differing_line(shown: str, printed: str) -> str | None:
    """Return the first line of a shown output that was not printed, or None."""
    lines = [(WORD.findall(line), [float(n) for n in NUMBER.findall(line)]) for line in printed.splitlines()]
    for line in shown.splitlines():
        words, numbers = WORD.findall(line), [float(n) for n in NUMBER.findall(line)]
        printed_too = any(words == other_words and near(numbers, others) for other_words, others in lines)
        if (words or numbers) and not printed_too:
            return line
    return None


def near(shown: list[float], printed: list[float]) -> bool:
    """Tell whether numbers are equal within 1, or within 10 %: the last bits differ between machines."""
    pairs = zip(shown, printed, strict=False)
    return len(shown) == len(printed) and all(abs(a - b) <= max(1.0, 0.1 * abs(a)) for a, b in pairs)


def without_times(printed: str) -> str:
    """Return an output as pages show it: without lines on running times, and without spaces at the ends."""
    lines = [line.rstrip() for line in printed.splitlines() if not TIMED.search(line)]
    return "\n".join(lines).strip("\n") + "\n"


def outputs_of(blocks: list[Block], folder: Path) -> Iterator[tuple[Block, str]]:
    """Run blocks in a folder, and give each block `text` with what the block before it printed."""
    environment, printed = prepare(folder), ""
    for block in blocks:
        if block.caption:
            (folder / block.caption).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.caption).write_text(block.content, "utf-8")
        elif block.kind in ("sh", "python"):
            if programs := missing_programs(block.content):
                print(f"  the rest of the page is skipped: {programs} is not installed")
                return
            printed = run_block(block, folder, environment)
        elif block.kind == "text":
            yield block, printed


def check_page(text: str) -> None:
    """Run a page in a fresh folder; raise ValueError if a block fails or prints something else than shown."""
    with tempfile.TemporaryDirectory() as folder:
        for block, printed in outputs_of(blocks_of(text), Path(folder)):
            line = differing_line(block.content, printed)
            if line is not None:
                raise ValueError(f"the page shows the line\n{line}\nbut this was printed:\n{printed}")


def updated_page(text: str) -> str:
    """Run a page in a fresh folder, and return it with the outputs printed now, where none is shortened."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = list(outputs_of(blocks_of(text), Path(folder)))
    for block, printed in reversed(outputs):
        if LEFT_OUT not in block.content.split("\n"):
            end = block.start + len(block.content)
            text = text[: block.start] + without_times(printed) + text[end:]
    return text


def main() -> int:
    """Check or update the pages that are named; return 1 if one of them fails."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--update", action="store_true", help="write what was printed into the pages")
    arguments, failed = parser.parse_args(), False
    for page in arguments.pages:
        print(page, flush=True)
        try:
            if arguments.update:
                page.write_text(updated_page(page.read_text("utf-8")), "utf-8")
            else:
                check_page(page.read_text("utf-8"))
        except ValueError as error:
            failed = True
            print(f"  {error}", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
