"""What the fork server gives up or takes on before it runs anybody's code: mounts, users, capabilities.

All of it is extra where the kernel permits it; `walls.py` says what stands.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable, Iterable
from pathlib import Path

from .syscalls import PR_CAP_AMBIENT, PR_CAPBSET_DROP, libc, prctl

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_SLAVE = 1, 2, 4, 8, 0x4000, 0x80000
CAPABILITY_VERSION, AMBIENT_CLEAR_ALL = 0x20080522, 4
# root without these could not change a project that belongs to others
KEPT_BY_ROOT = 1 << 0 | 1 << 1 | 1 << 3  # CHOWN, DAC_OVERRIDE, FOWNER
SHARED_MEMORY = "/dev/shm"


def own_mounts(folder: str) -> bool:
    """Move into a mount namespace of our own; false where that is not permitted. `folder` serves for a try."""
    # a user namespace may be granted without power in it (AppArmor), and there is no way back: try on a child
    return in_child(lambda: _enter() and mount_empty(folder)) and _enter()


def _enter() -> bool:
    user, group = os.geteuid(), os.getegid()
    if user == 0:  # not through a user namespace: in it, root has no power over the files of others
        if libc.unshare(CLONE_NEWNS):
            return False
    else:
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS):
            return False
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            Path("/proc/self", name).write_text(text)
    # what is mounted outside later still arrives; what we mount stays with us
    return _mount(None, "/", None, MS_REC | MS_SLAVE, None)


def mount_empty(folder: str, options: str = "mode=000,size=4k", flags: int = MS_RDONLY) -> bool:
    return _mount("tmpfs", folder, "tmpfs", flags | MS_NOSUID | MS_NODEV | MS_NOEXEC, options)


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None) -> bool:
    words = [text and text.encode() for text in (source, target, kind, options)]
    return bool(libc.mount(*words[:3], ctypes.c_ulong(flags), words[3]) == 0)


class Hidden:
    """A folder covered by an empty one. Asked again at each fork: it may be made, or made anew, at any time."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.device = folder, -1

    def cover(self) -> bool:
        """Whether nothing of it is in sight."""
        try:
            if self.folder.stat().st_dev == self.device:
                return True
        except FileNotFoundError:
            return True
        done = mount_empty(str(self.folder))
        self.device = self.folder.stat().st_dev if done else -1
        return done


def own_shared_memory(size: int) -> None:
    """In a worker: locks and shared memory of multiprocessing, which nobody else sees."""
    if Path(SHARED_MEMORY).is_dir() and libc.unshare(CLONE_NEWNS) == 0:
        mount_empty(SHARED_MEMORY, f"mode=1777,size={size}", flags=0)


def owner_of(base: str, needed: Iterable[str]) -> tuple[int, int] | None:
    """As root: the user the project belongs to, if it is another and can reach what code needs."""
    status = Path(base).stat()
    if os.geteuid() != 0 or status.st_uid == 0:
        return None
    user, group = status.st_uid, status.st_gid

    def can_work() -> bool:
        become(user, group)
        reads = (path for path in needed if os.path.exists(path))  # noqa: PTH110  # Path raises where it may not look
        return os.access(base, os.R_OK | os.W_OK | os.X_OK) and all(os.access(path, os.R_OK) for path in reads)

    return (user, group) if in_child(can_work) else None


def become(user: int, group: int) -> None:
    os.setgroups([group])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)


def drop_capabilities() -> None:
    """For good, since no_new_privs is set: no program started later gets one back."""
    kept = KEPT_BY_ROOT if os.geteuid() == 0 else 0
    prctl(PR_CAP_AMBIENT, AMBIENT_CLEAR_ALL)
    header = struct.pack("=Ii", CAPABILITY_VERSION, 0)
    libc.capset(header, struct.pack("=6I", kept, kept, 0, 0, 0, 0))


def bound_capabilities() -> None:
    """In the fork server, once: what not even root's programs may have."""
    for number in range(64):
        if not KEPT_BY_ROOT >> number & 1:
            prctl(PR_CAPBSET_DROP, number)  # refused where we are not privileged, and then not needed


def in_child(question: Callable[[], bool]) -> bool:
    pid = os.fork()
    if pid == 0:
        answer = 1
        try:
            answer = 0 if question() else 1
        finally:
            os._exit(answer)
    return os.waitpid(pid, 0)[1] == 0
