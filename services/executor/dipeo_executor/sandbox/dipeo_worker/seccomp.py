"""A seccomp filter over the sockets a process may open, for it and all that it starts. (seccomp(2))

Landlock knows TCP only. Here every other family falls too, Unix sockets always: the local store and agents of the
user's desktop listen on them. A socketpair stays possible, but for datagrams, which could be sent to any path.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct

from .syscalls import PR_SET_SECCOMP, prctl

MODE_FILTER = 2
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
LOAD, JUMP_IF_EQUAL, JUMP_IF_AT_LEAST, AND, RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT, SECOND_ARGUMENT = 0, 4, 16, 24  # in struct seccomp_data, low words
X32 = 0x40000000  # another way to call the same numbers
IO_URING_SETUP = 425  # could open sockets past this filter

# machine: architecture, socket, socketpair, and the kernel's keyrings: add_key, request_key, keyctl
MACHINES = {
    "x86_64": (0xC000003E, 41, 53, (248, 249, 250)),
    "aarch64": (0xC00000B7, 198, 199, (217, 218, 219)),
}
NETWORK = (socket.AF_INET, socket.AF_INET6, getattr(socket, "AF_NETLINK", 16))


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


def known() -> bool:
    return os.uname().machine in MACHINES


def restrict(*, network: bool) -> bool:
    """Whether the filter stands. Needs no_new_privs."""
    machine = MACHINES.get(os.uname().machine)
    if machine is None:
        return False
    architecture, open_socket, open_pair, keyrings = machine
    missing, refused = _answer(ERRNO | errno.ENOSYS), _answer(ERRNO | errno.EACCES)
    code = [
        _step(LOAD, ARCHITECTURE),
        _step(JUMP_IF_EQUAL, architecture, 1, 0), missing,
        _step(LOAD, NUMBER),
        _step(JUMP_IF_AT_LEAST, X32, 0, 1), missing,
    ]  # fmt: skip
    for number in (IO_URING_SETUP, *keyrings):
        code += [_step(JUMP_IF_EQUAL, number, 0, 1), missing]
    code += [
        _step(JUMP_IF_EQUAL, open_pair, 0, 5),
        _step(LOAD, SECOND_ARGUMENT),
        _step(AND, 0xF),
        _step(JUMP_IF_EQUAL, socket.SOCK_DGRAM, 0, 1), refused, _answer(ALLOW),
        _step(JUMP_IF_EQUAL, open_socket, 1, 0), _answer(ALLOW),
        _step(LOAD, FIRST_ARGUMENT),
    ]  # fmt: skip
    for family in NETWORK if network else ():
        code += [_step(JUMP_IF_EQUAL, family, 0, 1), _answer(ALLOW)]
    code.append(refused)
    program = Program(len(code), b"".join(code))
    return prctl(PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(program))


def _step(operation: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", operation, if_true, if_false, value)


def _answer(value: int) -> bytes:
    return _step(RETURN, value)
