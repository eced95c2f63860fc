"""The page itself: one HTML file that needs no other file and asks no host for anything.

Data are in the page as JSON, which the script shows as text only. The content security policy allows the
page's own script and style, by their hashes, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import string
from importlib.resources import files
from typing import Any

from nmfaudio.report.document import Document
from nmfaudio.report.sounds import Sound

# In this order; later scripts use earlier ones.
SCRIPTS = (
    "values.js",
    "elements.js",
    "grouping.js",
    "sounds.js",
    "player.js",
    "waves.js",
    "drawing.js",
    "regions.js",
    "stems.js",
    "page.js",
)


def html_page(document: Document) -> str:
    """Return a report as HTML.

    Parameters
    ----------
    document : Document

    Returns
    -------
    str
        A whole HTML document, in characters of ASCII.
    """
    style = _resource("style.css")
    script = '"use strict";\n(() => {\n' + "\n".join(_resource(name) for name in SCRIPTS) + "\n})();\n"
    page = string.Template(_resource("page.html")).substitute(
        policy=_policy(style, script),
        title=_ascii(html.escape(document.content["title"])),
        style=style,
        script=script,
        data=json_for_html(document.content),
        sounds="\n".join(_element(key, sound) for key, sound in document.sounds.items()),
    )
    if not page.isascii():
        raise AssertionError(
            "the page's own files must be ASCII, since the policy names hashes of their bytes"
        )
    return page


def json_for_html(value: Any) -> str:
    r"""Return JSON that cannot end the script element around it.

    Examples
    --------
    >>> json_for_html("</script>")
    '"\\u003c/script\\u003e"'
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _policy(style: str, script: str) -> str:
    allowed = {
        "default-src": "'none'",
        "script-src": _hash(script),
        "style-src": _hash(style),
        "img-src": "data: blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in allowed.items())


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('ascii')).digest()).decode('ascii')}'"


def _element(key: str, sound: Sound) -> str:
    content = base64.b64encode(sound.content).decode("ascii")
    return f'<script type="text/plain" id="{key}">{content}</script>'


def _ascii(text: str) -> str:
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _resource(name: str) -> str:
    return (files("nmfaudio.report") / "resources" / name).read_text("utf-8")
