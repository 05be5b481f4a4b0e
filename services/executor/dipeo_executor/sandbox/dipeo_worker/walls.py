"""What stands between user code and the rest of the machine. (docs/sandbox.md)

Each wall is tried where the fork server starts; `report` says which stand. None needs to be root.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

from . import cgroup, grants, landlock, privileges, seccomp
from .syscalls import PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, prctl

STATE_FOLDER = ".dipeo"  # keys, tokens and the database of the local stack
SHARED_MEMORY_BYTES = 256 * 2**20


class Walls:
    """Of the fork server: found out once, then put around each worker in turn."""

    def __init__(self, config: dict[str, Any]) -> None:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        self.config, self.pid = config, os.getpid()
        self.landlock = landlock.abi()
        self.mounts = privileges.own_mounts(config["scratch"])
        self.state = privileges.Hidden(Path(config["base"], STATE_FOLDER))
        self.grants = grants.grants(config)
        self.user = privileges.owner_of(config["base"], config["path"])
        if self.user:
            Path(config["scratch"]).chmod(0o711)  # the folders in it belong to that user
        privileges.bound_capabilities()
        self.cgroup = cgroup.usable(config["cgroup"])
        prctl(PR_SET_DUMPABLE, 0)  # nobody but root looks into the fork server

    def report(self) -> dict[str, Any]:
        return {
            "landlock": self.landlock,
            "seccomp": seccomp.known() and privileges.in_child(lambda: seccomp.restrict(network=True)),
            "mounts": self.mounts and self.hide_state(),
            "user": self.user[0] if self.user else -1,
            "root": os.geteuid() == 0,
            "cgroup": self.cgroup,
        }

    def hide_state(self) -> bool:
        return self.mounts and self.state.cover()

    def group(self, run: str) -> cgroup.RunGroup | None:
        return cgroup.RunGroup(self.cgroup, self.pid, run) if self.cgroup else None

    def scratch(self, folder: str) -> None:
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.user:
            os.chown(folder, *self.user)

    def give_up_power(self) -> None:
        """In a worker, before anything that a change of user would undo."""
        if self.mounts:
            privileges.own_shared_memory(SHARED_MEMORY_BYTES)
        if self.user:
            privileges.become(*self.user)
        privileges.drop_capabilities()

    def close(self, scratch: str, reads: list[str], memory: dict[int, int]) -> None:
        """In a worker, last: limits, files, sockets. Raises OSError."""
        limits = {
            **memory,
            resource.RLIMIT_FSIZE: self.config["file_bytes"],
            resource.RLIMIT_NPROC: self.config["processes"],
            resource.RLIMIT_CORE: 0,
        }
        for number, most in limits.items():
            _, hard = resource.getrlimit(number)
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(number, (most, most))
        if self.landlock:
            own = [(scratch, landlock.CHANGE), *((path, landlock.USE) for path in reads)]
            if self.mounts:
                own.append((privileges.SHARED_MEMORY, landlock.CHANGE))
            landlock.restrict([*self.grants, *own], self.landlock, network=self.config["network"])
            prctl(PR_SET_DUMPABLE, 1)  # its own /proc/self again: Landlock keeps other runs out of it
        seccomp.restrict(network=self.config["network"])
