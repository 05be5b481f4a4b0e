"""Which places user code may read, and which it may change."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path
from typing import Any

from .landlock import CHANGE, DEVICE, READ, USE

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store")
# of /etc what libraries and shells look up; not the rest, which may hold keys
SETTINGS = (
    "alternatives", "bash.bashrc", "ca-certificates", "debian_version", "fonts", "gai.conf", "group", "host.conf",
    "hostname", "hosts", "inputrc", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "ld.so.preload", "localtime",
    "locale.conf", "magic", "mime.types", "nsswitch.conf", "os-release", "passwd", "pki/tls/certs", "pki/ca-trust",
    "profile", "protocols", "resolv.conf", "services", "shells", "ssl/certs", "ssl/openssl.cnf", "timezone",
)  # fmt: skip
FACTS = (
    "/proc", "/sys/devices/system/cpu", "/sys/devices/system/node", "/sys/fs/cgroup", "/sys/kernel/mm",
    "/run/systemd/resolve", "/run/NetworkManager/resolv.conf", "/run/resolvconf", "/mnt/wsl/resolv.conf",
    "/var/cache/fontconfig", "/var/lib/ca-certificates",
)  # fmt: skip
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")


def grants(config: dict[str, Any]) -> list[tuple[str, int]]:
    """For every worker alike; the run's own scratch folder comes on top. Call it before the path is changed."""
    interpreter = {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix, *config["path"]}
    interpreter.add(str(Path(sys.executable).resolve().parent))
    asked = [path for path in (*interpreter, *os.get_exec_path()) if not _too_wide(path)]
    found = [
        *((path, USE) for path in (*SYSTEM, *asked, *config["reads"])),
        *((f"/etc/{name}", READ) for name in SETTINGS),
        *((path, READ) for path in FACTS),
        *((path, DEVICE) for path in DEVICES),
        *((path, CHANGE) for path in (config["base"], *config["writes"])),
    ]
    return [(path, rights) for path, rights in found if os.path.exists(path)]  # noqa: PTH110  # Path raises where it may not look


def _too_wide(path: str) -> bool:
    """A PATH of "." or of the home folder must not open all that is in it."""
    return not Path(path).is_absolute() or Path(path).resolve() in (_home(), *_home().parents)


def _home() -> Path:
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir).resolve()
    except KeyError:  # a user without an entry, as in containers
        return Path("/")
