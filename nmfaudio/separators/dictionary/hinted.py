"""What hints do to a dictionary: more templates, fewer templates, and a word on each."""

from __future__ import annotations

import numpy as np

from nmfaudio.dictionaries.dictionary import Dictionary
from nmfaudio.dictionaries.learning import Learner
from nmfaudio.dictionaries.pitch import note_name
from nmfaudio.errors import OptionError
from nmfaudio.separators.dictionary.hints import Hints
from nmfaudio.sound.audio import Audio
from nmfaudio.sound.blocks import Blocks

_PIECE_SECONDS = 60  # of a solo in memory at a time
_SHORT_SECONDS = 1.0


def learn_solos(hints: Hints, mixture: Blocks, seed: int) -> tuple[Dictionary | None, list[str]]:
    """Learn each source from where it is alone in the mixture.

    Returns
    -------
    Dictionary or None
        None without solos.
    list of str
        What was learned from what.

    Raises
    ------
    OptionError
        For a solo that begins after the end of the mixture.
    DictionaryError
        For one that is silent.
    """
    learners: dict[str, Learner] = {}
    seconds: dict[str, float] = {}
    rate, length = mixture.sample_rate, mixture.length
    for span in hints.solos:
        first, last = (min(length, round(t * rate)) for t in (span.start, span.stop))
        if first >= length:
            raise OptionError(
                f"solo of {span.source!r} begins at {span.start:g} s, but the recording has "
                f"{length / rate:.2f} s"
            )
        learner = learners.setdefault(span.source, Learner(span.source, seed=seed, report=mixture.report))
        seconds[span.source] = seconds.get(span.source, 0.0) + (last - first) / rate
        for start in range(first, last, _PIECE_SECONDS * rate):
            samples = mixture.source.read(start, min(last, start + _PIECE_SECONDS * rate))
            learner.partial_fit(Audio(samples, rate, name=f"solo at {start / rate:.2f} s"))
    learned = [learner.dictionary() for learner in learners.values()]
    messages = [
        f"{one.sources[0]}: {len(one.labels)} templates learned from {seconds[one.sources[0]]:.1f} s alone"
        + (" (short: give more if there is more)" if seconds[one.sources[0]] < _SHORT_SECONDS else "")
        for one in learned
    ]
    return Dictionary.join(learned) if learned else None, messages


def within_ranges(dictionary: Dictionary, hints: Hints, messages: list[str]) -> Dictionary:
    """Leave out templates whose pitch lies outside the range of their source; add a note on each range.

    Raises
    ------
    OptionError
        When a source would have no template left.
    """
    kept = np.ones(len(dictionary.labels), bool)
    for source, (low, high) in hints.ranges.items():
        members = dictionary.members.get(source, np.empty(0, np.intp))
        fits = hints.in_range(source, dictionary.pitches[members])
        if len(members) and not fits.any():
            raise OptionError(
                f"no template of {source!r} lies within {note_name(low)} to {note_name(high)}: "
                "widen the range, or learn those notes"
            )
        kept[members] = fits
        messages.append(
            f"{source}: {int(fits.sum())} of {len(members)} templates lie within "
            f"{note_name(low)} to {note_name(high)} or have no pitch"
        )
    return dictionary if kept.all() else dictionary.keeping(np.flatnonzero(kept))


def told_silences(hints: Hints, mixture: Blocks) -> list[str]:
    """Return a note on each stretch in which a source is silent."""
    end = mixture.length / mixture.sample_rate
    return [
        f"{span.source}: silent for {max(0.0, min(span.stop, end) - span.start):.1f} s"
        + (" (the hint lies beyond the end)" if span.start >= end else "")
        for span in hints.silences
    ]
