"""Texts such as `snare=1.20-1.32`, in which users say something about a source."""

from __future__ import annotations

from nmfaudio.dictionaries.labels import RESIDUAL, check_label
from nmfaudio.errors import DictionaryError, OptionError


def source_and_rest(kind: str, text: str, form: str) -> tuple[str, str]:
    """Return the source of a text, and what the text says about it.

    Parameters
    ----------
    kind : str
        Name of the option, for messages.
    text : str
        The text.
    form : str
        Example of the right form, for messages.

    Raises
    ------
    OptionError
        When one of the two parts is missing, or when the source cannot be the name of a stem.

    Examples
    --------
    >>> source_and_rest("solo", "drums = 0:05-0:12", "source=0:05-0:12")
    ('drums', '0:05-0:12')
    """
    source, equals, rest = text.rpartition("=")
    if not equals or not source.strip() or not rest.strip():
        raise OptionError(f"{kind} {text!r}: write it in the form {form}", option=kind)
    source = source.strip()
    if source != RESIDUAL:
        try:
            check_label(source)
        except DictionaryError as error:
            raise OptionError(f"{kind} {text!r}: {error}", option=kind) from None
    return source, rest.strip()
