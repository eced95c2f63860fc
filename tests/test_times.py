import pytest

from nmfaudio.sound.times import parse_seconds


def test_times():
    assert [parse_seconds(text) for text in ("7.5", "1:02", "1:00:05", " 3 ")] == [7.5, 62, 3605, 3]


@pytest.mark.parametrize("text", ["", "x", "1:", ":1", "-1", "1:2:3:4", "1,5", "1e3", "."])
def test_other_texts_are_no_times(text):
    with pytest.raises(ValueError, match=r"not a time|could not convert"):
        parse_seconds(text)
