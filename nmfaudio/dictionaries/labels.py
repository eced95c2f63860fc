"""Labels: names of sources, which become names of files."""

from __future__ import annotations

from nmfaudio.errors import DictionaryError

RESIDUAL = "residual"  # stem of the sound that no template explains; no source may have this label
LONGEST_LABEL = 100  # bytes


def check_label(label: str) -> str:
    """Return a label, or raise an error that says why it cannot be the name of a source.

    Raises
    ------
    DictionaryError
        When the label cannot be part of a file name on every operating system, or has another meaning here.

    Examples
    --------
    >>> check_label("double bass")
    'double bass'
    """
    usable = isinstance(label, str) and label and label.strip(" .") == label and label.isprintable()
    if not usable or set(label) & set('/\\:*?"<>|') or len(label.encode("utf-8", "replace")) > LONGEST_LABEL:
        raise DictionaryError(
            f"label {str(label)[:40]!r} cannot be part of a file name: use letters, digits, spaces, - and _"
        )
    if label.lower() in (RESIDUAL, "manifest"):
        raise DictionaryError(f"label {label!r} has a meaning of its own in nmfaudio: use another label")
    return label
