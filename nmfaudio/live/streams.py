"""Where live sound comes from and goes to: a sound card through `sounddevice`, or a JACK server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np

from nmfaudio.errors import OptionError, OutputError
from nmfaudio.live.mixer import Mixer

MakeMixer = Callable[[float], Mixer]  # takes the sample rate, which the device may decide


def _needed(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        hint = "run `pip install 'nmfaudio[live]'`"
    except OSError as error:
        hint = f"install the system's library that it needs ({error})"
    raise OutputError(f"live sound needs the package {package}: {hint}")


def device_lines() -> list[str]:
    """Return a line for each sound device.

    Raises
    ------
    OutputError
        Where `sounddevice` is not installed.
    """
    sounddevice = _needed("sounddevice", "sounddevice")
    lines = []
    for number, device in enumerate(sounddevice.query_devices()):
        places = f"{device['max_input_channels']} in, {device['max_output_channels']} out"
        lines.append(f"{number}: {device['name']} ({places}, {device['default_samplerate']:g} Hz)")
    return lines or ["no sound device was found"]


@contextmanager
def sound_card(
    make: MakeMixer, device: str | None, rate: float | None, block: int, channels: int
) -> Iterator[Mixer]:
    """Run a mixer on a sound card while the context lasts.

    Raises
    ------
    OutputError
        For a device that cannot be opened.
    """
    sounddevice = _needed("sounddevice", "sounddevice")
    chosen: int | str | None = int(device) if device is not None and device.isdigit() else device
    try:
        rate = rate or float(sounddevice.query_devices(chosen, "output")["default_samplerate"])
        mixer = make(rate)

        def callback(incoming: Any, outgoing: Any, _frames: int, _time: Any, status: Any) -> None:
            mixer.xruns += bool(status)
            outgoing[:] = mixer.process(np.ascontiguousarray(incoming.T)).T

        stream = sounddevice.Stream(
            samplerate=rate,
            blocksize=block,
            device=chosen,
            channels=channels,
            dtype="float32",
            callback=callback,
        )
        with stream:
            yield mixer
    except (sounddevice.PortAudioError, ValueError) as error:
        if isinstance(error, OptionError):
            raise
        raise OutputError(
            f"the sound device cannot be used ({error}): see `nmfaudio live --list-devices`"
        ) from None


@contextmanager
def jack_client(make: MakeMixer, channels: int) -> Iterator[Mixer]:
    """Run a mixer as a client of a JACK server while the context lasts; its ports are not connected.

    Raises
    ------
    OutputError
        Where no server runs.
    """
    jack = _needed("jack", "JACK-Client")
    try:
        client = jack.Client("nmfaudio", no_start_server=True)
    except jack.JackError as error:
        raise OutputError(
            f"no JACK server can be reached ({error}): start one, or leave --jack out"
        ) from None
    mixer = make(client.samplerate)
    names = ("",) if channels == 1 else ("_l", "_r")
    inputs = [client.inports.register(f"in{name}") for name in names]
    outputs = [client.outports.register(f"out{name}") for name in names]

    def process(_frames: int) -> None:
        processed = mixer.process(np.stack([port.get_array() for port in inputs]))
        for port, row in zip(outputs, processed, strict=True):
            port.get_array()[:] = row

    def xrun(_delay: float) -> None:
        mixer.xruns += 1

    client.set_process_callback(process)
    client.set_xrun_callback(xrun)
    with client:
        yield mixer
