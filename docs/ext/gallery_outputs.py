"""What the examples leave on the pages of the gallery: the pictures that they write, and their sounds."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from listening import ROOT, player
from matplotlib.figure import Figure
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx_gallery.scrapers import figure_rst

WRITTEN = ROOT / "build" / "gallery_files"
SOUNDS = ROOT / "build" / "site_extra" / "gallery" / "sounds"
LOOP = "audio_samples/night_bus.flac"
MOST_WAVEFORMS = 4
# Arguments of each example, so that it writes into a folder of its own; the others have none.
ARGUMENTS = {
    "birds_over_wind.py": ("bird.png", "bird"),
    "digits.py": ("digits.png",),
    "drum_loop.py": ("drum_loop.png", "drums"),
    "learn_and_reuse.py": ("instruments.safetensors", "instruments.png"),
    "listen_to_components.py": (str(ROOT / LOOP), "components"),
    "rank_and_stability.py": ("rank.png",),
    "regroup.py": (str(ROOT / LOOP), "stems"),
    "separate_in_python.py": (str(ROOT / "audio_samples/drum_loop.flac"), "stems"),
    "stereo_places.py": ("places",),
}


def arguments(gallery_conf: dict[str, Any], script_vars: dict[str, Any]) -> list[str]:
    """Return the arguments of an example: paths in a folder of its own, which is empty at first."""
    script = Path(script_vars["src_file"])
    script_vars["example_globals"]["__file__"] = str(script)  # as where the example runs alone
    folder = WRITTEN / script.stem
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    words = ARGUMENTS.get(script.name, ())
    return [word if word.startswith(str(ROOT)) else str(folder / word) for word in words]


def written_files(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Return what an example wrote, pictures and sounds, as reStructuredText."""
    folder = WRITTEN / Path(block_vars["src_file"]).stem
    pictures = []
    for picture in sorted(folder.rglob("*.png")):
        target = Path(next(block_vars["image_path_iterator"]))
        shutil.move(picture, target)
        pictures.append(str(target))
    written = [path for path in sorted(folder.rglob("*.*")) if path.suffix in {".wav", ".flac"}]
    if written and not pictures:
        pictures.append(draw_waveforms(written, Path(next(block_vars["image_path_iterator"]))))
    sounds = [stored(path, folder.name) for path in written]
    return str(figure_rst(pictures, gallery_conf["src_dir"])) + players(sounds)


def draw_waveforms(sounds: list[Path], target: Path) -> str:
    """Draw the waveforms of the first few sounds, for examples that draw no picture, and return the path."""
    shown = sounds[:MOST_WAVEFORMS]
    figure = Figure(figsize=(6.4, 1.2 * len(shown) + 0.4), layout="constrained")
    for axes, sound in zip(figure.subplots(len(shown), squeeze=False).flat, shown, strict=True):
        samples, rate = soundfile.read(sound, always_2d=True)
        axes.plot(np.arange(len(samples)) / rate, samples.mean(axis=1), linewidth=0.5)
        axes.set(title=sound.stem, yticks=[], ylim=(-1, 1), xlim=(0, len(samples) / rate))
        axes.label_outer()
    axes.set(xlabel="time (s)")
    figure.savefig(target, dpi=100)
    return str(target)


def stored(sound: Path, example: str) -> Path:
    """Store a sound as Ogg among the files of the site and return its place."""
    target = SOUNDS / example / f"{sound.stem.replace(' ', '-')}.ogg"
    target.parent.mkdir(parents=True, exist_ok=True)
    samples, rate = soundfile.read(sound)
    soundfile.write(target, samples, rate, format="OGG", subtype="VORBIS")
    sound.unlink()
    return target


def players(sounds: list[Path]) -> str:
    """Return players in reStructuredText."""
    if not sounds:
        return ""
    rows = [f"   {player(f'sounds/{sound.parent.name}/{sound.name}', sound.stem)}" for sound in sounds]
    return "\n".join(["", ".. raw:: html", "", '   <div class="players">', *rows, "   </div>", ""])


def forget_pages_without_sounds(app: Sphinx, config: Config) -> None:
    """Let the examples run again where their pages are left but their sounds are gone."""
    if not SOUNDS.exists():
        shutil.rmtree(Path(app.srcdir) / "gallery", ignore_errors=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Look at what earlier builds left, before the gallery does."""
    app.connect("config-inited", forget_pages_without_sounds, priority=1)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
