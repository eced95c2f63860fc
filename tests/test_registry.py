import dataclasses
import sys
import textwrap
from typing import Literal

import pytest

from nmfaudio.errors import OptionError, SeparatorError
from nmfaudio.pipeline.option_values import Option
from nmfaudio.pipeline.option_values import options_of_class as options
from nmfaudio.pipeline.registry import find, installed_separators, make
from nmfaudio.separators.blind.separator import Blind
from nmfaudio.testing import check_separator

PLUGIN = """
    from dataclasses import dataclass
    from nmfaudio import FunctionModel

    @dataclass(frozen=True)
    class Halves:
        '''Give each of several stems the same part.'''
        parts: int = 2
        label: str = "part"

        def fit(self, mixture):
            names = tuple(f"{self.label}{i}" for i in range(self.parts))
            return FunctionModel(mixture.stft, names, lambda block: {n: block.magnitude for n in names})
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a package as pip leaves it: a module and its metadata on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(package, entries, code=PLUGIN):
        module = package.replace("-", "_")
        monkeypatch.delitem(sys.modules, module, raising=False)
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(code))
        info = tmp_path / f"{module}-0.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1\n")
        lines = [f"{name} = {target}" for name, target in entries.items()]
        (info / "entry_points.txt").write_text("\n".join(["[nmfaudio.separators]", *lines]))

    return put


def test_built_in_separators_are_found_the_way_installed_ones_are():
    entry = installed_separators()["blind"]
    assert entry.kind is Blind
    assert entry.origin == "nmfaudio (nmfaudio.separators.blind.separator:Blind)"


def test_an_installed_package_is_found_and_keeps_the_contract(install):
    install("fake-plugin", {"halves": "fake_plugin:Halves"})
    assert installed_separators()["halves"].summary == "Give each of several stems the same part."
    made = make("halves", parts=3)
    assert len(check_separator(made)) > 5


def test_a_package_that_is_installed_later_is_found_too(install):
    install("fake-plugin", {"halves": "fake_plugin:Halves"})
    before = installed_separators()
    install("fake-later", {"later": "fake_later:Halves"})
    after = installed_separators()
    assert set(after) - set(before) == {"later"}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import a_library_that_is_missing", "No module named 'a_library_that_is_missing'"),
        ("raise RuntimeError('licence expired')", "licence expired"),
        ("def Halves(): ...", "not a dataclass with a method `fit`"),
        ("", "AttributeError"),
        ("syntax error", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit"),
    ],
)
def test_a_broken_package_is_reported_and_stops_no_other(install, code, reason):
    install("fake-broken", {"broken": "fake_broken:Halves"}, code)
    install("fake-plugin", {"halves": "fake_plugin:Halves"})
    entries = installed_separators()
    assert "fake-broken" in entries["broken"].error
    assert reason in entries["broken"].error
    assert entries["blind"].error is entries["halves"].error is None
    with pytest.raises(SeparatorError, match="'broken'.*fake-broken"):
        make("broken")


def test_a_name_taken_twice_names_both(install):
    install("fake-one", {"halves": "fake_one:Halves"})
    install("fake-two", {"halves": "fake_two:Halves"})
    with pytest.raises(SeparatorError, match=r"taken twice, by fake-\w+ .* and fake-\w+ "):
        find("halves")
    assert find("blind")


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(SeparatorError, match="no separator 'blnd': use one of .*blind"):
        make("blnd")


def test_an_unknown_option_lists_the_known_ones():
    with pytest.raises(OptionError, match="no option 'colour': it has sources"):
        make("blind", colour=3)


@dataclasses.dataclass(frozen=True)
class Everything:
    """All kinds of options."""

    needed: int
    count: int = 3
    ratio: float | None = 0.5
    fast: bool = False
    mode: Literal["soft", "hard"] = "soft"
    beta: str | float = "kl"
    notes: tuple[str, ...] = ()
    sizes: tuple[int, ...] = dataclasses.field(default=(1, 2), metadata={"help": "in samples"})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("count", "7", 7),
        ("count", "-7", -7),
        ("ratio", "0.25", 0.25),
        ("ratio", "1e-3", 1e-3),
        ("ratio", "none", None),
        ("fast", "true", True),
        ("fast", "off", False),
        ("mode", "hard", "hard"),
        ("beta", "0.5", 0.5),
        ("beta", "is", "is"),
        ("notes", "C4, E4", ("C4", "E4")),
        ("sizes", "1,2,3", (1, 2, 3)),
        ("sizes", "", ()),
    ],
)
def test_texts_become_values_of_the_fields_type(name, text, value):
    found = options(Everything)[name].parse(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("count", "many", "count='many': it must be a whole number"),
        ("count", "1.5", "count='1.5': it must be a whole number"),
        ("ratio", "half", "ratio='half': it must be a number"),
        ("fast", "maybe", "use true or false"),
        ("mode", "loud", "use one of soft, hard"),
        ("sizes", "1,x", "sizes='x'"),
    ],
)
def test_texts_that_fit_no_value_are_refused_by_name(name, text, message):
    with pytest.raises(OptionError, match=message):
        options(Everything)[name].parse(text)


def test_options_tell_their_defaults_and_help():
    found = options(Everything)
    assert found["needed"].default is dataclasses.MISSING
    assert found["sizes"] == Option("sizes", (1, 2), tuple[int, ...], "in samples")
