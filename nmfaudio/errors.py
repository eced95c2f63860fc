"""Every error that nmfaudio raises on purpose.

NmfaudioError
├── InputError              what was given cannot be used
│   ├── AudioFileError      a file that cannot be read as audio
│   ├── DictionaryError     a dictionary that is malformed, or does not fit what it is used for
│   ├── MatrixError         a matrix that cannot be factored
│   └── OptionError         an option with an unknown name or a value outside its range
├── OutputError             stems that cannot be written
└── SeparatorError          a separator that is unknown, broken, or breaks its contract

Each message names the thing, the value that was wrong, and the way out.
"""


class NmfaudioError(Exception):
    """Base of every error that nmfaudio raises on purpose.

    Examples
    --------
    >>> import nmfaudio
    >>> try:
    ...     nmfaudio.read("no such file.wav")
    ... except nmfaudio.NmfaudioError as error:
    ...     print(error)
    no such file.wav: cannot be opened (No such file or directory)
    """


class InputError(NmfaudioError, ValueError):
    """What was given cannot be used."""


class AudioFileError(InputError):
    """A file cannot be read as audio, or holds nothing that can be separated."""


class DictionaryError(InputError):
    """A dictionary is malformed, or does not fit what it is used for."""


class MatrixError(InputError):
    """A matrix cannot be factored: wrong shape, negative or not finite."""


class OptionError(InputError):
    """An option has an unknown name, or a value outside its range.

    Attributes
    ----------
    option : str
        Name of the option; empty where the message concerns several options.
    """

    def __init__(self, message: str, *, option: str = "") -> None:
        super().__init__(message)
        self.option = option


class OutputError(NmfaudioError):
    """Stems cannot be written where they were asked to go."""


class SeparatorError(NmfaudioError):
    """A separator is unknown, cannot be loaded, or breaks its contract."""
