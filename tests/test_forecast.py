import json

import numpy as np
import pytest
from test_learning import RATE, tone
from typer.testing import CliRunner

from nmfaudio import Audio
from nmfaudio.cli.app import app
from nmfaudio.errors import DictionaryError, OptionError
from nmfaudio.studies.forecast import Outlook, forecast


def test_what_differs_comes_apart_and_what_is_alike_does_not():
    noise, wind = (Audio(np.random.default_rng(n).standard_normal(3 * RATE) / 9, RATE) for n in (1, 2))
    clips = {"low": tone(200, 3), "high": tone(1500, 3), "noise": noise, "wind": wind}
    found = {outlook.sources: outlook for outlook in forecast(clips)}
    assert len(found) == 6
    assert found["low", "high"].gain > 15
    assert max(found["low", "high"].leaks) < 0.01
    assert "come apart well" in found["low", "high"].words
    assert found["noise", "wind"].gain < 4
    assert max(found["noise", "wind"].leaks) > 0.05
    assert "hardly come apart" in found["noise", "wind"].words


def test_words_name_the_source_that_leaks():
    assert (
        Outlook(("a", "b"), (5.0, 6.0), (0.02, 0.2)).words == "b will be heard in the stem of a (20 % of it)"
    )


def test_recordings_that_tell_nothing_are_refused():
    with pytest.raises(OptionError, match="at least two"):
        forecast({"low": tone(200)})
    with pytest.raises(OptionError, match="different sample rates"):
        forecast({"low": tone(200), "high": tone(900, rate=16000)})
    with pytest.raises(DictionaryError, match="low: 0.2 s are too short"):
        forecast({"low": tone(200, 0.2), "high": tone(900)})
    silent = Audio(np.r_[np.zeros(RATE), np.ones(RATE) / 2], RATE)
    with pytest.raises(DictionaryError, match="one half of the recording is silent"):
        forecast({"low": silent, "high": tone(900, 2)})


def test_the_command_prints_a_table_or_json(make_file):
    files = [
        f"{n}={make_file(f'{n}.wav', tone(f, 3).samples, RATE)}" for n, f in (("low", 200), ("high", 1500))
    ]
    run = CliRunner()
    told = run.invoke(app, ["tune", *files])
    assert told.exit_code == 0, told.output
    assert "low and high will come apart well" in told.output
    (pair,) = json.loads(run.invoke(app, ["tune", *files, "--json", "-q"]).stdout)["pairs"]
    assert pair["sources"] == ["low", "high"]
    for arguments, code, message in [
        (["low"], 2, "label=file"),
        ([files[0], files[0]], 2, "is given twice"),
        (["a/b=x.wav"], 2, "label 'a/b'"),
        ([files[0], "x=none.wav"], 1, "none.wav"),
    ]:
        done = run.invoke(app, ["tune", *arguments, "-q"])
        assert (done.exit_code, message in done.stderr) == (code, True), done.output
