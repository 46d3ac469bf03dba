"""Why an address could not be had, as one OSError with its number."""

from __future__ import annotations

import os


def cannot_listen(transport: str, host: str, port: int, wrong: OSError) -> OSError:
    """`wrong` with the address in its words. uvloop keeps the number of a UDP socket's refusal in the context only."""
    inner = wrong.__context__
    errno = wrong.errno or (inner.errno if isinstance(inner, OSError) else None) or 0
    why = os.strerror(errno).lower() if errno else str(wrong)
    return OSError(errno, f"cannot listen on {transport} {host}:{port}: {why}")
