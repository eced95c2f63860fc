"""Work that is submitted: to a client of Dask, or to this process, with the same order of sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Client(Protocol):
    """What takes work: a `distributed.Client`, or `ThisProcess`."""

    def submit(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Return a handle of the result, which may be an argument of later work."""


@dataclass(frozen=True)
class _Done:
    value: Any

    def result(self) -> Any:
        return self.value


class ThisProcess:
    """Does work at once, in the calling thread.

    Examples
    --------
    >>> client = ThisProcess()
    >>> client.submit(sum, client.submit(list, (1, 2))).result()
    3
    """

    def submit(self, function: Callable[..., Any], *arguments: Any, **_: Any) -> _Done:
        """Call a function; its arguments may be results of earlier calls."""
        values = (one.value if isinstance(one, _Done) else one for one in arguments)
        return _Done(function(*values))


def total(client: Client, parts: Sequence[Any], add: Callable[[Any, Any], Any]) -> Any:
    """Add parts in pairs, pairs of pairs, and so on: the same tree for any number of workers.

    Examples
    --------
    >>> client = ThisProcess()
    >>> total(client, [client.submit(str, n) for n in range(3)], lambda x, y: f"({x}{y})").result()
    '((01)2)'
    """
    level = list(parts)
    while len(level) > 1:
        pairs = [client.submit(add, *level[n : n + 2], pure=False) for n in range(0, len(level) - 1, 2)]
        level = pairs + level[2 * len(pairs) :]
    return level[0]
