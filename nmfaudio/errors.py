"""The errors of nmfaudio.

NmfaudioError
├── InputError              an input cannot be used
│   ├── AudioFileError      a file that cannot be read as audio
│   ├── DictionaryError     a dictionary that is malformed, or does not fit its use
│   ├── MatrixError         a matrix that cannot be factored
│   └── OptionError         an option with an unknown name or a value outside its range
├── ClusterError            a cluster that cannot be reached or used
├── OutputError             stems that cannot be written
│   └── ExistingFileError   a file that exists already and may not be replaced
└── SeparatorError          a separator that is unknown, broken, or breaks its contract

NmfaudioWarning             a result that may not be what the user wants

Each message names the object, the wrong value, and what to do.
"""


class NmfaudioError(Exception):
    """Base class of all errors of nmfaudio.

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
    """An input cannot be used."""


class AudioFileError(InputError):
    """A file cannot be read as audio, or contains no samples."""


class DictionaryError(InputError):
    """A dictionary is malformed, or does not fit the mixture or the other dictionaries."""


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


class ClusterError(NmfaudioError):
    """A cluster cannot be reached, has no workers that fit, or was lost during a run."""


class OutputError(NmfaudioError):
    """Stems or other files cannot be written to the requested place."""


class ExistingFileError(OutputError):
    """A file exists already and may not be replaced."""


class SeparatorError(NmfaudioError):
    """A separator is unknown, cannot be loaded, or breaks its contract."""


class NmfaudioWarning(UserWarning):
    """A result may not be what the user wants, for example because the recording is silent.

    Examples
    --------
    >>> import warnings
    >>> warnings.filterwarnings("error", category=NmfaudioWarning)  # make them errors, or "ignore" them
    """
