"""Stems keep what their mixture's file says: positions on a timeline, speakers, tags and pictures."""

import base64
import contextlib
import io
import shutil
import struct
import subprocess

import numpy as np
import pytest
import soundfile
from conftest import sound
from test_faults import Failing

from nmfaudio import Audio, read, separate, separate_file
from nmfaudio.disk import partial_file
from nmfaudio.errors import AudioFileError, OutputError
from nmfaudio.sound import flac_metadata, id3, timeline
from nmfaudio.sound.files import AudioFile
from nmfaudio.sound.metadata import Metadata, Picture, decode_text
from nmfaudio.sound.metadata_reading import read_metadata
from nmfaudio.sound.riff import chunk_list, packed
from nmfaudio.sound.source import Encoding
from nmfaudio.sound.stem_format import StemFormat
from nmfaudio.sound.stem_writer import StemWriter

FAST = {"sources": 2, "iterations": 5, "starts": 1}
RATE, TIME_REFERENCE = 8000, 48000 * 3600
BEXT = (
    b"Scene 12".ljust(256, b"\0") + b"Recorder".ljust(32, b"\0") + b"ref".ljust(32, b"\0")
    + b"2026-05-0110:20:30" + struct.pack("<QH", TIME_REFERENCE, 2) + b"u" * 64 + b"\x01\x02" * 5 + bytes(180)
    + b"A=PCM\r\n"
)  # fmt: skip
CUE = timeline.write_cue_points([(1, 1000), (2, 5000)])
ADTL = (
    b"adtl"
    + packed(b"labl", struct.pack("<I", 1) + b"Verse\0")
    + packed(b"labl", struct.pack("<I", 2) + b"End\0")
)
SMPL = (
    bytes(28)
    + struct.pack("<II", 2, 0)
    + struct.pack("<6I", 0, 0, 500, 900, 0, 0)
    + struct.pack("<6I", 1, 0, 3000, 4000, 0, 0)
)
CHUNKS = (
    (b"bext", BEXT),
    (b"iXML", b"<BWFXML><SCENE>12</SCENE></BWFXML>"),
    (b"cue ", CUE),
    (b"LIST", ADTL),
    (b"smpl", SMPL),
    (b"guan", b"GUANO|Version: 1.0\nMake: Recorder\n"),
)
COVER = Picture(b"\x89PNG" + bytes(range(256)) * 9, "image/png", 3, "cover")


def wav(samples, *chunks, mask=None, bits=16, order="<"):
    """A WAV file as bytes; with a mask, its format is extensible."""
    channels, width = len(samples), bits // 8
    fmt = struct.pack("<HHIIHH", 1, channels, RATE, RATE * channels * width, channels * width, bits)
    if mask is not None:
        guid = bytes.fromhex("0100000000001000800000aa00389b71")
        fmt = b"\xfe\xff" + fmt[2:] + struct.pack("<HHI", 22, bits, mask) + guid
    data = (
        (samples.T * (1 << (bits - 1))).astype("<i4").reshape(-1, 1).view(np.uint8).reshape(-1, 4)[:, :width]
    )
    body = b"".join(
        packed(n, c) for n, c in (*chunks[:1], (b"fmt ", fmt), *chunks[1:], (b"data", data.tobytes()))
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


@pytest.fixture
def recording(tmp_path):
    """A file as a field recorder leaves it."""
    path = tmp_path / "take.wav"
    info = b"INFO" + packed(b"INAM", "Café".encode("latin-1") + b"\0")
    path.write_bytes(
        wav(sound(channels=2), *CHUNKS, (b"LIST", info), (b"id3 ", id3.write_tag({}, [COVER])), bits=24)
    )
    return path


def chunks_of(path):
    """Names and contents of the chunks of a file, and whether they fill it exactly."""
    with open(path, "rb") as stream:
        chunks = chunk_list(stream)
        contents = {c.name: c.read(stream)[: c.size] for c in chunks if c.name != b"data"}
        stream.seek(0)
        head = stream.read(8)
        assert head[:4] != b"RIFF" or int.from_bytes(head[4:], "little") == path.stat().st_size - 8
        assert chunks[-1].offset + chunks[-1].size + chunks[-1].size % 2 == path.stat().st_size
    return contents


def test_everything_a_recorder_writes_is_read(recording):
    with AudioFile(recording) as file:
        metadata = file.metadata
    assert metadata.chunks == CHUNKS
    assert metadata.tags == {"title": "Café"}
    assert metadata.time_reference == TIME_REFERENCE
    assert metadata.pictures == (COVER,)
    assert read(recording).metadata == metadata
    assert read(recording).tags == {"title": "Café"}


def test_wav_stems_keep_the_metadata_of_a_recorder_and_still_sum_exactly(recording, tmp_path):
    written = separate_file(recording, tmp_path / "out", **FAST)
    total = 0
    for stem in written.stems.values():
        contents = chunks_of(stem.path)
        for name, content in CHUNKS[1:]:
            assert name == b"LIST" or contents[name] == content
        assert timeline.time_reference(contents[b"bext"]) == TIME_REFERENCE
        assert contents[b"bext"][:338] == BEXT[:338]
        assert contents[b"bext"][348:412] == bytes(64), "the identifier of the mixture is not that of a stem"
        assert contents[b"bext"][412:422] == b"\xff\x7f" * 5, (
            "the loudness of the mixture is not that of a stem"
        )
        kept = read(stem.path)
        assert dict(kept.metadata.chunks)[b"LIST"] == ADTL
        assert (kept.tags, kept.metadata.pictures) == ({"title": "Café"}, (COVER,))
        total = total + kept.samples
    assert np.array_equal(total, read(recording).samples)
    assert written.warnings == ()


def test_stems_of_audio_in_memory_keep_the_metadata_too(recording, tmp_path):
    written = separate(recording, **FAST).write(tmp_path / "out")
    assert {read(stem.path).metadata.time_reference for stem in written.stems.values()} == {TIME_REFERENCE}


def test_flac_stems_keep_the_metadata_of_a_recorder(recording, tmp_path):
    written = separate_file(recording, tmp_path / "out", format="flac", **FAST)
    total = 0
    for stem in written.stems.values():
        kept = read(stem.path)
        assert dict(kept.metadata.chunks)[b"cue "] == CUE
        assert kept.metadata.time_reference == TIME_REFERENCE
        assert (kept.tags, kept.metadata.pictures) == ({"title": "Café"}, (COVER,))
        with soundfile.SoundFile(stem.path) as file:
            assert file.title == "Café"
        with open(stem.path, "rb") as stream:
            assert [kind for _, kind, _ in flac_metadata.blocks(stream)].count(4) == 1
        total = total + kept.samples
    assert np.array_equal(total, read(recording).samples)
    assert written.warnings == ()


@pytest.mark.skipif(shutil.which("flac") is None, reason="needs the command flac")
def test_the_flac_command_accepts_the_stems(recording, tmp_path):
    written = separate_file(recording, tmp_path / "out", format="flac", **FAST)
    path = next(iter(written.stems.values())).path
    subprocess.run(["flac", "-t", "-s", "--warnings-as-errors", path], check=True)
    command = ["flac", "-d", "-s", "--keep-foreign-metadata", path, "-o", tmp_path / "back.wav"]
    subprocess.run(command, check=True)
    assert timeline.time_reference(chunks_of(tmp_path / "back.wav")[b"bext"]) == TIME_REFERENCE
    assert np.array_equal(read(tmp_path / "back.wav").samples, read(path).samples)


def test_aiff_stems_keep_cue_points_and_labels_and_say_what_is_lost(recording, tmp_path):
    written = separate_file(recording, tmp_path / "out", format="aiff", **FAST)
    kept = read(next(iter(written.stems.values())).path)
    assert dict(kept.metadata.chunks) == {b"cue ": CUE, b"LIST": ADTL}
    assert (kept.tags, kept.metadata.pictures) == ({"title": "Café"}, (COVER,))
    (warning,) = written.warnings
    assert (
        "AIFF files cannot contain Broadcast Wave data (bext), sampler loops (smpl) of the mixture" in warning
    )


@pytest.mark.parametrize("format", ["w64", "au", "caf", "ogg", "mp3"])
def test_other_formats_say_what_they_cannot_keep(recording, tmp_path, format):
    written = separate_file(recording, tmp_path / "out", format=format, **FAST)
    (warning,) = written.warnings
    assert "Broadcast Wave data (bext), cue points, labels of cue points (adtl)" in warning
    total = sum(read(stem.path).samples for stem in written.stems.values())
    assert total.shape[1] >= 8000


def test_what_a_format_cannot_keep_is_listed():
    metadata = Metadata({"title": "a", "composer": "b"}, CHUNKS, 0x60F, (COVER,), ("chunk 'umid'",))

    def lost(format, subtype="PCM_16"):
        return StemFormat(RATE, 6, 100, Encoding(format, subtype), metadata).losses

    assert lost("WAV") == ("chunk 'umid'",)
    assert lost("FLAC") == ("chunk 'umid'",)
    assert "speakers (FL FR FC LFE SL SR)" not in lost("AIFF")
    assert "speakers (FL FR FC LFE SL SR)" not in lost("CAF")
    assert {"tag 'composer'", "pictures", "speakers (FL FR FC LFE SL SR)"} <= set(lost("OGG", "VORBIS"))
    assert StemFormat(RATE, 6, 100, Encoding("WAV", "PCM_16")).losses == ()


@pytest.mark.parametrize("mask", [0x60F, 0x3F, 0x33, 0])
@pytest.mark.parametrize("format", ["wav", "flac", "aiff", "caf"])
def test_the_speakers_of_a_surround_recording_are_kept(tmp_path, mask, format):
    channels = mask.bit_count() or 5
    (tmp_path / "a.wav").write_bytes(wav(sound(channels=channels), mask=mask))
    source = read(tmp_path / "a.wav")
    assert source.metadata.channel_mask == mask
    written = separate(source, **FAST).write(tmp_path / "out", format=format)
    stems = [read(stem.path) for stem in written.stems.values()]
    assert all((stem.metadata.channel_mask or 0) == mask for stem in stems)
    assert np.array_equal(sum(stem.samples for stem in stems), source.samples)
    assert written.warnings == ()


@pytest.mark.parametrize("format", ["w64", "ogg", "au"])
def test_the_loss_of_the_speakers_is_said(tmp_path, format):
    (tmp_path / "a.wav").write_bytes(wav(sound(channels=6), mask=0x60F))
    written = separate_file(tmp_path / "a.wav", tmp_path / "out", format=format, **FAST)
    assert any("speakers (FL FR FC LFE SL SR)" in warning for warning in written.warnings)


def test_mono_and_stereo_need_no_speakers(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(sound(channels=2), mask=3))
    assert separate_file(tmp_path / "a.wav", tmp_path / "out", format="ogg", **FAST).warnings == ()


def test_a_wav_file_that_metadata_would_make_too_large_becomes_rf64():
    length = ((1 << 32) - (1 << 20)) // 4
    plain = StemFormat(48000, 2, length, Encoding("WAV", "PCM_16"))
    cover = Metadata(pictures=(Picture(bytes(2 << 20)),))
    assert plain.format == "WAV"
    assert StemFormat(48000, 2, length, Encoding("WAV", "PCM_16"), cover).format == "RF64"


@pytest.mark.parametrize("format", ["wav", "flac", "aiff"])
def test_each_write_that_fails_is_an_error_and_leaves_nothing(recording, tmp_path, monkeypatch, format):
    remaining = [10**9]
    open_new = partial_file._open_new
    monkeypatch.setattr(partial_file, "_open_new", lambda path: Failing(open_new(path), remaining))
    separate_file(recording, tmp_path / "complete", format=format, **FAST)
    count = 10**9 - remaining[0]
    for number in range(0, count, max(1, count // 15)):
        remaining[0] = number
        with pytest.raises(OutputError, match=r"cannot be written.*No space left on device"):
            separate_file(recording, tmp_path / "out", format=format, **FAST)
        assert not (tmp_path / "out").exists()
    remaining[0] = count
    assert separate_file(recording, tmp_path / "out", format=format, **FAST).manifest.is_file()


def test_large_files_keep_the_metadata():
    form = StemFormat(48000, 6, 2**30, Encoding("WAV", "PCM_16"), Metadata({}, CHUNKS, 0x60F))
    assert form.format == "RF64"
    assert form.losses == ()


def test_positions_in_a_passage_are_counted_from_its_start():
    passage = Metadata({}, CHUNKS).of_passage(2000, 6000)
    chunks = dict(passage.chunks)
    assert passage.time_reference == TIME_REFERENCE + 2000
    assert timeline.read_cue_points(chunks[b"cue "]) == [(2, 3000)]
    assert timeline.sub_chunks(chunks[b"LIST"]) == [(b"labl", struct.pack("<I", 2) + b"End\0")]
    assert struct.unpack("<6I", chunks[b"smpl"][36:]) == (1, 0, 1000, 2000, 0, 0)
    assert int.from_bytes(chunks[b"smpl"][28:32], "little") == 1
    assert b"cue " not in dict(Metadata({}, CHUNKS).of_passage(6000, 7000).chunks)


def test_impossible_positions_are_no_error():
    loop = struct.pack("<6I", 0, 0, 700, 3, 0, 0)
    smpl = bytes(28) + struct.pack("<II", 1, 0) + loop
    bext = BEXT[:338] + b"\xff" * 8 + BEXT[346:]
    passage = Metadata({}, ((b"smpl", smpl), (b"bext", bext))).of_passage(100, 900)
    assert int.from_bytes(passage.chunks[0][1][28:32], "little") == 0
    assert passage.time_reference == 99


def test_a_picture_that_cannot_be_written_does_not_prevent_the_rest(monkeypatch):
    def fail(*_):
        raise ValueError

    metadata = Metadata({"title": "a"}, CHUNKS[:1], pictures=(COVER,))
    monkeypatch.setattr(id3, "write_tag", fail)
    form = StemFormat(RATE, 1, 100, Encoding("WAV", "PCM_16"), metadata)
    assert form.losses == ("pictures",)
    assert len(form.inherited.chunks) == 1


def test_time_references_in_ixml_are_moved_too():
    tags = ("TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO", "TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI")
    text = f"<SPEED><{tags[1]}>1</{tags[1]}><{tags[0]}>{2**32 - 5}</{tags[0]}></SPEED>".encode()
    ((_, moved),) = timeline.shifted(((b"iXML", text),), 10, 20)
    assert moved == f"<SPEED><{tags[1]}>2</{tags[1]}><{tags[0]}>5</{tags[0]}></SPEED>".encode()
    assert timeline.shifted(((b"iXML", b"<A>5</A>"),), 10, 20) == ((b"iXML", b"<A>5</A>"),)


@pytest.mark.parametrize(("channels", "speakers"), [(3, "FL FR FC"), (5, "FL FR FC BL BR"), (8, 0x63F)])
@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_channels_of_ogg_files_are_ordered_by_their_speakers(tmp_path, channels, speakers, subtype):
    time = np.arange(48000) / 48000
    tones = np.stack([0.2 * np.sin(2 * np.pi * (40 + 20 * n) * time) for n in range(channels)])
    path = tmp_path / "a.ogg"
    form = StemFormat(48000, channels, 48000, Encoding("OGG", subtype))
    with open(path, "w+b") as file:
        writer = StemWriter(file, form, Metadata())
        writer.write(tones.T)
        writer.close()
    audio = read(path)
    spectrum = np.abs(np.fft.rfft(audio.samples[:, 8000:32000], axis=1))
    assert list(np.argmax(spectrum, axis=1) * 2) == [40 + 20 * n for n in range(channels)]
    assert speakers in (audio.metadata.speakers, audio.metadata.channel_mask)
    raw, _ = soundfile.read(path)
    assert np.argmax(np.abs(np.fft.rfft(raw[8000:32000, 1]))) * 2 == 80, "the center is second in the file"


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16"])
def test_text_of_common_encodings_is_decoded(encoding):
    assert decode_text("Café\0".encode(encoding)) == "Café"


def test_text_is_never_an_error():
    for byte in range(256):
        assert isinstance(decode_text(bytes([byte, 65])), str)


@pytest.mark.parametrize("size", [0, 1, 7, 11, 40, 345, 400, 10**6])
def test_damaged_chunks_are_no_error(tmp_path, size):
    content = np.random.default_rng(size).integers(0, 256, min(size, 2000), np.uint8).tobytes()
    chunks = [(name, content) for name in (b"bext", b"cue ", b"smpl", b"id3 ", b"guan")]
    chunks += [
        (b"LIST", b"adtl" + content),
        (b"LIST", b"INFO" + content),
        (b"id3 ", b"ID3\x03\0\0" + content),
    ]
    path = tmp_path / "a.wav"
    path.write_bytes(wav(sound(0.1), *chunks))
    with AudioFile(path) as file:
        assert file.length == 800
        file.metadata.of_passage(10, 500)
        for format in ("WAV", "FLAC", "AIFF"):
            StemFormat(RATE, 1, 9, Encoding(format, "PCM_16"), file.metadata).losses  # noqa: B018
    lying = bytearray(path.read_bytes())
    lying[16:20] = struct.pack("<I", size)
    path.write_bytes(lying)
    with contextlib.suppress(AudioFileError):
        read(path)


def test_pictures_and_text_of_mp3_files_are_kept(tmp_path):
    samples = sound(1, 44100)
    soundfile.write(tmp_path / "a.mp3", samples.T, 44100)
    tags = {"title": "Söng", "albumartist": "Ann", "bpm": "120"}
    content = (tmp_path / "a.mp3").read_bytes()
    (tmp_path / "a.mp3").write_bytes(id3.write_tag(tags, [COVER]) + content)
    source = read(tmp_path / "a.mp3")
    assert (source.tags, source.metadata.pictures) == (tags, (COVER,))
    for format in ("wav", "flac", "aiff", "mp3"):
        written = separate(source, **FAST).write(tmp_path / format, format=format)
        kept = read(next(iter(written.stems.values())).path)
        assert (kept.tags, kept.metadata.pictures) == (tags, (COVER,)), format
        assert kept.length >= source.length


def test_id3_tags_of_version_2_3_in_latin_1_and_utf_16_are_read():
    def frame(name, content):
        return name + len(content).to_bytes(4, "big") + bytes(2) + content

    frames = frame(b"TIT2", b"\0Caf\xe9") + frame(b"TPE1", b"\x01" + "Ann".encode("utf-16"))
    frames += frame(b"COMM", b"\x01eng" + "\0".encode("utf-16") + "fine".encode("utf-16"))
    frames += frame(b"APIC", b"\0image/png\0\x03cover\0" + COVER.content)
    tag = b"ID3\x03\0\0" + bytes([0, 0, len(frames) >> 7, len(frames) & 127]) + frames
    assert id3.read_tag(tag) == ({"title": "Café", "artist": "Ann", "comment": "fine"}, (COVER,))


def test_tags_of_mp4_files_and_their_speakers_are_read(tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=44100, layout="5.1")
        container.metadata.update({"title": "Söng", "artist": "Ann", "album_artist": "Band"})
        frame = av.AudioFrame.from_ndarray(np.zeros((6, 1024), np.float32), "fltp", "5.1")
        frame.rate = 44100
        for part in (frame, None):
            container.mux(stream.encode(part))
    with AudioFile(path) as file:
        assert file.tags == {"title": "Söng", "artist": "Ann", "albumartist": "Band"}
        assert file.metadata.speakers in ("FL FR FC LFE SL SR", "FL FR FC LFE BL BR")


@pytest.mark.parametrize("codec", ["opus", "vorbis"])
def test_all_tags_and_the_pictures_of_ogg_files_are_read(tmp_path, codec):
    av = pytest.importorskip("av")
    picture = b"".join(
        [struct.pack(">I", 3), struct.pack(">I", 9), b"image/png", struct.pack(">I", 5), b"cover", bytes(16)]
    )
    picture += struct.pack(">I", len(COVER.content)) + COVER.content
    name, fmt = {"opus": ("libopus", "flt"), "vorbis": ("vorbis", "fltp")}[codec]
    with av.open(str(tmp_path / "a.ogg"), "w", format="ogg") as container:
        options = {"strict": "experimental"}
        stream = container.add_stream(name, rate=48000, layout="stereo", format=fmt, options=options)
        stream.metadata.update(
            {"title": "Söng", "composer": "Ann", "METADATA_BLOCK_PICTURE": base64.b64encode(picture).decode()}
        )
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 48000), np.float32), "fltp", "stereo")
        frame.sample_rate = 48000
        resampler = av.AudioResampler(fmt, "stereo", 48000, stream.frame_size or 1024)
        for part in (*resampler.resample(frame), *resampler.resample(None), None):
            container.mux(stream.encode(part))
    audio = read(tmp_path / "a.ogg")
    assert audio.encoding.format == "OGG"
    assert audio.tags == {"title": "Söng", "composer": "Ann"}
    assert audio.metadata.pictures == (COVER,)


@pytest.mark.parametrize("seed", range(20))
def test_damaged_metadata_of_compressed_files_is_no_crash(tmp_path, seed):
    generator = np.random.default_rng(seed)
    blocks = flac_metadata.write_blocks({"isrc": "y" * 50}, [(b"bext", BEXT)], 0x3, [COVER])
    content = io.BytesIO()
    soundfile.write(content, sound().T, RATE, format="FLAC" if seed % 2 else "OGG")
    data = content.getvalue()
    damaged = bytearray(data[:42] + blocks + data[42:] if seed % 2 else data)
    for position in generator.integers(4, min(len(damaged), 400), 6):
        damaged[position] = generator.integers(0, 256)
    (tmp_path / "a").write_bytes(damaged)
    with contextlib.suppress(AudioFileError):
        read(tmp_path / "a")


def test_measurements_of_the_mixture_are_no_tags_of_stems(tmp_path):
    blocks = flac_metadata.write_blocks(
        {"replaygain_track_gain": "-8 dB", "encoder": "x", "isrc": "y"}, [], None, []
    )
    content = io.BytesIO()
    soundfile.write(content, sound().T, RATE, format="FLAC")
    flac = content.getvalue()
    stream = io.BytesIO(flac[:42] + blocks + flac[42:])
    with soundfile.SoundFile(io.BytesIO(flac)) as decoder:
        assert read_metadata(stream, decoder).tags == {"isrc": "y"}


def test_audio_can_be_given_metadata():
    audio = Audio(sound(), RATE, metadata=Metadata({"artist": "Ann"}))
    assert audio.tags == {"artist": "Ann"}
