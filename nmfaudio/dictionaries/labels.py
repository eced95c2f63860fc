"""Names of sources, which become names of files."""

from __future__ import annotations

from nmfaudio.errors import DictionaryError

RESIDUAL = "residual"  # what no template explains; so no source may be called so
LONGEST_LABEL = 100  # bytes


def check_label(label: str) -> str:
    """Return a label, or say why it cannot be the name of a source.

    Raises
    ------
    DictionaryError
        When it could not be part of a file's name on every system.

    Examples
    --------
    >>> check_label("double bass")
    'double bass'
    """
    bad = not isinstance(label, str) or not label or label.strip(" .") != label or not label.isprintable()
    if bad or set(label) & set('/\\:*?"<>|') or len(label.encode("utf-8", "replace")) > LONGEST_LABEL:
        raise DictionaryError(
            f"label {str(label)[:40]!r} cannot be part of a file name: use letters, digits, spaces, - and _"
        )
    if label.lower() in (RESIDUAL, "manifest"):
        raise DictionaryError(f"label {label!r} is taken by nmfaudio itself: use another")
    return label
