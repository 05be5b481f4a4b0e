"""A disk that loses what was not synced: every file SQLite writes under a folder, as a power cut would leave it.

A VFS around SQLite's own, in the very library that Python's sqlite3 uses. While it is on it is the default, so the code
under test opens its files as ever. Writes go through to the real file; beside it we keep what a disk must still have
after the last xSync, and what was written since, of which a cut leaves any part: nothing, some writes without the ones
before them, half a write.
"""

import _sqlite3
import ctypes
import random
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_char_p, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any, NamedTuple

SECTOR_BYTES = 512
CAPTURED = 0x100 | 0x800 | 0x80000  # SQLITE_OPEN_MAIN_DB, _MAIN_JOURNAL, _WAL

# a name is a pointer: SQLite's files keep it
_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, POINTER(c_int))
_DELETE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)
_WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)
_CLOSE = CFUNCTYPE(c_int, c_void_p)


def _pointers(*names: str) -> list[tuple[str, Any]]:
    return [(name, c_void_p) for name in names]


class _Methods(Structure):
    """sqlite3_io_methods, version 3."""

    _fields_ = [
        ("iVersion", c_int), ("xClose", _CLOSE), ("xRead", c_void_p), ("xWrite", _WRITE), ("xTruncate", _TRUNCATE),
        ("xSync", _SYNC),
        *_pointers("xFileSize", "xLock", "xUnlock", "xCheckReservedLock", "xFileControl", "xSectorSize"),
        *_pointers("xDeviceCharacteristics", "xShmMap", "xShmLock", "xShmBarrier", "xShmUnmap", "xFetch", "xUnfetch"),
    ]  # fmt: skip


class _File(Structure):
    """sqlite3_file"""

    _fields_ = [("pMethods", POINTER(_Methods))]


class _Vfs(Structure):
    """sqlite3_vfs, version 3"""

    _fields_ = [
        ("iVersion", c_int), ("szOsFile", c_int), ("mxPathname", c_int), ("pNext", c_void_p), ("zName", c_char_p),
        ("pAppData", c_void_p), ("xOpen", _OPEN), ("xDelete", _DELETE),
        *_pointers("xAccess", "xFullPathname", "xDlOpen", "xDlError", "xDlSym", "xDlClose", "xRandomness", "xSleep"),
        *_pointers("xCurrentTime", "xGetLastError", "xCurrentTimeInt64"),
        *_pointers("xSetSystemCall", "xGetSystemCall", "xNextSystemCall"),
    ]  # fmt: skip


class Write(NamedTuple):
    """Bytes at an offset; None cuts the file off there."""

    offset: int
    data: bytes | None


class OnDisk:
    """One file: what is safe, and what was written since."""

    def __init__(self, content: bytes) -> None:
        self.safe, self.since = bytearray(content), list[Write]()

    def sync(self) -> None:
        for write in self.since:
            _apply(self.safe, write)
        self.since.clear()

    def left(self, dice: random.Random) -> bytes:
        """What a cut now might leave."""
        content = bytearray(self.safe)
        kept = dice.choice([0.0, 0.5, 0.9, 1.0])
        for write in self.since:
            if dice.random() < kept:
                _apply(content, _torn(write, dice) if dice.random() < 0.2 else write)
        return bytes(content)


def _torn(write: Write, dice: random.Random) -> Write:
    sectors = len(write.data or b"") // SECTOR_BYTES
    return write if write.data is None else Write(write.offset, write.data[: dice.randint(0, sectors) * SECTOR_BYTES])


def _apply(content: bytearray, write: Write) -> None:
    if write.data is None:
        del content[write.offset :]
        return
    content.extend(bytes(max(0, write.offset - len(content))))
    content[write.offset : write.offset + len(write.data)] = write.data


class Left(NamedTuple):
    """The disk after a cut, and what `promised` said just before it."""

    files: dict[str, bytes]  # by name
    promised: Any

    def put(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)


class Disk:
    """Cuts at random between two operations of SQLite, one in `every`; the run itself goes on undisturbed.

    While it is `full` it takes no more writes.
    """

    def __init__(self, folder: Path, promised: Callable[[], Any], *, every: int, seed: int) -> None:
        self.cuts: list[Left] = []
        self.full = False
        self._folder, self._promised, self._every = folder, promised, every
        self._dice, self._lock = random.Random(seed), threading.RLock()
        self._files: dict[str, OnDisk] = {}
        self._open: dict[int, OnDisk] = {}  # by address of the sqlite3_file

    def opened(self, file: int, path: str) -> None:
        with self._lock:
            known = self._files.get(path)
            self._open[file] = known = known or OnDisk(Path(path).read_bytes())
            self._files[path] = known

    def about_to(self) -> None:
        with self._lock:
            if self._dice.randrange(self._every) == 0:
                promised = self._promised()
                self.cuts.append(
                    Left({Path(path).name: file.left(self._dice) for path, file in self._files.items()}, promised)
                )

    def wrote(self, file: int, write: Write) -> None:
        with self._lock:
            self._open[file].since.append(write)

    def synced(self, file: int) -> None:
        with self._lock:
            self._open[file].sync()

    def closed(self, file: int) -> None:
        with self._lock:
            self._open.pop(file, None)

    def deleted(self, path: str) -> None:
        with self._lock:
            self._files.pop(path, None)

    def watches(self, path: str, flags: int) -> bool:
        return bool(flags & CAPTURED) and Path(path).is_relative_to(self._folder)


def library() -> Any:
    """The SQLite of Python's sqlite3; None when it cannot be reached from outside."""
    try:
        found = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
        found.sqlite3_vfs_find.restype = POINTER(_Vfs)
        found.sqlite3_libversion.restype = c_char_p
    except (OSError, AttributeError):
        return None
    return found if found.sqlite3_libversion().decode() == sqlite3.sqlite_version else None


class _Shim:
    """The functions SQLite calls; kept alive as long as it may do so."""

    def __init__(self, real: _Vfs, disk: Disk) -> None:
        self._real, self._disk = real, disk
        self._methods: dict[int, _Methods] = {}  # ours, by the address of those they replace
        self.vfs = _Vfs()
        ctypes.pointer(self.vfs)[0] = real
        self.vfs.zName, self.vfs.pNext = b"powercut", None
        self.vfs.xOpen, self.vfs.xDelete = _OPEN(self._xopen), _DELETE(self._xdelete)

    def _xopen(self, _: int, name: int | None, file: int, flags: int, out: Any) -> int:
        code: int = self._real.xOpen(ctypes.addressof(self._real), name, file, flags, out)
        path = ctypes.string_at(name).decode() if name else ""
        if code == 0 and self._disk.watches(path, flags):
            self._disk.opened(file, path)
            handle = ctypes.cast(file, POINTER(_File)).contents
            handle.pMethods = ctypes.pointer(self._wrapped(handle.pMethods.contents))
        return code

    def _xdelete(self, _: int, name: int, sync_folder: int) -> int:
        self._disk.about_to()
        code: int = self._real.xDelete(ctypes.addressof(self._real), name, sync_folder)
        if code == 0:
            self._disk.deleted(ctypes.string_at(name).decode())
        return code

    def _wrapped(self, real: _Methods) -> _Methods:
        address = ctypes.addressof(real)
        if address not in self._methods:
            self._methods[address] = self._made(real)
        return self._methods[address]

    def _made(self, real: _Methods) -> _Methods:
        disk = self._disk

        def write(file: int, data: int, size: int, offset: int) -> int:
            if disk.full:
                return sqlite3.SQLITE_FULL
            disk.about_to()
            disk.wrote(file, Write(offset, ctypes.string_at(data, size)))
            return int(real.xWrite(file, data, size, offset))

        def truncate(file: int, size: int) -> int:
            disk.about_to()
            disk.wrote(file, Write(size, None))
            return int(real.xTruncate(file, size))

        def sync(file: int, flags: int) -> int:
            disk.about_to()
            code = int(real.xSync(file, flags))
            if code == 0:
                disk.synced(file)
            return code

        def close(file: int) -> int:
            disk.closed(file)
            return int(real.xClose(file))

        made = _Methods()
        ctypes.pointer(made)[0] = real
        made.xWrite, made.xTruncate = _WRITE(write), _TRUNCATE(truncate)
        made.xSync, made.xClose = _SYNC(sync), _CLOSE(close)
        return made


@contextmanager
def losing_power(disk: Disk) -> Iterator[None]:
    """Every file of `disk` that SQLite opens during the block is watched; all must be closed at its end."""
    sqlite = library()
    assert sqlite is not None
    real = sqlite.sqlite3_vfs_find(None).contents
    shim = _Shim(real, disk)
    assert sqlite.sqlite3_vfs_register(byref(shim.vfs), 1) == 0
    try:
        yield
    finally:
        sqlite.sqlite3_vfs_register(byref(real), 1)
        sqlite.sqlite3_vfs_unregister(byref(shim.vfs))
