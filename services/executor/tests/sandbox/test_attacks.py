"""What docs/sandbox.md says that the walls hold, each by code that tries to get through."""

import asyncio
import errno
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dipeo_executor.nodes.base import NodeError
from dipeo_executor.sandbox import Access, Limits, Sandbox, SandboxUnavailable, WorkerDied, node
from dipeo_executor.sandbox.layers import layers

REFUSED = r"\[Errno (1|13|18)\]"  # EPERM, EACCES, and EXDEV for a link across the wall
STRANGER = 54321  # a user without a name or a process
SYSCALL = "import ctypes; c = ctypes.CDLL(None, use_errno=True); result = [c.syscall({}), ctypes.get_errno()]"
GO_AWAY = """
import os, time
done, tell = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open("told", "w").write(str(os.getpid()))
        os.write(tell, b"x")
        time.sleep(1000)
    os._exit(0)
os.read(done, 1)
{}
"""


async def needs(sandbox: Sandbox, name: str) -> None:
    layer = next(layer for layer in await sandbox.layers() if layer.name == name)
    if not layer.holds:
        pytest.skip(f"{name}: {layer.detail}")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder beside the project."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "secret").write_text("s3cret")
    return folder


@pytest.fixture
async def walled(sandbox: Sandbox) -> Sandbox:
    await needs(sandbox, "files")
    return sandbox


@asynccontextmanager
async def denied_network(base: Path) -> AsyncIterator[Sandbox]:
    async with Sandbox(base, access=Access(network=False)) as sandbox:
        await needs(sandbox, "network")
        yield sandbox


# --- files


@pytest.mark.parametrize(
    "attack",
    [
        "open(path + '/secret').read()",
        "__import__('os').listdir(path)",
        "open(path + '/new', 'w')",
        "__import__('os').remove(path + '/secret')",
        "__import__('os').truncate(path + '/secret', 0)",
        "__import__('os').symlink(path, 'way_out') or open('way_out/secret').read()",
        "__import__('os').link(path + '/secret', 'copy') or open('copy').read()",
        "__import__('os').rename(path + '/secret', 'copy')",
        "open('/proc/self/root' + path + '/secret').read()",
        "__import__('os').mknod('disk', 0o60600, 0x800)",
    ],
)
async def test_files_outside_the_project_are_neither_read_nor_changed(walled, job, elsewhere, attack):
    with pytest.raises(NodeError, match=REFUSED):
        await walled.workers("exec_a").run_python(job(f"result = {attack}", inputs={"path": str(elsewhere)}))
    assert (elsewhere / "secret").read_text() == "s3cret"
    assert [path.name for path in elsewhere.iterdir()] == ["secret"]


async def test_bash_and_what_it_starts_are_within_the_same_walls(walled, job, elsewhere):
    code = f"cat {elsewhere}/secret; sh -c 'echo x > {elsewhere}/new'; cat /etc/shadow; ls {elsewhere} /tmp; exit 3"
    with pytest.raises(NodeError) as caught:
        await walled.workers("exec_a").run_bash(job(code))
    assert caught.value.details.count("ermission denied") == 5


async def test_a_link_that_was_in_the_project_before_leads_nowhere_either(base, walled, job, elsewhere):
    (base / "data").symlink_to(elsewhere)
    with pytest.raises(NodeError, match=REFUSED):
        await walled.workers("exec_a").run_python(job("result = open('data/secret').read()"))


async def test_the_project_stays_free_also_where_others_add_to_it_later(base, walled, job):
    workers = walled.workers("exec_a")
    await workers.run_python(job("result = 1"))  # the walls of this worker stand from here
    (base / "later").mkdir()
    (base / "later" / "data").write_text("fresh")
    code = """
import os, subprocess
open("out.txt", "w").write(open("later/data").read())
os.makedirs("a/b"); os.rename("out.txt", "a/b/out.txt"); os.symlink("a/b/out.txt", "link")
open("tool", "w").write("#!/bin/sh\\ncat link"); os.chmod("tool", 0o755)
result = subprocess.run(["./tool"], capture_output=True, text=True).stdout
"""
    assert (await workers.run_python(job(code))).value == "fresh"


async def test_the_runs_own_scratch_folder_is_free_and_those_of_others_are_not(walled, job):
    code = "import tempfile; f = tempfile.NamedTemporaryFile('w', delete=False); f.write('mine'); result = f.name"
    name = (await walled.workers("exec_a").run_python(job(code))).value
    with pytest.raises(NodeError, match=REFUSED):
        await walled.workers("exec_b").run_python(job("result = open(name).read()", inputs={"name": name}))


@pytest.mark.parametrize("when", ["before the stack starts", "later", "made anew"])
async def test_the_state_folder_with_token_and_database_is_not_there(base, job, when):
    def make() -> None:
        (base / ".dipeo" / "data").mkdir(parents=True)
        (base / ".dipeo" / "token").write_text("t0ken")
        (base / ".dipeo" / "data" / "state.db").write_text("SQLite")

    if when != "later":
        make()
    async with Sandbox(base) as sandbox:
        await needs(sandbox, "state folder .dipeo")
        if when == "later":
            make()
        if when == "made anew":
            await sandbox.workers("exec_0").run_python(job("result = 1"))
            (base / ".dipeo").rename(base / "old")
            shutil.rmtree(base / "old")
            make()
        workers = sandbox.workers("exec_a")
        for attack in (
            "open('.dipeo/token').read()",
            "open('.dipeo/data/state.db').read()",
            "os.listdir('.dipeo/data')",
            "os.rename('.dipeo', 'mine')",
            "open('.dipeo/token', 'w')",
            "[os.chmod('.dipeo', 0o777), open('.dipeo/token', 'w')]",
        ):
            with pytest.raises(NodeError, match=r"\[Errno (1|2|13|16|30)\]"):
                await workers.run_python(job(f"import os; result = {attack}"))
        umount = "import ctypes, os; c = ctypes.CDLL(None, use_errno=True); c.umount2(b'.dipeo', 2); "
        with pytest.raises(NodeError, match=r"\[Errno (2|13)\]"):
            await workers.run_python(job(umount + "result = open('.dipeo/token').read()"))
    assert (base / ".dipeo" / "token").read_text() == "t0ken"


async def test_folders_may_be_opened_by_configuration(base, elsewhere, job):
    async with Sandbox(base, access=Access(reads=(str(elsewhere),))) as sandbox:
        workers = sandbox.workers("exec_a")
        assert (await workers.run_python(job("result = open(p).read()", inputs={"p": f"{elsewhere}/secret"}))).value
    async with Sandbox(base, access=Access(writes=(str(elsewhere),))) as sandbox:
        await sandbox.workers("exec_a").run_python(job("open(p, 'w')", inputs={"p": f"{elsewhere}/new"}))
    assert (elsewhere / "new").exists()


async def test_a_disk_is_not_filled_by_one_file(base, job):
    async with Sandbox(base, limits=Limits(file_bytes=2**20)) as sandbox:
        with pytest.raises(NodeError, match=r"\[Errno 27\] File too large"):
            code = "f = open('big', 'wb', buffering=0)\nwhile f.write(bytes(2 ** 18)): pass"
            await sandbox.workers("exec_a").run_python(job(code))
    assert (base / "big").stat().st_size == 2**20


# --- other processes


@pytest.mark.parametrize("place", ["environ", "mem", "maps", "root/etc/hostname", "fd/0", "cwd/x"])
async def test_the_executors_memory_and_environment_are_closed(walled, job, place):
    path = f"/proc/{os.getpid()}/{place}"
    with pytest.raises(NodeError, match=REFUSED):
        await walled.workers("exec_a").run_python(job("open(path, 'rb').read(1)", inputs={"path": path}))


@pytest.mark.parametrize("place", ["environ", "mem"])
async def test_so_are_those_of_the_fork_server_and_of_a_worker_beside(walled, job, place):
    pids = (await walled.workers("exec_b").run_python(job("import os; result = [os.getpid(), os.getppid()]"))).value
    for pid in pids:
        path = f"/proc/{pid}/{place}"
        with pytest.raises(NodeError, match=REFUSED):
            await walled.workers("exec_a").run_python(job("open(path, 'rb').read(1)", inputs={"path": path}))


async def test_nobody_outside_is_traced_read_or_robbed_of_a_descriptor(walled, job):
    code = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def error(answer): return ctypes.get_errno() if answer < 0 else 0
class Part(ctypes.Structure): _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
here = ctypes.create_string_buffer(8)
mine, theirs = Part(ctypes.addressof(here), 8), Part(where, 8)
result = [
    error(libc.ptrace(16, pid, 0, 0)),
    error(libc.process_vm_readv(pid, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0)),
    error(libc.syscall(438, os.pidfd_open(pid), 1, 0)),
]
"""
    inputs = {"pid": os.getpid(), "where": id(code)}
    assert set((await walled.workers("exec_a").run_python(job(code, inputs=inputs))).value) <= {1, 13}


async def test_nobody_outside_is_signalled(sandbox, job):
    await needs(sandbox, "other processes: signals")
    code = "import os; os.kill(pid, 0)"
    workers = sandbox.workers("exec_a")
    server = (await workers.run_python(job("import os; result = os.getppid()"))).value
    for pid in (os.getpid(), server):
        with pytest.raises(NodeError, match=r"\[Errno 1\]"):
            await workers.run_python(job(code, inputs={"pid": pid}))


@pytest.mark.parametrize("ending", ["", "result = 1", "os.kill(os.getpid(), 9)"])
async def test_nothing_outlives_its_run(sandbox, job, told, gone, ending):
    """Forked twice, in a session of its own; while the job lasts, after it, after the death of its worker."""
    workers = sandbox.workers("exec_a")
    call = asyncio.create_task(workers.run_python(job(GO_AWAY.format(ending or "time.sleep(1000)"))))
    pid = int(await told())
    if not ending:
        call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await workers.close()
    await gone(pid)


@pytest.fixture
async def strangers() -> AsyncIterator[tuple[Path, str]]:
    """A project of another user, and an interpreter that this user may reach."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to make a project of another user")
    pythons = [path for path in (Path(sys.executable), Path("/usr/bin/python3")) if path.exists()]
    reachable = [path for path in pythons if all(folder.stat().st_mode & 1 for folder in path.resolve().parents)]
    if not reachable:
        pytest.skip("needs an interpreter that another user may reach")
    with tempfile.TemporaryDirectory() as folder:  # not tmp_path, which nobody else may enter
        try:
            os.chown(folder, STRANGER, STRANGER)
        except OSError:
            pytest.skip("this root has no power over other users")
        yield Path(folder).resolve(), str(reachable[0])


async def test_a_fork_bomb_meets_a_limit_and_leaves_nothing(strangers, job, gone):
    """Of a user that nothing else runs as: the kernel counts by user, and root is exempt."""
    base, python = strangers
    code = """
import os, time
count = 0
try:
    while count < 500:
        if os.fork() == 0: time.sleep(1000)
        count += 1
except BlockingIOError:
    result = count
"""
    async with Sandbox(base, python=python, limits=Limits(processes=40)) as sandbox:
        workers = sandbox.workers("exec_a")
        assert (await workers.run_python(job(code))).value in range(30, 40)
        left = [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _owner(entry) == STRANGER]
        assert len(left) > 30
        await workers.close()
        await asyncio.gather(*map(gone, left))


def _owner(process: Path) -> int:
    try:
        return process.stat().st_uid
    except OSError:
        return -1


async def test_root_runs_code_as_the_owner_of_the_project(strangers, job):
    base, python = strangers
    code = "import os; open('made', 'w'); result = [os.getuid(), os.getgid(), os.getgroups(), os.path.expanduser('~')]"
    async with Sandbox(base, python=python) as sandbox:
        await needs(sandbox, "privileges")
        *ids, _ = (await sandbox.workers("exec_a").run_python(job(code + "; open(result[3] + '/x', 'w')"))).value
        assert ids == [STRANGER, STRANGER, [STRANGER]]
        script = "id -u; cat /proc/self/environ > copy; echo hi > $HOME/y"
        assert (await sandbox.workers("exec_a").run_bash(job(script))).value == str(STRANGER)
        if all(folder.stat().st_mode & 1 for folder in Path(node.__file__).parents):
            code = "return process.getuid()"
            assert (await sandbox.workers("exec_a").run_typescript(job(code))).value == STRANGER
    assert (base / "made").stat().st_uid == STRANGER


async def test_no_privilege_is_left_or_comes_back(sandbox, job):
    status = (await sandbox.workers("exec_a").run_bash(job("grep '^Cap\\|^NoNew' /proc/self/status"))).value
    fields = dict(line.split(":\t") for line in status.splitlines())
    over_files = 0b1011 if os.geteuid() == 0 else 0
    assert fields["NoNewPrivs"] == "1"
    assert all(int(fields[name], 16) & ~over_files == 0 for name in ("CapEff", "CapPrm", "CapInh", "CapAmb"))


async def test_the_kernels_keyrings_are_closed(sandbox, job):
    await needs(sandbox, "unix sockets")
    number = {"x86_64": 250, "aarch64": 219}[os.uname().machine]
    code = SYSCALL.format(f"{number}, 0, -3, 0")
    assert (await sandbox.workers("exec_a").run_python(job(code))).value == [-1, errno.ENOSYS]


async def test_locks_and_pools_of_multiprocessing_work_and_are_the_workers_own(sandbox, job):
    await needs(sandbox, "state folder .dipeo")  # the same mount namespace
    code = """
import concurrent.futures, math, multiprocessing, os
with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
    result = [list(pool.map(math.sqrt, [4, 9])), os.listdir("/dev/shm")]
"""
    assert (await sandbox.workers("exec_a").run_python(job(code))).value == [[2, 3], []]


# --- sockets


@pytest.fixture
def listener() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


CONNECT = "import socket; socket.create_connection(('127.0.0.1', port), 5)"


@pytest.mark.parametrize(
    "attack",
    [
        CONNECT,
        "import socket; socket.create_server(('127.0.0.1', 0))",
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', port))",
        "import socket; socket.socket(socket.AF_INET6, socket.SOCK_STREAM)",
        "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    ],
)
async def test_no_socket_is_opened_where_the_network_is_denied(base, job, listener, attack):
    async with denied_network(base) as sandbox:
        with pytest.raises(NodeError, match=REFUSED):
            await sandbox.workers("exec_a").run_python(job(attack, inputs={"port": listener.getsockname()[1]}))


async def test_nor_by_bash_or_node(base, job, listener):
    port = listener.getsockname()[1]
    async with denied_network(base) as sandbox:
        workers = sandbox.workers("exec_a")
        with pytest.raises(NodeError, match="ermission denied"):
            await workers.run_bash(job(f"echo x > /dev/tcp/127.0.0.1/{port}"))
        code = f"""
import net from "node:net";
export const main = () => new Promise((done, fail) => net.connect({port}, "127.0.0.1", done).on("error", fail));
"""
        with pytest.raises(NodeError, match="EACCES"):
            await workers.run_typescript(job(code))


async def test_io_uring_is_no_way_around(base, job):
    async with denied_network(base) as sandbox:
        code = SYSCALL.format("425, 1, None")
        assert (await sandbox.workers("exec_a").run_python(job(code))).value == [-1, errno.ENOSYS]


async def test_where_it_is_allowed_it_works(sandbox, job, listener):
    await sandbox.workers("exec_a").run_python(job(CONNECT, inputs={"port": listener.getsockname()[1]}))


@pytest.mark.parametrize("kind", ["stream", "datagrams", "a pair turned around", "abstract"])
async def test_unix_sockets_are_closed_also_where_the_network_is_allowed(base, sandbox, job, kind):
    """The local store listens on one."""
    await needs(sandbox, "unix sockets")
    stream = kind in ("stream", "abstract")
    path = "\0dipeo-test" if kind == "abstract" else str(base / "store.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM) as server:
        server.bind(path)
        if stream:
            server.listen()
        code = {
            "datagrams": "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).connect(path)",
            "a pair turned around": "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b'x', path)",
        }.get(kind, "socket.socket(socket.AF_UNIX).connect(path)")
        with pytest.raises(NodeError, match=REFUSED):
            await sandbox.workers("exec_a").run_python(job(f"import socket; {code}", inputs={"path": path}))


async def test_code_is_not_run_where_a_denied_network_could_not_be_held(base):
    async with Sandbox(base, access=Access(network=False)) as sandbox:
        report = {"landlock": 3, "seccomp": False, "mounts": False, "user": -1, "root": False, "cgroup": ""}
        with pytest.raises(SandboxUnavailable, match="DIPEO_EXECUTOR_CODE_NETWORK"):
            sandbox._check(layers(report, network=False))


# --- totals


async def test_totals_of_a_run_are_held_by_a_cgroup(base, job):
    async with Sandbox(base, limits=Limits(run_memory_bytes=256 * 2**20, run_processes=20)) as sandbox:
        await needs(sandbox, "totals of a run")
        bomb = "import os, time\nwhile True:\n  if os.fork() == 0: time.sleep(1000)"
        with pytest.raises(NodeError, match=r"\[Errno 11\]"):
            await sandbox.workers("exec_a").run_python(job(bomb))
        hungry = "import os\nfor _ in range(8):\n  if os.fork() == 0: x = bytearray(2 ** 26); os.pause()\nos.wait()"
        with pytest.raises(WorkerDied):
            await sandbox.workers("exec_b").run_python(job(hungry))


async def test_a_run_has_a_group_of_its_own_with_its_totals(base, job, tmp_path):
    """A plain folder stands in for the cgroup: it shows what is written, not what the kernel makes of it."""
    parent = tmp_path / "group"
    parent.mkdir()
    (parent / "cgroup.subtree_control").write_text("cpu memory pids\n")
    limits = Limits(run_memory_bytes=256 * 2**20, run_processes=20)
    async with Sandbox(base, limits=limits, access=Access(cgroup=str(parent))) as sandbox:
        await needs(sandbox, "totals of a run")
        await sandbox.workers("exec_a").run_python(job("result = 1"))
        (group,) = parent.glob("dipeo-*-exec_a")
        written = {file.name: file.read_text() for file in group.iterdir()}
    assert written.items() >= {"memory.max": "268435456", "pids.max": "20", "cgroup.procs": "0"}.items()


def test_every_layer_says_how_it_holds_or_what_is_missing():
    nothing = {"landlock": 0, "seccomp": False, "mounts": False, "user": -1, "root": True, "cgroup": ""}
    everything = {"landlock": 7, "seccomp": True, "mounts": True, "user": 1000, "root": True, "cgroup": "/g"}
    assert not any(layer.holds for layer in layers(nothing, network=False))
    assert all(layer.holds for layer in layers(everything, network=False))
    assert all(layer.detail for report in (nothing, everything) for layer in layers(report, network=True))
