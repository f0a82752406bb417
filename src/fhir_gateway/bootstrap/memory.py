"""What a leg of a load leaves behind is forgotten and given back to the system, so that the next leg does not come on top."""

import ctypes
from functools import cache

from fhir_gateway.domain.recent import forget_all


def tidy_memory() -> None:
    """Forget what was remembered of rows, and give freed memory back.

    glibc's allocator keeps what was freed below the top of its heap: some 15 MiB after the comparing of 100,000 rows. Its
    malloc_trim() returns that; other C libraries lack it.
    """
    forget_all()
    trim = getattr(_c_library(), "malloc_trim", None)
    if trim:
        trim(0)


@cache
def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL(None)
