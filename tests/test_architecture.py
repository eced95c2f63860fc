"""The floors: a file imports only from floors below its own, or from earlier rows of its own."""

import ast
from pathlib import Path

import pytest

import nmfaudio

PACKAGE = Path(nmfaudio.__file__).parent
ROWS = [
    ["errors", "matching"],
    [
        "nmf.layout",
        "nmf.compilation_progress",
        "nmf.compiled_code",
        "nmf.compilation",
        "nmf.intrinsics",
        "nmf.logarithm_kernels",
        "nmf.kernels",
        "nmf.divergence",
        "nmf.stream",
        "nmf.initialize",
        "nmf.allowed",
        "nmf.frame_partition",
        "nmf.threads",
        "nmf.problem",
        "nmf.penalty",
        "nmf.factorization",
        "nmf.descend",
        "nmf.sketch_kernels",
        "nmf.sketch",
        "nmf.lagged_kernels",
        "nmf.lagged",
        "nmf.convolutive",
        "nmf.solve",
        "nmf.side_by_side",
        "nmf.online",
        "nmf.sparse",
        "nmf.panned_kernels",
        "nmf.panned",
        "nmf.sklearn_starts",
        "nmf.estimator",
    ],
    ["nmf.prior", "nmf.relevance", "nmf.consensus", "nmf.rank", "nmf"],
    [
        "sound.audio",
        "sound.exact",
        "sound.interrupts",
        "sound.part",
        "sound.storage",
        "sound.bands",
        "sound.stft",
        "sound.containers",
        "sound.files",
        "sound.writing",
        "sound",
    ],
    [
        "masking",
        "grouping",
        "naming",
        "wiener",
        "phase",
        "panning",
        "labels",
        "tensorfile",
        "dictionary_format",
        "conversion",
        "pitch",
        "notes",
        "alignment",
        "agreement",
    ],
    ["template_plot", "dictionary", "hints", "sufficient_rank", "learning"],
    [
        "separators",
        "separators.contract",
        "separators.combination",
        "separators.selection",
        "separators.phased",
        "separators.templates",
        "separators.blind",
        "separators.stereo",
        "separators.noise",
        "separators.placed",
        "separators.hinted",
        "separators.coverage",
        "separators.diagnosis",
        "separators.adaptation",
        "separators.drum_kit",
        "separators.drums",
        "separators.dictionary",
        "separators.score",
        "separators.harmonic_percussive",
        "separators.repeating",
        "separators.source_filter",
        "separators.voice",
        "advice",
        "separators.auto",
    ],
    ["fitting", "target", "manifest", "stems", "registry", "separation", "counting"],
    ["plot", "rank_plot", "evaluation", "forecast", "testing"],
    [
        "cli.signals",
        "cli.limits",
        "cli.console",
        "cli.outcome",
        "cli.inputs",
        "cli.job",
        "cli.workers",
        "cli.again",
        "cli.batch",
        "cli.pipes",
        "cli.learn",
        "cli.join",
        "cli.show",
        "cli.convert",
        "cli.tune",
        "cli.knowledge",
        "cli.presets",
        "cli.advise",
        "cli.plot",
        "cli.rank",
        "cli.separate",
        "cli.separators",
        "cli.app",
        "cli",
        "__main__",
    ],
    ["__init__"],
]
ORDER = {name: position for position, name in enumerate(name for row in ROWS for name in row)}
ONLY_IN = {
    "numba": {
        "nmf.compilation",
        "nmf.compiled_code",
        "nmf.intrinsics",
        "nmf.kernels",
        "nmf.lagged_kernels",
        "nmf.panned_kernels",
        "nmf.sketch_kernels",
    },
    "soundfile": {"sound.files", "sound.writing"},
    "matplotlib": {"dictionary", "plot", "rank_plot", "template_plot"},
    "av": {"sound.containers"},
    "sklearn": {"nmf.estimator", "nmf.sklearn_starts"},
    "rich": {
        "cli.advise",
        "cli.console",
        "cli.outcome",
        "cli.rank",
        "cli.separators",
        "cli.show",
        "cli.tune",
    },
    "typer": {
        "cli.advise",
        "cli.app",
        "cli.console",
        "cli.convert",
        "cli.join",
        "cli.learn",
        "cli.plot",
        "cli.rank",
        "cli.separate",
        "cli.separators",
        "cli.show",
        "cli.tune",
    },
}


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts), path


def imports(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            inner = [name for name in names if name.removeprefix("nmfaudio.") in ORDER]
            yield from inner or [node.module]


@pytest.mark.parametrize(("name", "path"), list(modules()), ids=lambda value: str(value))
def test_imports_go_down(name, path):
    assert name in ORDER, f"give {name} a place in ROWS"
    for target in imports(path):
        inner = target.removeprefix("nmfaudio.")
        if target.startswith("nmfaudio.") and inner in ORDER:
            assert ORDER[inner] < ORDER[name], f"{name} imports {target} from above"
        top = target.partition(".")[0]
        assert name in ONLY_IN.get(top, {name}), f"{name} imports {target}"


def test_factorization_and_sound_know_nothing_of_each_other():
    for name, path in modules():
        floor = name.partition(".")[0]
        other = {"nmf": "nmfaudio.sound", "sound": "nmfaudio.nmf"}.get(floor)
        assert not other or not any(target.startswith(other) for target in imports(path)), name


def test_public_names_are_sorted_documented_and_there():
    assert nmfaudio.__all__ == sorted(nmfaudio.__all__)
    for name in nmfaudio.__all__:
        assert ">>>" in (getattr(nmfaudio, name).__doc__ or ""), f"{name} lacks a docstring with an example"


def test_libraries_do_not_print():
    for name, path in modules():
        if not name.startswith("cli"):
            calls = [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call)]
            assert not any(isinstance(c.func, ast.Name) and c.func.id in ("print", "exit") for c in calls), (
                name
            )
