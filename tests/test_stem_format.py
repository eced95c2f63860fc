"""Every combination of format, sample type, sample rate and channels is either refused or works."""

import subprocess
import sys
import textwrap

import pytest

from nmfaudio.errors import OutputError
from nmfaudio.sound.source import Encoding
from nmfaudio.sound.stem_format import StemFormat

# Runs in a child process, because a crash of libsndfile would end the test run.
EVERY_COMBINATION = """
    import io
    import numpy as np
    import soundfile
    from nmfaudio.sound import encoding
    from nmfaudio.sound.source import Encoding
    from nmfaudio.sound.stem_format import StemFormat

    RATES = (1, 1000, 8000, 11025, 44056, 44100, 48000, 65535, 65537, 96000, 96001, 192000, 197368, 200000,
             200001, 384000, 655350, 655360, 768000, 2822400, 2**31 - 1)
    CHANNELS = (1, 2, 3, 8, 9, 255, 256, 1024)
    combinations = [(rate, 1) for rate in RATES] + [(48000, channels) for channels in CHANNELS]
    for format in encoding._EXTENSIONS:
        for subtype in soundfile.available_subtypes(format):
            for rate, channels in combinations:
                print(format, subtype, rate, channels, flush=True)
                form = StemFormat(rate, channels, 100, Encoding(format, subtype))
                if form.unsupported:
                    continue
                content = io.BytesIO()
                with form.open(content) as file:
                    file.write(np.zeros((100, channels)))
                content.seek(0)
                with soundfile.SoundFile(content) as file:
                    assert (file.samplerate, file.channels) == (rate, channels)
                    assert len(file.read(100)) == 100
    print("complete")
"""


def test_every_format_is_refused_before_the_work_or_can_be_written():
    command = [sys.executable, "-c", textwrap.dedent(EVERY_COMBINATION)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, (run.stdout.splitlines()[-1:], run.stderr)
    assert run.stdout.endswith("complete\n")


@pytest.mark.parametrize("rate", [200_001, 384_000])
def test_vorbis_at_very_high_rates_is_refused(tmp_path, rate):
    with pytest.raises(OutputError, match=rf"a.ogg: .*at {rate} Hz.*limited to 200000 Hz.*'wav'"):
        StemFormat(rate, 1, 100, Encoding("OGG", "VORBIS")).check(tmp_path / "a.ogg")


@pytest.mark.parametrize("rate", [65_537, 96_001, 197_368])
def test_flac_at_rates_without_a_code_is_refused_and_names_formats_that_work(tmp_path, rate):
    with pytest.raises(
        OutputError,
        match=rf"a.flac: .* 1 channel at {rate} Hz.*multiples of 10 Hz.* support it: 'wav', 'aiff'",
    ) as caught:
        StemFormat(rate, 1, 100, Encoding("FLAC", "PCM_16")).check(tmp_path / "a.flac")
    assert "'flac'" not in str(caught.value)
