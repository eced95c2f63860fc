"""Text of unknown encoding: names of tracks in MIDI files, and tables of notes."""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Sequence

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HALF_WIDTH_KATAKANA = range(0xFF66, 0xFFA0)
_FULL_WIDTH_KANA = range(0x3041, 0x30FB)
_IDEOGRAPHS = range(0x4E00, 0x9FFF)
# First bytes of the common Japanese characters in Shift-JIS. In Latin-1 they are control characters.
_SHIFT_JIS_LEADS = range(0x81, 0xA0)


def likely_encoding(texts: Sequence[bytes]) -> str:
    """Return the encoding in which all texts of a file are most likely written.

    A byte order mark decides; then UTF-8, if the texts are valid UTF-8; then Shift-JIS, if the texts hold
    Japanese characters; then Latin-1 with the additions of Windows.

    Examples
    --------
    >>> likely_encoding([b"Piano"]), likely_encoding(["Flöte".encode("latin-1")])
    ('utf-8', 'cp1252')
    >>> likely_encoding(["ピアノ".encode("shift_jis")])
    'cp932'
    """
    data = b"\n".join(texts)
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return encoding
    if b"\0" in data:
        return "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    if _decodes(data, "utf-8"):
        return "utf-8"
    if any(_is_shift_jis(text) for text in texts):
        return "cp932"
    return "cp1252" if _decodes(data, "cp1252") else "latin-1"


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _is_shift_jis(data: bytes) -> bool:
    """Return whether bytes are Japanese text in Shift-JIS rather than text in Latin-1.

    Bytes of Latin-1 can be valid Shift-JIS by chance. Kana are a sure sign. Ideographs count when their first
    byte is not a letter of Latin-1 and most letters are ideographs. Half-width katakana count when there are
    no Latin letters beside them.
    """
    if not _decodes(data, "cp932"):
        return False
    codes = [ord(character) for character in data.decode("cp932")]
    kana, ideographs, half_width = (
        sum(code in block for code in codes)
        for block in (_FULL_WIDTH_KANA, _IDEOGRAPHS, _HALF_WIDTH_KATAKANA)
    )
    latin = sum(chr(code).isalpha() for code in codes if code < 0x80)
    led = any(byte in _SHIFT_JIS_LEADS for byte in data)
    return (kana > 0 and led) or (led and ideographs > latin) or (half_width > 1 and not latin)


def file_name_part(name: str, longest: int) -> str:
    """Return a name that can be part of a file name, of at most `longest` bytes in UTF-8; it may be empty.

    Examples
    --------
    >>> file_name_part(" left/right? ", 100), file_name_part("é" * 80, 9)
    ('left_right_', 'éééé')
    """
    name = unicodedata.normalize("NFC", name.strip())
    clean = "".join("_" if c in '/\\:*?"<>|' or not c.isprintable() else c for c in name)
    short = clean.encode("utf-8", "replace")[:longest].decode("utf-8", "ignore")
    return short.lstrip(".").rstrip(" .")


def distinct(names: Sequence[str]) -> list[str]:
    """Return names that differ from each other, also where upper and lower case are the same.

    Examples
    --------
    >>> distinct(["Piano", "Bass", "piano", "Piano 2"])
    ['Piano', 'Bass', 'piano 3', 'Piano 2']
    """
    original = {name.casefold() for name in names}
    used: set[str] = set()
    result = []
    for name in names:
        candidate, number = name, 2
        while candidate.casefold() in used or (candidate != name and candidate.casefold() in original):
            candidate, number = f"{name} {number}", number + 1
        used.add(candidate.casefold())
        result.append(candidate)
    return result
