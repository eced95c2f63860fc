"""The commands of the site's pages: all of them are read here, and `scripts/run_pages.py` runs them."""

import re
import shlex
import sys

import pytest
import typer.main
from conftest import ROOT

from nmfaudio.cli.app import app

sys.path.insert(0, str(ROOT / "scripts"))
from run_pages import blocks_of, check_page, differing_line, updated_page  # noqa: E402

DOCS = ROOT / "docs"
FOLDERS = ("tutorials", "how-to", "explanation", "migration")
PAGES = sorted(page for folder in FOLDERS for page in (DOCS / folder).glob("*.md"))
OWN_OPTION = "--frequency"  # of a separator that a reader writes
KINDS = {"sh", "python", "text", "toml", "console"}
PAGE = """```{code-block} text
:caption: folder/words.txt

one 2
```
```sh
cat folder/words.txt
echo "left out"
echo "three 40.5"
```

```text
one 2
...
three 40
```
```python
print(open("folder/words.txt").read().strip())
```
```text
one 2
```
"""


def commands_of(page):
    """The words of each command of nmfaudio in the shell blocks of a page."""
    for block in blocks_of(page.read_text("utf-8")):
        for line in block.content.splitlines() if block.kind in ("sh", "console") else ():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            ends = [k for k, word in enumerate(words) if word in ("|", "||", "&&", ">", "<", "2>")]
            if words[:1] == ["nmfaudio"]:
                yield words[1 : ends[0] if ends else None]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks_are_of_known_kinds_and_python_compiles(page):
    for block in blocks_of(page.read_text("utf-8")):
        assert block.kind in KINDS, block
        if block.kind == "python":
            compile(block.content, str(page), "exec")


def test_commands_on_pages_are_commands_with_options_that_exist():
    program = typer.main.get_command(app)
    context = program.make_context("nmfaudio", ["separate"], resilient_parsing=True)
    found = [(page, words) for page in PAGES for words in commands_of(page)]
    assert len(found) > 40
    for page, (name, *words) in found:
        command = program.resolve_command(context, [name])[1]
        known = {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}
        unknown = {word for word in words if re.match(r"--?[a-z]", word)} - known - {OWN_OPTION}
        assert not unknown, f"{page.name}: {name} {unknown}"


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
            made_by_the_build = "gallery/" in link or "reference/" in link
            assert made_by_the_build or (page.parent / link).exists(), f"{page.name}: {link}"


def test_a_page_that_shows_what_is_printed_passes():
    check_page(PAGE)


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("...\nthree 40", "...\nthree 60", "shows the line\nthree 60"),
        ("```text\none 2", "```text\nfour 2", "shows the line\nfour 2"),
        ("cat folder", "cat missing", "exit code 1"),
    ],
)
def test_a_page_that_shows_something_else_fails(right, wrong, message):
    assert right in PAGE
    with pytest.raises(ValueError, match=message):
        check_page(PAGE.replace(right, wrong))


def test_an_update_writes_what_was_printed_and_keeps_shortened_outputs():
    text = PAGE.replace('echo "left out"', 'echo "left out; done in 3.5 s"')
    whole = text.replace("one 2\n...\nthree 40\n", "?\n")
    assert "```text\none 2\nthree 40.5\n```" in updated_page(whole)
    assert "...\nthree 40\n" in updated_page(text)


def test_numbers_may_differ_a_little_and_words_may_not():
    assert differing_line("│ kick │ 57.6 % │", "│ kick │ 57.9 % │") is None
    assert differing_line("│ kick │ 57.6 % │", "│ kick │ 77.9 % │") == "│ kick │ 57.6 % │"
    assert differing_line("kick found", "snare found") == "kick found"
    assert differing_line("...\n\n└──┘", "") is None
