"""Flags of `nmfaudio separate` that come from the options of separators, and the choice of stems."""

from nmfaudio.pipeline.manifest import load


def test_only_and_except_choose_stems_of_every_separator(nmfaudio, make_file, tmp_path):
    path = make_file()
    nmfaudio(
        "separate", path, "--separator", "harmonic-percussive", "--only", "harmonic", "-o", "a", "-q", check=0
    )
    assert sorted(p.name for p in tmp_path.glob("a/song/*")) == ["harmonic.wav", "manifest.json"]
    nmfaudio(
        "separate",
        path,
        "--separator",
        "harmonic-percussive",
        "--except",
        "harmonic",
        "-o",
        "b",
        "-q",
        check=0,
    )
    assert sorted(p.name for p in tmp_path.glob("b/song/*")) == ["manifest.json", "without harmonic.wav"]
    done = nmfaudio("separate", path, "--vocals", "--only", "flute", "-o", "c", check=1)
    assert "no source 'flute': use one of voice, accompaniment" in done.stderr
    done = nmfaudio("separate", path, "--drums", "--stem", "kick", "-o", "c", check=2)
    assert "add `-o -`, or use --only kick" in done.stderr
    assert not (tmp_path / "c").exists()


def test_options_of_separators_are_flags(nmfaudio, make_file, tmp_path):
    path = make_file()
    nmfaudio(
        "separate", path, "--components", "4", "--iterations", "3", "--starts", "1", "-o", "a", "-q", check=0
    )
    options = load(tmp_path / "a" / "song" / "manifest.json")["options"]
    assert (options["components"], options["iterations"], options["starts"]) == (4, 3, 1)
    done = nmfaudio("separate", path, "--drums", "--components", "4", "-o", "b", check=2)
    assert "--components is not an option of the separator drums: pass --separator blind" in done.stderr
    done = nmfaudio("separate", path, "--components", "0", check=2)
    assert "components=0: it must be at least 1" in done.stderr


def test_a_single_stem_is_warned_of(nmfaudio, make_file):
    done = nmfaudio("separate", make_file(), "--sources", "1", check=0)
    assert "warning: nothing was separated" in done.stderr
    assert "--sources 2" in done.stderr
    assert "1 stem in" in done.stdout
