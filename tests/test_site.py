"""Every public name, command, option and separator is on a page of the site."""

import re
import sys
import tomllib

import pytest
from conftest import ROOT

import nmfaudio
from nmfaudio.pipeline.registry import installed_separators

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def command_pages():
    """The module that makes the pages of the commands."""
    folder = str(DOCS / "ext")
    sys.path.insert(0, folder)
    import command_pages

    yield command_pages
    sys.path.remove(folder)
    del sys.modules["command_pages"]


def test_every_public_name_is_in_the_reference_once():
    names = re.findall(r"^   (\w+)$", (DOCS / "reference" / "python.rst").read_text("utf-8"), re.MULTILINE)
    assert sorted(names) == sorted(nmfaudio.__all__)


def test_every_option_of_every_command_is_on_its_page(command_pages):
    commands = command_pages.commands()
    assert {"separate", "learn", "archive-status"} < set(commands)
    for name, command in commands.items():
        page = command_pages.page(name, command)
        assert page.startswith(f"# {name}\n")
        for parameter in command.params:
            for option in (*parameter.opts, *parameter.secondary_opts):
                shown = f"`{option}`" if option.startswith("-") else parameter.metavar
                assert shown in page, f"{name} {option}"


def test_separate_lists_the_options_of_all_separators(command_pages):
    page = command_pages.page("separate", command_pages.commands()["separate"])
    for entry in installed_separators().values():
        for option in entry.options.values():
            flag = option.rules.flag or option.name.replace("_", "-")
            assert f"`--{flag}`" in page, f"{entry.name} {option.name}"


def test_characters_of_markdown_in_helps_mean_themselves(command_pages):
    assert (
        command_pages.escaped("a beta in [-1, 3], `a_b` or a_b*")
        == "a beta in \\[-1, 3\\], `a_b` or a\\_b\\*"
    )


def test_every_separator_has_a_page_with_its_options_and_sounds(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    from listening_examples import EXAMPLES

    built_in = [
        name for name, entry in installed_separators().items() if entry.package.startswith("nmfaudio ")
    ]
    assert sorted(EXAMPLES) == sorted(built_in)
    for name in built_in:
        page = (DOCS / "separators" / f"{name}.md").read_text("utf-8")
        assert f"```{{separator-options}} {name}\n" in page
        assert f"```{{listen}} {name}\n" in page


def test_the_citation_names_the_version_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert f"\nversion: {project['version']}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
