import numpy as np
import pytest
import soundfile
from conftest import integers, sound

from nmfaudio import Audio, Encoding, factorize, separate
from nmfaudio.errors import OptionError, OutputError
from nmfaudio.sound.preview import MOST_BYTES, preview


def test_sounds_show_a_picture_and_a_player_and_names_are_text():
    odd = '<script>alert("x")</script>'
    audio = Audio(sound(), 8000, name=odd)
    shown = audio._repr_html_()
    assert "data:image/png;base64,iVBOR" in shown
    assert "data:audio/mpeg;base64," in shown
    assert "<script" not in separate(audio, sources=2)._repr_html_()
    assert separate(audio, sources=2)._repr_html_().count("<audio") == 3


@pytest.mark.parametrize(("rate", "channels"), [(48000, 2), (96000, 2), (44100, 6)])
def test_long_audio_is_a_preview_that_says_so(rate, channels):
    long = np.tile(0.2 * np.random.default_rng(0).standard_normal((channels, rate)), (1, 12))
    audio = Audio(long.clip(-1, 1), rate)
    part = preview(audio)
    assert len(part.content) <= MOST_BYTES
    assert part.seconds <= 10
    assert f"the first {part.seconds:.1f} s of 12.0 s" in audio._repr_html_()


def test_a_factorization_shows_its_factors():
    found = factorize(np.random.default_rng(0).random((20, 30)), 2, iterations=5)
    assert "data:image/png;base64,iVBOR" in found._repr_html_()


def test_samples_are_written_exactly_and_whole(tmp_path):
    values = np.random.default_rng(0).integers(-(1 << 15), 1 << 15, (2, 500))
    audio = Audio(values / (1 << 15), 8000, Encoding("WAV", "PCM_16"))
    path = audio.write(tmp_path / "a.flac")
    assert (integers(path, 16) == values).all()
    assert soundfile.info(audio.write(tmp_path / "a.wav", subtype="PCM_24")).subtype == "PCM_24"
    with pytest.raises(OutputError, match="exists"):
        audio.write(path)
    with pytest.raises(OptionError, match="cannot be written"):
        audio.write(tmp_path / "a.xyz")
    with pytest.raises(OutputError, match="no ending"):
        audio.write(tmp_path / "a")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.flac", "a.wav"]
    audio.cut(0, 100).write(path, overwrite=True)
    assert soundfile.info(path).frames == 100
