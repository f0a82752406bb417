"""What a load no longer needs is forgotten and given back to the system, so that the next leg does not come on top."""

import ctypes
from functools import cache

from fhir_gateway.domain.recent import forget_all

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""glibc's numbers for what mallopt() sets (malloc.h)."""
_LARGE_BLOCK = 256 << 10
_MOST_FREE_AT_THE_TOP = 512 << 10


def keep_large_blocks_apart() -> None:
    """Have large blocks (bundles, tables, what SQLite sorts) given back to the system as soon as they are freed.

    glibc's allocator does so at first, but the largest one that was freed becomes its measure: after one of 4 MiB all
    smaller ones leave holes in the heap, and 8 MiB stay free at its top.
    """
    set_option = getattr(_c_library(), "mallopt", None)
    if set_option:
        set_option(_MMAP_THRESHOLD, _LARGE_BLOCK)
        set_option(_TRIM_THRESHOLD, _MOST_FREE_AT_THE_TOP)


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
