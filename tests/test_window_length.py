"""Options in seconds have limits, and a number that was meant as milliseconds is recognised."""

import numpy as np
import pytest

from nmfaudio import Audio, Learner, count_components, installed_separators, make
from nmfaudio.errors import OptionError
from nmfaudio.studies.hidden_entries import predict_hidden_entries

IN_SECONDS = [
    (name, option)
    for name, entry in installed_separators().items()
    for option in entry.options.values()
    if "second" in option.help
]


@pytest.mark.parametrize(
    "option",
    [option for _, option in IN_SECONDS],
    ids=[f"{name} {option.name}" for name, option in IN_SECONDS],
)
def test_every_option_in_seconds_has_limits(option):
    assert option.rules.unit == "seconds"
    assert option.rules.at_most is not None
    with pytest.raises(
        OptionError, match=rf"{option.name}=1000000: it must be above 0 and at most .* seconds"
    ):
        option.rules.check(option.name, 1000000)


def test_milliseconds_are_recognised():
    with pytest.raises(
        OptionError, match="window=46: .* at most 2 seconds; if you mean 46 milliseconds.* 0.046"
    ):
        make("blind", window=46)
    with pytest.raises(OptionError, match=r"at most 2 seconds$"):
        make("blind", window=46000)


NOISE = Audio(np.random.default_rng(0).standard_normal(800), 8000)


@pytest.mark.parametrize(
    "call",
    [
        lambda **options: Learner("a", **options),
        lambda **options: count_components(NOISE, **options),
        lambda **options: predict_hidden_entries(NOISE, **options),
    ],
    ids=["learn", "rank", "rank --hidden"],
)
@pytest.mark.parametrize("window", [93, 0, -1, np.nan, np.inf])
def test_windows_are_limited_everywhere(call, window):
    with pytest.raises(OptionError, match="window=.* above 0 and at most 2 seconds"):
        call(window=window)


@pytest.mark.parametrize("call", [count_components, predict_hidden_entries])
def test_numbers_of_components_are_limited(call):
    with pytest.raises(OptionError, match="most=500: it must be at least 1 and at most 100"):
        call(NOISE, most=500)
