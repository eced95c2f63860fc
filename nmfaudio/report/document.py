"""Everything that a report shows, as one document of plain values that the page reads as JSON."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nmfaudio.models.components import Components
from nmfaudio.pipeline.confidence import doubts
from nmfaudio.report import pictures
from nmfaudio.report.preview import Preview
from nmfaudio.report.sounds import Sound, Sounds, describe, encode_sounds
from nmfaudio.sound.preview_encoding import MIME_TYPES
from nmfaudio.sound.progress import Progress, ignore_progress
from nmfaudio.sound.source import SampleSource

Scores = Mapping[str, Mapping[str, float]]
_OWN_SEPARATORS = "nmfaudio.separators."
_MOST_UPDATES = 500  # points of the divergence curve
_DIVERGENCES = {0.0: "Itakura-Saito", 1.0: "Kullback-Leibler", 2.0: "squared Euclidean"}


@dataclass(frozen=True)
class Subject:
    """What a report is about.

    Attributes
    ----------
    stems : mapping of str to SampleSource
        All stems of a run, by name.
    components : Components
        Their components.
    manifest : mapping
        The run's manifest.
    folder : str
        Folder of the run, as commands name it.
    scores : mapping of str to mapping of str to float
        Measures in dB by stem, where references are known.
    """

    stems: Mapping[str, SampleSource]
    components: Components
    manifest: Mapping[str, Any]
    folder: str
    scores: Scores = field(default_factory=dict)


@dataclass(frozen=True)
class Document:
    """A report before it is a page.

    Attributes
    ----------
    content : dict
        What the page shows, as values of JSON.
    sounds : dict of str to Sound
        Sounds of the page by their keys in the content.
    """

    content: dict[str, Any]
    sounds: dict[str, Sound]


def document(
    subject: Subject, preview: Preview, report: Callable[[Progress], None] = ignore_progress
) -> Document:
    """Return everything that the report of a run shows and plays."""
    sounds = encode_sounds(subject.stems, subject.components, preview, report)
    embedded = {
        **{f"stem-{index}": sounds.stems[name] for index, name in enumerate(subject.stems)},
        **{f"part-{number}": sound for number, sound in sounds.parts.items()},
    }
    content = {
        **_facts(subject, preview, sounds),
        "stems": _stems(subject, sounds),
        "parts": _parts(subject, sounds, preview),
        "sounds": {key: _described(sound) for key, sound in embedded.items()},
        "spectrogram": pictures.spectrogram(subject.stems, preview),
        "convergence": _convergence(subject.components),
        "settings": _settings(subject),
        "notes": [*(str(note) for note in subject.manifest.get("notes", ())), *_doubts(subject.manifest)],
        "warnings": [str(warning) for warning in subject.manifest.get("warnings", ())],
        "scores": _scores(subject.scores),
    }
    return Document(content, embedded)


def _doubts(manifest: Mapping[str, Any]) -> list[str]:
    """Return lines about the stems that are unsure."""
    return doubts({name: entry.get("confidence") for name, entry in manifest.get("stems", {}).items()})


def _facts(subject: Subject, preview: Preview, sounds: Sounds) -> dict[str, Any]:
    recorded = subject.manifest.get("input", {})
    path = recorded.get("file")
    return {
        "title": Path(path).name if path else Path(subject.folder).name or "recording",
        "separator": separator_of(subject.manifest),
        "folder": subject.folder,
        "run": {"input_sha256": recorded.get("sha256"), "stems": list(subject.stems)},
        "regroupCommand": f"nmfaudio regroup {shlex.quote(subject.folder)}",
        "separateCommand": f"nmfaudio separate {shlex.quote(path or 'FILE')}",
        "sampleRate": preview.sample_rate,
        "channels": sounds.channels,
        "sourceChannels": next(iter(subject.stems.values())).channels,
        "samples": preview.stop - preview.start,
        "start": preview.seconds[0],
        "end": preview.seconds[1],
        "duration": preview.length / preview.sample_rate,
        "isWhole": preview.is_whole,
        "audio": describe(sounds),
    }


def _stems(subject: Subject, sounds: Sounds) -> list[dict[str, Any]]:
    total = sum(sounds.stem_energies.values()) or 1.0
    return [
        {"name": name, "share": sounds.stem_energies[name] / total, "sound": f"stem-{index}"}
        for index, name in enumerate(subject.stems)
    ]


def _parts(subject: Subject, sounds: Sounds, preview: Preview) -> list[dict[str, Any]]:
    components, names = subject.components, list(subject.stems)
    total = sum(sounds.part_energies.values()) or 1.0
    parts = []
    for part in components.parts:
        if part.source not in subject.stems:
            continue
        drawings: dict[str, Any] = {"template": None, "activation": None, "stability": None}
        if part.component is not None:
            drawings["template"] = pictures.template(components, part.component)
            drawings["activation"] = pictures.activation(components, part.component, preview)
            if len(components.stability):
                drawings["stability"] = _finite(components.stability[part.component])
        parts.append(
            {
                "number": part.number,
                "name": part.name,
                "stem": names.index(part.source),
                "share": sounds.part_energies[part.number] / total,
                "sound": f"part-{part.number}" if part.number in sounds.parts else None,
                **drawings,
            }
        )
    return parts


def _described(sound: Sound) -> dict[str, Any]:
    return {"type": MIME_TYPES[sound.encoding.format], "scale": sound.scale}


def _convergence(components: Components) -> dict[str, Any] | None:
    count = len(components.objectives)
    if count < 2:
        return None
    chosen = np.unique(np.linspace(0, count - 1, min(count, _MOST_UPDATES)).astype(int))
    iterations = components.iterations if len(components.iterations) == count else np.arange(count)
    return {
        "divergence": _DIVERGENCES.get(float(components.beta), f"beta = {components.beta:g}"),
        "iterations": [int(iterations[i]) for i in chosen],
        "objectives": [_finite(components.objectives[i]) for i in chosen],
    }


def separator_of(manifest: Mapping[str, Any]) -> str:
    """Return the name of the separator of a manifest: that of its folder, or of its class in other packages.

    Examples
    --------
    >>> separator_of({"separator": "nmfaudio.separators.blind.separator:Blind"})
    'blind'
    >>> separator_of({"separator": "my_plugin:Splitter"})
    'Splitter'
    """
    module, _, name = str(manifest.get("separator", "")).rpartition(":")
    if module.startswith(_OWN_SEPARATORS):
        return module.removeprefix(_OWN_SEPARATORS).partition(".")[0].replace("_", "-")
    return name


def _settings(subject: Subject) -> list[list[str]]:
    """Return pairs of a label and a value."""
    manifest, components = subject.manifest, subject.components
    recorded, source = manifest.get("input", {}), next(iter(subject.stems.values()))
    rows = {
        "recording": recorded.get("file"),
        "duration": f"{source.length / source.sample_rate:.3f} s",
        "sample rate": f"{source.sample_rate} Hz",
        "channels": source.channels,
        "separator": separator_of(manifest),
        **{f"option {name}": value for name, value in manifest.get("options", {}).items()},
        "window": f"{components.stft.win_length} samples, hop {components.stft.hop_length}",
        "components": len(components),
        "seed": components.seed,
        "nmfaudio": manifest.get("nmfaudio"),
        "time of the separation": f"{manifest['seconds']:.1f} s" if "seconds" in manifest else None,
    }
    return [[label, _text(value)] for label, value in rows.items() if value is not None]


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _scores(scores: Scores) -> dict[str, Any] | None:
    if not scores:
        return None
    measures = list(next(iter(scores.values())))
    rows = [
        {"stem": name, "values": [_finite(values[measure]) for measure in measures]}
        for name, values in scores.items()
    ]
    return {"measures": measures, "rows": rows}


def _finite(value: Any) -> float | None:
    """Return a number that JSON has."""
    return float(value) if np.isfinite(value) else None
