"""The exact lines that use an exported plugin in hosts without a graphical interface."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from nmfaudio.live.turtle import symbols, uri


def lines(format: str, folder: Path, slug: str, sources: Sequence[str]) -> list[str]:
    """Return commands that remove the first source from a stereo file, or say which hosts take the plugin.

    Examples
    --------
    >>> lines("ladspa", Path("plugins"), "duo", ["snare", "rest"])[1]
    'sox in.wav out.wav ladspa -l ./plugins/duo.so duo_stereo -60 0'
    """
    gains = " ".join(["-60"] + ["0"] * (len(sources) - 1))
    where = f"{folder}"
    if format == "ladspa":
        # Names without a folder in front are looked for among the installed plugins.
        path = f"{folder / slug}.so" if folder.is_absolute() else f"./{folder / slug}.so"
        return [
            f"ffmpeg -i in.wav -af {shlex.quote(f'ladspa=f={path}:p={slug}_stereo:c=c0=-60:l=1')} out.wav",
            f"sox in.wav out.wav ladspa -l {shlex.quote(path)} {slug}_stereo {gains}",
        ]
    if format == "lv2":
        # Hosts crash or find nothing where the path is not absolute.
        place = shlex.quote(where) if folder.is_absolute() else f'"$PWD"/{shlex.quote(where)}'
        name, control = uri(slug, "stereo"), f"{symbols(sources)[0]}_gain"
        filter = f"lv2=p={name.replace(':', chr(92) * 2 + ':')}:c={control}=-60"
        return [
            f"LV2_PATH={place} ffmpeg -i in.wav -af {shlex.quote(filter)} out.wav",
            f"LV2_PATH={place} lv2apply -i in.wav -o out.wav -c {control} -60 {name}",
        ]
    host = {"vst3": "Reaper, Ardour, Bitwig and others", "clap": "Reaper, Bitwig and others"}[format]
    return [f"# {host}: add {where} to the folders searched for {format.upper()} plugins, or use --install"]
