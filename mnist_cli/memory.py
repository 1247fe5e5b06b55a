"""What the allocator does with memory that is freed."""

import ctypes
import sys

# malloc.h of glibc
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def keep_freed() -> None:
    """Have glibc keep what this process frees, for its next allocation; elsewhere do nothing.

    As it is, it may give large activations back to the system in each step and fetch them anew in
    the next, page by page: thousands of page faults in a step of StrongCNN, as the heap happens
    to lie.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
