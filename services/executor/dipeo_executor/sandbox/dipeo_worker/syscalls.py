"""The system calls that Python does not offer. None raises where the kernel lacks it."""

from __future__ import annotations

import ctypes
import sys

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 4, 22, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 36, 38, 47

libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int, pointer: object = None) -> bool:
    if sys.platform != "linux":
        return False
    words = (ctypes.c_ulong(value), pointer or ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))
    return bool(libc.prctl(option, *words) >= 0)


def syscall(number: int, *arguments: object) -> int:
    """-1 on error, and errno tells which."""
    if sys.platform != "linux":
        return -1
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    return int(libc.syscall(ctypes.c_long(number), *words))
