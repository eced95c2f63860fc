"""`nmfaudio live`: separate what a sound card or a JACK server gives, while it sounds."""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmfaudio.cli.console import FAILED, WRONG_USAGE, stop

if TYPE_CHECKING:
    from nmfaudio import Dictionary
    from nmfaudio.live.exported import PluginSettings
    from nmfaudio.live.mixer import Mixer

_REFRESH_SECONDS = 0.1
_LOWEST_DECIBELS, _CELLS = -60.0, 10  # of a meter


def live(
    dictionary: Annotated[Path | None, typer.Option(help="A dictionary with two sources or more.")] = None,
    jack: Annotated[bool, typer.Option("--jack", help="Use a JACK server, not a sound card.")] = False,
    device: Annotated[str | None, typer.Option(help="Number or name of the sound device.")] = None,
    list_devices: Annotated[
        bool, typer.Option("--list-devices", help="List sound devices and exit.")
    ] = False,
    latency: Annotated[str, typer.Option(help="low (12 ms) or normal (46 ms, separates better).")] = "normal",
    gain: Annotated[list[str] | None, typer.Option(help="Gain in dB: snare=-6; repeatable.")] = None,
    mute: Annotated[
        list[str] | None, typer.Option(help="Source that is silent at first; repeatable.")
    ] = None,
    channels: Annotated[int, typer.Option(help="1 or 2.", min=1, max=2)] = 2,
    sample_rate: Annotated[float | None, typer.Option(help="In Hz; default: the device's.")] = None,
    block: Annotated[int, typer.Option(help="Samples that the sound card gives at a time.", min=16)] = 256,
    seconds: Annotated[float | None, typer.Option(help="Stop after so long; default: at Ctrl-C.")] = None,
) -> None:
    """Separate live sound; the keys 1 to 9 mute a source, b bypasses, q ends."""
    from nmfaudio import Dictionary, NmfaudioError
    from nmfaudio.errors import OptionError
    from nmfaudio.live.exported import PluginSettings
    from nmfaudio.live.streams import device_lines, jack_client, sound_card

    try:
        if list_devices:
            typer.echo("\n".join(device_lines()))
            return
        if dictionary is None:
            stop("name a dictionary: --dictionary FILE", WRONG_USAGE)
        settings, gains = PluginSettings("live", latency), _gains(gain or [])
        make = _Maker(Dictionary.load(dictionary), settings, channels, gains, tuple(mute or ()))
        opened: AbstractContextManager[Mixer] = (
            jack_client(make, channels) if jack else sound_card(make, device, sample_rate, block, channels)
        )
        with opened as mixer:
            _watch(mixer, seconds)
    except OptionError as error:
        stop(str(error), WRONG_USAGE)
    except NmfaudioError as error:
        stop(str(error), FAILED)


class _Maker:
    """Makes the mixer once the sample rate is known."""

    def __init__(
        self,
        dictionary: Dictionary,
        settings: PluginSettings,
        channels: int,
        gains: dict[str, float],
        muted: tuple[str, ...],
    ) -> None:
        self._known, self._settings = dictionary, settings
        self._channels, self._gains, self._muted = channels, gains, muted

    def __call__(self, sample_rate: float) -> Mixer:
        from nmfaudio.live.mixer import Mixer

        return Mixer(self._known, self._settings, sample_rate, self._channels, self._gains, self._muted)


def _gains(texts: list[str]) -> dict[str, float]:
    from nmfaudio.errors import OptionError

    gains = {}
    for text in texts:
        source, equals, value = text.rpartition("=")
        try:
            gains[source] = float(value)
        except ValueError:
            equals = ""
        if not equals or not -200 < gains[source] <= 40:
            raise OptionError(f"--gain {text!r} must be of the form source=dB, such as snare=-6")
    return gains


def _watch(mixer: Mixer, seconds: float | None) -> None:
    """Show meters and take keys until the end."""
    milliseconds = 1000 * mixer.latency / mixer.sample_rate
    typer.echo(f"{mixer.sample_rate:g} Hz, latency {mixer.latency} samples ({milliseconds:.0f} ms)")
    end, bypassed = time.monotonic() + (seconds if seconds is not None else float("inf")), False
    with _keys() as key:
        while time.monotonic() < end:
            pressed = key(_REFRESH_SECONDS)
            if pressed == "q":
                break
            if pressed == "b":
                mixer.bypass(bypassed := not bypassed)
            elif pressed.isdigit():
                mixer.toggle(int(pressed))
            if sys.stdout.isatty():
                print("\r" + meters(mixer, bypassed), end="\x1b[K", flush=True)
    typer.echo(f"{mixer.blocks} blocks, {mixer.xruns} came too late")


def meters(mixer: Mixer, bypassed: bool = False) -> str:
    """Return a line with the level of each source."""
    parts = []
    for number, (source, level) in enumerate(mixer.levels().items(), 1):
        cells = round(_CELLS * max(0.0, 1 - level / _LOWEST_DECIBELS))
        bar = "muted".ljust(_CELLS) if mixer.is_muted(source) else ("=" * min(cells, _CELLS)).ljust(_CELLS)
        parts.append(f"{number} {source} [{bar}]")
    return "  ".join(parts) + f"  late: {mixer.xruns}" + ("  bypassed" if bypassed else "")


@contextmanager
def _keys() -> Iterator[_Key]:
    """Give a function that waits for a key and returns it; where there is no terminal it only waits."""
    if sys.platform == "win32" or not sys.stdin.isatty():
        yield _Key(False)
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield _Key(True)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


class _Key:
    def __init__(self, is_terminal: bool) -> None:
        self._is_terminal = is_terminal

    def __call__(self, seconds: float) -> str:
        if not self._is_terminal:
            time.sleep(seconds)
            return ""
        ready = select.select([sys.stdin], [], [], seconds)[0]
        return sys.stdin.read(1) if ready else ""
