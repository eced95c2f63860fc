"""Warnings and notes reach programs: the `warnings` module and a logger."""

import logging
import warnings

import numpy as np
import pytest

from nmfaudio import Audio, NmfaudioWarning, separate, separate_file

FAST = {"sources": 2, "separator": "blind", "iterations": 5, "starts": 1}


def test_warnings_of_a_result_are_issued_where_the_caller_is(make_file, tmp_path):
    silent = Audio(np.zeros((1, 8000)), 8000)
    with pytest.warns(NmfaudioWarning, match="the mixture is silent") as issued:
        result = separate(silent, **FAST).result
    assert [str(one.message) for one in issued] == list(result.warnings)
    assert issued[0].filename == __file__
    path = make_file("silent.wav", silent.samples)
    with pytest.warns(NmfaudioWarning, match="the mixture is silent") as issued:
        separate_file(path, tmp_path / "out", **FAST)
    assert issued[0].filename == __file__


def test_writing_issues_only_its_own_warnings(tmp_path, make_file):
    loud = np.sin(np.arange(8000)) * np.where(np.arange(8000) < 4000, 1.0, 0.01)
    separation = separate(Audio(np.stack([loud, -loud]), 8000), **FAST)
    stems = {name: Audio(4 * stem.samples, 8000) for name, stem in separation.stems.items()}
    object.__setattr__(separation, "stems", stems)
    with pytest.warns(NmfaudioWarning, match="beyond full scale") as issued:
        written = separation.write(tmp_path / "out", format="wav", subtype="PCM_16")
    assert [str(one.message) for one in issued] == list(written.warnings[len(separation.result.warnings) :])


def test_notes_go_to_the_logger_and_no_warning_is_issued(caplog):
    noise = Audio(np.random.default_rng(0).standard_normal(8000) / 9, 8000)
    with warnings.catch_warnings(), caplog.at_level(logging.INFO, logger="nmfaudio"):
        warnings.simplefilter("error", NmfaudioWarning)
        result = separate(noise, **FAST).result
    assert tuple(record.message for record in caplog.records) == result.messages
