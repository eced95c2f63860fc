"""A look at the limits that a shell has set, before libraries that hang or crash below them are loaded."""

from __future__ import annotations

# Bytes of address space below which numerical libraries cannot be loaded; with some room for the work itself.
LEAST_ADDRESS_SPACE = 1 << 30


def complaint() -> str | None:
    """Return what to say of a limit that is too low, or None."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY or limit >= LEAST_ADDRESS_SPACE:
        return None
    return (
        f"the limit on memory (ulimit -v) is {limit / 1e6:.0f} MB, and the numerical libraries alone need "
        f"{LEAST_ADDRESS_SPACE / 1e6:.0f} MB of address space: raise it"
    )
