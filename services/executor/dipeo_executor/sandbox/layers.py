"""Which walls around user code stand on this machine, in words. (docs/sandbox.md)"""

import ctypes
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PR_SET_DUMPABLE = 4
LANDLOCK_TRUNCATE, LANDLOCK_NET, LANDLOCK_SIGNAL = 3, 4, 6  # the ABI that brought each


@dataclass(frozen=True, slots=True)
class Layer:
    """`detail`: how it holds, or what would make it hold."""

    name: str
    holds: bool
    detail: str


def layers(report: Mapping[str, Any], *, network: bool) -> list[Layer]:
    """From what the fork server reports at its start."""
    landlock, filtered = report["landlock"], report["seccomp"]
    no_landlock = "this kernel has no Landlock (Linux 5.13, and in the list of security modules)"
    no_filter = "no seccomp filter for this processor, or none is permitted"
    return [
        Layer("files", landlock > 0, f"Landlock ABI {landlock}" if landlock else no_landlock),
        Layer("other processes: memory and environment", landlock > 0, "Landlock" if landlock else no_landlock),
        Layer(
            "other processes: signals", landlock >= LANDLOCK_SIGNAL or report["user"] >= 0,
            _by(landlock >= LANDLOCK_SIGNAL, "Landlock", report["user"] >= 0, "a user of its own", "needs Linux 6.12"),
        ),
        Layer(
            "state folder .dipeo", bool(landlock and report["mounts"]),
            no_landlock if not landlock else "covered in a mount namespace" if report["mounts"] else
            "no mount namespace is permitted here; make .dipeo a link to a folder outside the project",
        ),
        Layer("unix sockets", filtered, "seccomp" if filtered else no_filter),
        Layer(
            "network", not network and (filtered or landlock >= LANDLOCK_NET),
            "allowed by DIPEO_EXECUTOR_CODE_NETWORK" if network else
            _by(filtered, "seccomp", landlock >= LANDLOCK_NET, "Landlock, TCP only", no_filter),
        ),
        Layer("privileges", not report["root"] or report["user"] >= 0, _user(report)),
        Layer(
            "totals of a run", bool(report["cgroup"]),
            f"cgroup {report['cgroup']}" if report["cgroup"] else
            "limits are per process: no cgroup with memory and pids is ours (DIPEO_EXECUTOR_CODE_CGROUP)",
        ),
    ]  # fmt: skip


def _by(first: bool, how: str, second: bool, otherwise: str, neither: str) -> str:
    return how if first else otherwise if second else neither


def _user(report: Mapping[str, Any]) -> str:
    if report["user"] >= 0:
        return f"user {report['user']}, who owns the project; no capabilities"
    return "root, with the capabilities over files only" if report["root"] else "the executor's user; no capabilities"


def close_own_memory() -> None:
    """Of the executor: its memory and environment are closed to other processes of its user, debuggers included."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
