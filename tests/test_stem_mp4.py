"""Stem files of DJ software: a mixture and its stems in one MP4 file."""

import io
import json
import struct

import numpy as np
import pytest
from conftest import sound

from nmfaudio import Audio, Encoding, read
from nmfaudio.errors import AudioFileError, OptionError, OutputError
from nmfaudio.sound import stem_mp4
from nmfaudio.sound.files import AudioFile
from nmfaudio.sound.metadata import Metadata
from nmfaudio.sound.mp4_boxes import find_box, names_in, read_stem_text
from nmfaudio.sound.stem_mp4 import read_stem_mp4, write_stem_mp4

av = pytest.importorskip("av")
RATE = 44100


def mixture_and_stems(count=4, channels=2, seconds=2.0, encoding=("WAV", "PCM_16")):
    """A mixture of integer samples and random shares of it."""
    samples = np.rint(sound(seconds, RATE, channels) * 2**15) / 2**15
    shares = np.random.default_rng(0).dirichlet(np.ones(count))
    kind = Encoding(*encoding)
    mixture = Audio(samples, RATE, kind, "song", metadata=Metadata({"title": "Söng", "artist": "Ann"}))
    names = ("drums", "bass", "vocals", "other")[:count]
    return mixture, {
        name: Audio(samples * share, RATE, kind, name) for name, share in zip(names, shares, strict=True)
    }


@pytest.fixture
def stem_file(tmp_path):
    mixture, stems = mixture_and_stems()
    return write_stem_mp4(tmp_path / "song.stem.mp4", mixture, stems)


@pytest.mark.parametrize(("encoding", "bits"), [(("WAV", "PCM_16"), 16), (("WAV", "FLOAT"), 24)])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_lossless_stem_file_returns_mixture_and_stems_whose_sum_is_exact(
    tmp_path, encoding, bits, channels
):
    mixture, stems = mixture_and_stems(channels=channels, encoding=encoding)
    path = write_stem_mp4(tmp_path / "a.stem.mp4", mixture, stems)
    read_mixture, read_stems = read_stem_mp4(path)
    assert list(read_stems) == list(stems)
    assert read_mixture.channels == 2
    assert np.array_equal(read_mixture.samples, np.broadcast_to(mixture.samples, (2, mixture.length)))
    assert np.array_equal(sum(stem.samples for stem in read_stems.values()), read_mixture.samples)
    for name, stem in read_stems.items():
        assert np.abs(stem.samples - stems[name].samples).max() <= 1.01 / 2 ** (bits - 1)
    assert read_mixture.tags == {"title": "Söng", "artist": "Ann"}


def test_an_aac_stem_file_returns_aligned_stems(tmp_path):
    mixture, stems = mixture_and_stems()
    path = write_stem_mp4(tmp_path / "a.stem.mp4", mixture, stems, codec="aac")
    read_mixture, read_stems = read_stem_mp4(path)
    for original, found in ((mixture, read_mixture), *((stems[n], read_stems[n]) for n in stems)):
        length = min(original.length, found.length)
        difference = original.samples[:, :length] - found.samples[:, :length]
        assert np.sum(difference**2) < 0.02 * np.sum(original.samples**2)
    assert {stem.length for stem in read_stems.values()} == {read_mixture.length}


def test_software_finds_five_stereo_tracks_and_the_description(stem_file):
    with av.open(str(stem_file)) as container:
        assert [track.codec_context.layout.name for track in container.streams.audio] == ["stereo"] * 5
        defaults = [bool(t.disposition & av.stream.Disposition.default) for t in container.streams.audio]
    assert defaults == [True, False, False, False, False]
    with open(stem_file, "rb") as stream:
        box = find_box(stream, (b"moov", b"udta", b"stem"))
        stream.seek(box.content)
        text = json.loads(stream.read(box.end - box.content))
        assert find_box(stream, (b"moov",)).end == stem_file.stat().st_size
    assert text["version"] == 1
    assert [stem["name"] for stem in text["stems"]] == ["drums", "bass", "vocals", "other"]
    assert all(stem["color"].startswith("#") for stem in text["stems"])
    assert not text["mastering_dsp"]["compressor"]["enabled"]


def test_missing_stems_are_silent(tmp_path):
    mixture, stems = mixture_and_stems(count=2)
    _, found = read_stem_mp4(write_stem_mp4(tmp_path / "a.stem.mp4", mixture, stems))
    assert list(found) == ["drums", "bass", "(silent)", "(silent) 2"]
    assert not found["(silent) 2"].samples.any()


def test_a_stem_file_is_read_as_its_mixture_with_a_notice(stem_file):
    audio = read(stem_file)
    assert np.array_equal(audio.samples, mixture_and_stems()[0].samples)
    assert audio.warnings == (
        "it is a stem file: its mixture was used, and not its stems drums, bass, vocals, other",
    )
    with AudioFile(stem_file, track=2, strict=True) as file:
        assert file.warnings == ()
        assert np.array_equal(file.read(0, file.length), read_stem_mp4(stem_file)[1]["bass"].samples)
    with AudioFile(stem_file) as file:
        assert (file.tracks, file.stem_names) == (5, ("drums", "bass", "vocals", "other"))


def test_stem_files_are_read_from_file_objects(stem_file):
    mixture, stems = read_stem_mp4(io.BytesIO(stem_file.read_bytes()))
    assert len(stems) == 4
    assert mixture.length == stems["bass"].length


def test_other_files_with_several_tracks_say_so(stem_file, tmp_path):
    content = stem_file.read_bytes()
    plain = tmp_path / "plain.mp4"
    plain.write_bytes(content.replace(b"stem{", b"free{"))
    assert read(plain).warnings == (
        "it has 5 audio tracks, and the first was used: pass track=... for another",
    )
    assert list(read_stem_mp4(plain)[1]) == ["stem 1", "stem 2", "stem 3", "stem 4"]
    with pytest.raises(AudioFileError, match="track 5 does not exist: it has 5 audio tracks"):
        AudioFile(plain, track=5)


def test_a_track_of_a_file_with_one_track_only_is_refused(make_file):
    with pytest.raises(AudioFileError, match="track 1 does not exist"):
        AudioFile(make_file(), track=1)
    with pytest.raises(AudioFileError, match="it has a single audio track"):
        read_stem_mp4(make_file())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stems": {}}, "one to 4 stems, not 0"),
        ({"stems": dict.fromkeys("abcde", "first")}, "one to 4 stems, not 5: add some"),
        ({"mixture": Audio([[1.5], [0.0]], RATE)}, "'mixture' is louder than full scale"),
        ({"codec": "mp3"}, "codec='mp3': use one of alac, aac"),
        ({"colors": ["#000000"]}, "4 are needed"),
        ({"mixture": Audio(np.zeros((2, 9)), RATE)}, "'drums' differs from the mixture"),
        (
            {"mixture": Audio(np.zeros((6, 9)), RATE), "stems": {"a": Audio(np.zeros((6, 9)), RATE)}},
            "6 channels",
        ),
        (
            {"mixture": Audio([0.0], 44056), "stems": {"a": Audio([0.0], 44056)}, "codec": "aac"},
            "aac does not support 44056 Hz",
        ),
    ],
)
def test_what_does_not_fit_into_a_stem_file_is_refused(tmp_path, change, message):
    mixture, stems = mixture_and_stems(seconds=0.1)
    arguments = {"mixture": mixture, "stems": stems} | change
    if "first" in arguments["stems"].values():
        arguments["stems"] = dict.fromkeys(arguments["stems"], mixture)
    with pytest.raises(OptionError, match=message):
        write_stem_mp4(tmp_path / "a.stem.mp4", arguments.pop("mixture"), arguments.pop("stems"), **arguments)
    assert not list(tmp_path.iterdir())


def test_files_are_replaced_only_if_allowed_and_nothing_is_left_of_a_failure(stem_file, monkeypatch):
    mixture, stems = mixture_and_stems(seconds=0.1)
    before = stem_file.read_bytes()
    with pytest.raises(OutputError, match="exists: pass overwrite=True"):
        write_stem_mp4(stem_file, mixture, stems)

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(stem_mp4, "write_stem_text", fail)
        with pytest.raises(OutputError, match="No space left"):
            write_stem_mp4(stem_file, mixture, stems, overwrite=True)
    assert stem_file.read_bytes() == before
    write_stem_mp4(stem_file, mixture, stems, overwrite=True)
    assert [path.name for path in stem_file.parent.iterdir()] == [stem_file.name]


def test_without_pyav_the_message_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(stem_mp4, "find_spec", lambda _: None)
    with pytest.raises(OutputError, match=r"need PyAV: pip install"):
        write_stem_mp4(tmp_path / "a.stem.mp4", *mixture_and_stems(seconds=0.1))


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b'{"stems": 3}', b'{"stems": [1]}', b'{"stems": [{"name": {}}]}',
     b"[" * 99999, b"\xff\xfe", b'{"stems": [{}, {"name": ""}]}'],
)  # fmt: skip
def test_damaged_descriptions_are_no_error(text):
    def box(kind, content):
        return struct.pack(">I", 8 + len(content)) + kind + content

    stream = io.BytesIO(box(b"ftyp", b"isom") + box(b"moov", box(b"udta", box(b"stem", text + b"\0"))))
    assert read_stem_text(stream) == text
    assert isinstance(names_in(stream), tuple)


def test_boxes_whose_sizes_lie_end_the_search():
    for size in (0, 1, 2, 7, 2**31):
        content = struct.pack(">I", size) + b"moov" + struct.pack(">Q", 3) + bytes(50)
        assert find_box(io.BytesIO(content), (b"moov", b"udta")) is None


def test_covers_of_mp4_files_are_read(tmp_path):
    picture = io.BytesIO()
    with av.open(picture, "w", format="image2pipe") as container:
        stream = container.add_stream("png", rate=1, width=16, height=16)
        stream.pix_fmt = "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24")))
        container.mux(stream.encode(None))
    with av.open(str(tmp_path / "a.m4a"), "w", format="mp4") as container:
        audio = container.add_stream("alac", rate=RATE, layout="mono", format="s16p")
        cover = container.add_stream("png", rate=1, width=16, height=16)
        cover.pix_fmt = "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        container.start_encoding()
        packet = av.Packet(picture.getvalue())
        packet.stream, packet.pts, packet.dts = cover, 0, 0
        packet.is_keyframe = True
        container.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.ones((1, 4096), np.int16), "s16p", "mono")
        frame.sample_rate = RATE
        for part in (frame, None):
            container.mux(audio.encode(part))
    source = read(tmp_path / "a.m4a")
    assert [found.content for found in source.metadata.pictures] == [picture.getvalue()]
    assert source.length == 4096
