import pytest

from nmfaudio import make
from nmfaudio.errors import OptionError, SeparatorError
from nmfaudio.models.selection import StemChoice
from nmfaudio.pipeline.registry import default_name
from nmfaudio.pipeline.target import check_clip_mode
from nmfaudio.suggestion import suggestion


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("blnd", "blind"),
        ("Blind", "blind"),
        ("harmonic_percusive", "harmonic-percussive"),
        ("har", "harmonic"),
    ],
)
def test_the_most_similar_name_is_suggested(name, expected):
    assert suggestion(name, ["auto", "blind", "harmonic-percussive"]).startswith(
        f"; did you mean '{expected}"
    )


def test_nothing_is_suggested_where_nothing_is_similar():
    assert suggestion("guitar", ["auto", "blind"]) == ""
    assert suggestion("x", []) == ""


@pytest.mark.parametrize(
    ("name", "meant"), [("blnd", "blind"), ("Blind", "blind"), ("hpss", "harmonic-perc")]
)
def test_separators_are_suggested(name, meant):
    with pytest.raises(SeparatorError, match=f"no separator '{name}'.*did you mean '{meant}"):
        make(name)


def test_options_are_suggested_also_those_that_auto_lacks():
    assert default_name(["divergance"]) == "blind"
    with pytest.raises(OptionError, match="'blind' has no option 'divergance'.*did you mean 'divergence'"):
        make(default_name(["divergance"]), divergance="is")
    with pytest.raises(OptionError, match="'blind' has no option 'oneshots'.*oneshots is an option of drums"):
        make("blind", oneshots="x")


def test_stems_drums_and_modes_are_suggested():
    with pytest.raises(OptionError, match="no source 'snar'.*did you mean 'snare'"):
        StemChoice(only=("snar",)).check(("kick", "snare"))
    with pytest.raises(OptionError, match="kit='hi-hat'.*did you mean 'hihat'"):
        make("drums", kit=("hi-hat",))
    with pytest.raises(OptionError, match="did you mean 'clamp'"):
        check_clip_mode("clmap")
