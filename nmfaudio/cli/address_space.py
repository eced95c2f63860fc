"""The limit of a shell on address space, checked before libraries are loaded that hang or crash below it."""

from __future__ import annotations

# Bytes of address space below which the numerical libraries cannot be loaded, with some reserve for the work.
LEAST_ADDRESS_SPACE = 1 << 30


def limit_error() -> str | None:
    """Return a message about a limit that is too low; None where it suffices."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY or limit >= LEAST_ADDRESS_SPACE:
        return None
    return (
        f"the limit on memory (ulimit -v) is {limit / 1e6:.0f} MB, but the numerical libraries alone need "
        f"{LEAST_ADDRESS_SPACE / 1e6:.0f} MB of address space: raise the limit"
    )
