"""Effects of hints on a dictionary: learned or removed templates, and a message about each."""

from __future__ import annotations

import numpy as np

from nmfaudio.dictionaries.dictionary import Dictionary
from nmfaudio.dictionaries.learning import Learner
from nmfaudio.dictionaries.pitch import note_name
from nmfaudio.errors import OptionError
from nmfaudio.separators.dictionary.hints import Hints, Span
from nmfaudio.sound.audio import Audio
from nmfaudio.sound.blocks import Blocks

_PIECE_SECONDS = 60  # longest part of a solo that is in memory at a time
_SHORT_SECONDS = 1.0  # a message asks for more where the solos of a source are shorter in all


def learn_solos(hints: Hints, mixture: Blocks, seed: int) -> tuple[Dictionary | None, list[str]]:
    """Learn each source from the passages of the mixture in which it sounds alone.

    Returns
    -------
    dictionary : Dictionary or None
        None when there are no solos.
    messages : list of str
        What was learned from how many seconds.

    Raises
    ------
    OptionError
        For a solo that begins after the end of the mixture.
    DictionaryError
        For a solo that is silent.
    """
    learners: dict[str, Learner] = {}
    seconds: dict[str, float] = {}
    for span in hints.solos:
        learner = learners.setdefault(span.source, Learner(span.source, seed=seed, report=mixture.report))
        seconds[span.source] = seconds.get(span.source, 0.0) + _learn_from(learner, span, mixture)
    learned = [learner.dictionary() for learner in learners.values()]
    messages = [
        f"{one.sources[0]}: {len(one.labels)} templates learned from {seconds[one.sources[0]]:.1f} s alone"
        + (" (this is short: give a longer passage)" if seconds[one.sources[0]] < _SHORT_SECONDS else "")
        for one in learned
    ]
    return Dictionary.join(learned) if learned else None, messages


def _learn_from(learner: Learner, span: Span, mixture: Blocks) -> float:
    """Give one passage to a learner, in pieces; return its duration in seconds."""
    rate, length = mixture.sample_rate, mixture.length
    first, last = (min(length, round(t * rate)) for t in (span.start, span.stop))
    if first >= length:
        raise OptionError(
            f"solo of {span.source!r} begins at {span.start:g} s, but the recording lasts "
            f"{length / rate:.2f} s",
            option="solo",
        )
    for start in range(first, last, _PIECE_SECONDS * rate):
        samples = mixture.source.read(start, min(last, start + _PIECE_SECONDS * rate))
        learner.partial_fit(Audio(samples, rate, name=f"solo at {start / rate:.2f} s"))
    return (last - first) / rate


def within_ranges(dictionary: Dictionary, hints: Hints) -> tuple[Dictionary, list[str]]:
    """Remove templates whose pitch lies outside the range of their source.

    Returns
    -------
    dictionary : Dictionary
    messages : list of str
        One message for each range.

    Raises
    ------
    OptionError
        When a source would have no template left.
    """
    remains = np.ones(len(dictionary.labels), bool)
    messages = []
    for source, (low, high) in hints.ranges.items():
        members = dictionary.members.get(source, np.empty(0, np.intp))
        fits = hints.in_range(source, dictionary.pitches[members])
        if len(members) and not fits.any():
            raise OptionError(
                f"no template of {source!r} lies within {note_name(low)} to {note_name(high)}: "
                "widen the range, or learn those notes",
                option="range",
            )
        remains[members] = fits
        messages.append(
            f"{source}: {int(fits.sum())} of {len(members)} templates lie within "
            f"{note_name(low)} to {note_name(high)} or have no pitch"
        )
    if remains.all():
        return dictionary, messages
    return dictionary.keeping(np.flatnonzero(remains)), messages


def silence_messages(hints: Hints, mixture: Blocks) -> list[str]:
    """Return a message for each passage in which a source is silent."""
    end = mixture.length / mixture.sample_rate
    return [
        f"{span.source}: silent for {max(0.0, min(span.stop, end) - span.start):.1f} s"
        + (" (this passage lies beyond the end of the recording)" if span.start >= end else "")
        for span in hints.silences
    ]
