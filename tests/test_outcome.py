"""The table of a separation names the verdict on each stem, and below it the way out of unsure ones."""

from nmfaudio.cli.outcome import print_table
from nmfaudio.pipeline.confidence import Evidence, judged

CONFIDENCE = judged({"flute": Evidence(0.6, 30.0), "piano": Evidence(0.4, 0.0)}, "pass sources=3")


def outcome(confidence):
    entry = {"share": 0.5, "peak_dbfs": -3.0, "components": {}}
    stems = {n: {"path": f"/music/{n}.wav", **entry, "confidence": one} for n, one in confidence.items()}
    rest = {"found": False, "seconds": 1.0, "labels": None, "notes": ["blind was chosen: mono"]}
    return {"file": "/music/duo.wav", "stems": stems, **rest}


def test_each_stem_has_a_verdict_and_unsure_ones_a_way_out(capsys):
    print_table(outcome({name: one.entry for name, one in CONFIDENCE.items()}))
    printed = capsys.readouterr().out
    rows = [line.split("│") for line in printed.splitlines() if "│" in line]
    assert [row[4].strip() for row in rows] == ["sure", "unsure"]
    below = " ".join(printed[printed.index("└") :].split())
    assert "unsure: piano: the sound overlaps the other stems" in below
    assert "Way out: pass --sources 3" in below
    assert "flute" not in below


def test_stems_of_which_nothing_is_known_have_no_verdict(capsys):
    print_table(outcome({"flute": None, "piano": None}))
    assert "sure" not in capsys.readouterr().out
