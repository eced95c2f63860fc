"""The scores of the audio samples: three short pieces composed for this project.

Melodies are written as ``pitch/beats`` tokens, with ``+`` between the notes of a chord, ``-`` for a rest, and
``p mp mf f`` for the dynamics of the following notes. Drums are written as one character per sixteenth note:
``X`` accent, ``x`` hit, ``g`` ghost note and ``.`` rest.
"""

from dataclasses import dataclass

DYNAMICS = {"p": 54, "mp": 68, "mf": 84, "f": 104}
HITS = {"g": 44, "x": 86, "X": 116}
SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
DRUMS = {"kick": 36, "snare": 38, "closed hi-hat": 42, "open hi-hat": 46}


@dataclass(frozen=True)
class Note:
    """One note: MIDI pitch, start and length in beats, and MIDI velocity."""

    pitch: int
    start: float
    beats: float
    velocity: int


@dataclass(frozen=True)
class Part:
    """Notes of one instrument, and its level and position in the mixture.

    Parameters
    ----------
    name : str
        Name of the stem.
    instrument : str
        General MIDI name of the instrument, for the metadata.
    program : int or None
        General MIDI program, counted from zero; None for the drum kit of channel 10.
    notes : tuple of Note
        The notes, in any order.
    level : float
        Linear gain of this part.
    pan : float
        Position from -1 (left) to 1 (right); mono pieces ignore it.
    """

    name: str
    instrument: str
    program: int | None
    notes: tuple[Note, ...]
    level: float = 1.0
    pan: float = 0.0


@dataclass(frozen=True)
class Piece:
    """A piece: its parts, its tempo, and the seconds for which its last notes decay."""

    name: str
    title: str
    beats_per_minute: float
    channels: int
    parts: tuple[Part, ...]
    ring_seconds: float

    @property
    def beats(self) -> float:
        """Number of beats from the start of the first bar to the end of the last note."""
        return max(note.start + note.beats for part in self.parts for note in part.notes)


def midi_pitch(name: str) -> int:
    """Return the MIDI number of a pitch name; C4 is 60.

    >>> midi_pitch("A4"), midi_pitch("F#2"), midi_pitch("Bb1")
    (69, 42, 34)
    """
    accidental = name.count("#") - name.count("b")
    return 12 * (int(name[-1]) + 1) + SEMITONES[name[0]] + accidental


def melody(*bars: str, gate: float = 0.95) -> tuple[Note, ...]:
    """Return the notes of one voice; each note sounds for the part `gate` of its written length."""
    notes: list[Note] = []
    beat, velocity = 0.0, DYNAMICS["mf"]
    for token in " ".join(bars).split():
        if token in DYNAMICS:
            velocity = DYNAMICS[token]
            continue
        chord, _, beats = token.partition("/")
        pitches = [midi_pitch(name) for name in chord.split("+") if name != "-"]
        notes += [Note(pitch, beat, gate * float(beats), velocity) for pitch in pitches]
        beat += float(beats)
    return tuple(notes)


def drum_lane(drum: str, *bars: str, swing: float = 0.5) -> tuple[Note, ...]:
    """Return the hits of one drum; `swing` is the position (0 to 1) of off-beat sixteenths in an eighth."""
    steps = "".join(bars)
    beats = [(step // 2 + swing * (step % 2)) / 2 for step in range(len(steps))]
    return tuple(
        Note(DRUMS[drum], beat, 0.25, HITS[step])
        for beat, step in zip(beats, steps, strict=True)
        if step != "."
    )


SWING = 0.57

# Four bars of slow funk. The kick varies its pattern in bars 2 and 4, the snare has
# ghost notes between its accents, and an open hi-hat leads every second bar into the next.
DRUM_LOOP = Piece(
    name="drum_loop",
    title="Four Bars at the Back Door",
    beats_per_minute=118,
    channels=1,
    ring_seconds=0.6,
    parts=(
        Part(
            "kick",
            "standard drum kit, bass drum",
            None,
            drum_lane(
                "kick",
                "X..x......X.....",
                "X..x...g..Xx....",
                "X..x......X..x..",
                "X.....x..xX.....",
                swing=SWING,
            ),
        ),
        Part(
            "snare",
            "standard drum kit, snare drum",
            None,
            drum_lane(
                "snare",
                "....X..g.g..X...",
                "....X..g.g..X..g",
                "....X..g.g..X.g.",
                "....X..g.g..X.xX",
                swing=SWING,
            ),
            level=0.7,
        ),
        Part(
            "hihat",
            "standard drum kit, hi-hat",
            None,
            drum_lane(
                "closed hi-hat",
                "x.g.x.gxx.g.x.gg",
                "x.g.x.gxx.g.x...",
                "x.ggx.g.x.ggx.gx",
                "x.g.x.gxx.......",
                swing=SWING,
            )
            + drum_lane(
                "open hi-hat",
                "................",
                "..............x.",
                "................",
                "..........x.....",
                swing=SWING,
            ),
            level=2.1,
        ),
    ),
)

# D minor, G, B flat, A, D minor. The bass plays the roots with passing notes, the marimba
# plays groups of three notes against the four beats of the bar, and the clarinet has the melody.
NIGHT_BUS = Piece(
    name="night_bus",
    title="Night Bus",
    beats_per_minute=102,
    channels=2,
    ring_seconds=0.6,
    parts=(
        Part(
            "clarinet",
            "clarinet",
            71,
            melody(
                "mp -/1 A3/0.5 D4/0.5 mf E4/1.5 F4/0.5",
                "E4/1 D4/0.5 mp B3/1.5 -/1",
                "-/0.5 D4/0.5 mf F4/0.5 f A4/1.5 mf G4/0.5 F4/0.5",
                "E4/1.5 mp C#4/0.5 Bb3/0.5 C#4/0.5 E4/1",
                "D4/2",
            ),
            level=1.0,
            pan=-0.6,
        ),
        Part(
            "bass",
            "electric bass (finger)",
            33,
            melody(
                "f D2/1.5 mf D2/0.5 -/0.5 A2/0.5 C3/0.5 A2/0.5",
                "f G2/1.5 mf G2/0.5 -/0.5 D2/0.5 F2/0.5 B1/0.5",
                "f Bb1/1.5 mf Bb1/0.5 -/0.5 F2/0.5 D2/0.5 Bb1/0.5",
                "f A1/1.5 mf A1/0.5 -/0.5 E2/0.5 G2/0.5 C#2/0.5",
                "f D2/2",
                gate=0.9,
            ),
        ),
        Part(
            "marimba",
            "marimba",
            12,
            melody(
                "f A4/.5 mf E5/.5 F5/.5 f A4/.5 mf E5/.5 F5/.5 f C5/.5 mf E5/.5",
                "f B4/.5 mf E5/.5 F5/.5 f B4/.5 mf E5/.5 F5/.5 f D5/.5 mf E5/.5",
                "f A4/.5 mf D5/.5 F5/.5 f A4/.5 mf D5/.5 F5/.5 f C5/.5 mf D5/.5",
                "f G4/.5 mf C#5/.5 E5/.5 f G4/.5 mf Bb4/.5 E5/.5 f G5/.5 mf E5/.5",
                "f F4+A4+E5/2",
            ),
            level=0.8,
            pan=0.6,
        ),
    ),
)

# A waltz in G over a descending bass: G, F sharp, E, D, C, and back to G through C minor.
PIANO_AND_FLUTE = Piece(
    name="piano_and_flute",
    title="Waltz on a Falling Line",
    beats_per_minute=154,
    channels=1,
    ring_seconds=0.7,
    parts=(
        Part(
            "piano",
            "acoustic grand piano",
            0,
            melody(
                "mf G3/3 F#3/3 E3/3 D3/3",
                "C3/3 f C3/3 mf D3/3 G2+D3/3",
            )
            + melody(
                "mp -/1 B3+D4/1 B3+D4/1 -/1 A3+D#4/1 A3+D#4/1",
                "-/1 G3+B3/1 G3+B3/1 -/1 B3+F4/1 B3+F4/1",
                "-/1 G3+E4/1 G3+E4/1 mf -/1 A3+Eb4/1 A3+Eb4/1",
                "mp -/1 B3+D4/1 C4+F#4/1 B3+D4+G4/3",
                gate=0.8,
            ),
        ),
        Part(
            "flute",
            "flute",
            73,
            melody(
                "mf B5/1.5 A5/0.5 G5/1 F#5/1.5 G5/0.5 A5/1",
                "G5/1.5 F#5/0.5 E5/1 mp D5/1 F5/1 mf B5/1",
                "C6/1.5 B5/0.5 G5/1 f A5/1 C6/1 Eb6/1",
                "D6/1.5 mf C6/0.5 A5/1 mp G5/2.5",
            ),
            level=0.6,
        ),
    ),
)

PIECES = (DRUM_LOOP, NIGHT_BUS, PIANO_AND_FLUTE)
