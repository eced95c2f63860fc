"""What an LV2 bundle says of its plugins, in Turtle."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nmfaudio.live.exported import PluginSettings

_PREFIXES = """\
@prefix atom: <http://lv2plug.in/ns/ext/atom#> .
@prefix doap: <http://usefulinc.com/ns/doap#> .
@prefix foaf: <http://xmlns.com/foaf/0.1/> .
@prefix lv2: <http://lv2plug.in/ns/lv2core#> .
@prefix log: <http://lv2plug.in/ns/ext/log#> .
@prefix pprops: <http://lv2plug.in/ns/ext/port-props#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix state: <http://lv2plug.in/ns/ext/state#> .
@prefix units: <http://lv2plug.in/ns/extensions/units#> .
@prefix urid: <http://lv2plug.in/ns/ext/urid#> .
"""
LAYOUTS = {"mono": ("",), "stereo": (" L", " R")}


def symbols(sources: Sequence[str]) -> list[str]:
    """Return a name for each source that can be part of an LV2 symbol, all different.

    Examples
    --------
    >>> symbols(["snare", "Hi Hat", "hi-hat", "7th"])
    ['snare', 'hi_hat', 'hi_hat_2', '_7th']
    """
    symbols: list[str] = []
    for source in sources:
        plain = re.sub(r"[^a-z0-9]", "_", source.lower())
        plain = plain if re.match(r"[a-z_]", plain) else f"_{plain}"
        number, symbol = 1, plain
        while symbol in symbols:
            number += 1
            symbol = f"{plain}_{number}"
        symbols.append(symbol)
    return symbols


def manifest(slug: str, binary: str) -> str:
    """Return the bundle's `manifest.ttl`."""
    lines = [
        f"<{uri(slug, layout)}> a lv2:Plugin ; lv2:binary <{binary}> ; rdfs:seeAlso <{slug}.ttl> .\n"
        for layout in LAYOUTS
    ]
    return _PREFIXES + "\n" + "".join(lines)


def uri(slug: str, layout: str) -> str:
    """Return the URI of a plugin; `source/lv2.c` makes the same."""
    return f"urn:nmfaudio:{slug}:{layout}"


def plugins(slug: str, settings: PluginSettings, sources: Sequence[str]) -> str:
    """Return the file that describes the mono and the stereo plugin."""
    return _PREFIXES + "".join(_plugin(slug, layout, settings, sources) for layout in LAYOUTS)


def _plugin(slug: str, layout: str, settings: PluginSettings, sources: Sequence[str]) -> str:
    ports = [port.text(index) for index, port in enumerate(_ports(layout, settings, sources))]
    return f"""
<{uri(slug, layout)}>
    a lv2:Plugin, lv2:FilterPlugin ;
    doap:name {_quoted(f"{settings.name} ({layout})")} ;
    doap:license <http://opensource.org/licenses/MIT> ;
    lv2:project [
        a doap:Project ; doap:name "nmfaudio" ; doap:maintainer [ a foaf:Person ; foaf:name "nmfaudio" ]
    ] ;
    rdfs:comment {_quoted("Gains of " + ", ".join(sources) + ", separated by what was learned of them.")} ;
    lv2:minorVersion 0 ;
    lv2:microVersion 1 ;
    lv2:optionalFeature lv2:hardRTCapable, log:log, urid:map ;
    lv2:extensionData state:interface ;
    lv2:port {" , ".join(ports)} .
"""


@dataclass(frozen=True)
class _Port:
    """One port; the least, the initial and the highest value make it a control port."""

    symbol: str
    name: str
    kinds: str
    values: tuple[float, float, float] | None = None
    more: str = ""

    def text(self, index: int) -> str:
        facts = [
            f"a {self.kinds}",
            f"lv2:index {index}",
            f'lv2:symbol "{self.symbol}"',
            f"lv2:name {_quoted(self.name)}",
        ]
        if self.values:
            least, normal, most = self.values
            facts.append(f"lv2:minimum {least:.4f} ; lv2:default {normal:.4f} ; lv2:maximum {most:.4f}")
        if self.more:
            facts.append(self.more)
        return "[ " + " ; ".join(facts) + " ]"


_IN, _OUT = "lv2:InputPort, lv2:ControlPort", "lv2:OutputPort, lv2:ControlPort"
_TOGGLED = "lv2:portProperty lv2:toggled"


def _ports(layout: str, settings: PluginSettings, sources: Sequence[str]) -> Iterator[_Port]:
    """Give the ports in the order of `source/lv2.c`."""
    for side, kind in (("In", "lv2:InputPort"), ("Out", "lv2:OutputPort")):
        for name in LAYOUTS[layout]:
            symbol = f"{side}{name}".lower().replace(" ", "_")
            yield _Port(symbol, f"{side}{name}", f"{kind}, lv2:AudioPort")
    yield _Port("enabled", "Enabled", _IN, (0, 1, 1), f"{_TOGGLED} ; lv2:designation lv2:enabled")
    iterations = (1, settings.iterations, 100)
    yield _Port("iterations", "Iterations", _IN, iterations, "lv2:portProperty lv2:integer, pprops:expensive")
    yield _Port("sharpness", "Sharpness", _IN, (0.5, settings.sharpness, 4))
    latency = "lv2:portProperty lv2:reportsLatency, lv2:integer ; lv2:designation lv2:latency"
    yield _Port("latency", "Latency", _OUT, (0, 0, 65536), f"{latency} ; units:unit units:frame")
    yield _Port("no_dictionary", "No dictionary", _OUT, (0, 0, 1), _TOGGLED)
    for source, symbol in zip(sources, symbols(sources), strict=True):
        yield _Port(f"{symbol}_gain", source, _IN, (-60, 0, 12), "units:unit units:db")
        yield _Port(f"{symbol}_mute", f"{source} mute", _IN, (0, 0, 1), _TOGGLED)
        yield _Port(f"{symbol}_solo", f"{source} solo", _IN, (0, 0, 1), _TOGGLED)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
