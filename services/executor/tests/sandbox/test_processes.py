"""What workers share, what they do not, and that they end. (decision 13)"""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from dipeo_executor.nodes.base import NodeError
from dipeo_executor.sandbox import Limits, Sandbox, SandboxUnavailable, WorkerDied, pool

PID = "import os; result = os.getpid()"
GRANDCHILD = """
import subprocess, time
child = subprocess.Popen(["sleep", "1000"]{})
open("told", "w").write(str(child.pid))
time.sleep(1000)
"""
ESCAPES = ", start_new_session=True"


async def test_a_worker_is_reused_with_its_modules_but_with_clean_names(workers, job):
    first = await workers.run_python(job("import json, os\njson.mark = 1\nleft = 1\nos.chdir('/')\n" + PID))
    second = await workers.run_python(job("import json, os; result = [os.getpid(), json.mark, 'left' in dir()]"))
    assert second.value == [first.value, 1, False]


async def test_every_job_starts_in_base_with_its_own_import_path(base: Path, workers, job):
    code = "import os, sys; sys.path.insert(0, '/nowhere'); os.chdir('/'); sys.stdout = None"
    await workers.run_python(job(code))
    result = await workers.run_python(job("import os, sys; print('heard'); result = [os.getcwd(), sys.path[0]]"))
    assert (result.value, result.stdout) == ([str(base), str(base)], "heard\n")


async def test_executions_share_nothing(sandbox, job):
    code = "import json, os, pathlib; json.mark = 1; pathlib.Path.home().joinpath('f').write_text(''); "
    await sandbox.workers("exec_a").run_python(job(code + PID))
    code = "import json, os, pathlib; result = [hasattr(json, 'mark'), os.listdir(pathlib.Path.home())]"
    assert (await sandbox.workers("exec_b").run_python(job(code))).value == [False, []]


async def test_the_environment_is_minimal_and_holds_no_secret(base: Path, job, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    code = "import os; result = dict(os.environ)"
    async with Sandbox(base) as sandbox:
        workers = sandbox.workers("exec_a")
        environment = (await workers.run_python(job(code))).value
        script = "env; cat /proc/$PPID/environ /proc/$PPID/cmdline || true"
        assert "secret" not in (await workers.run_bash(job(script))).value
    environment.pop("TZ", None)
    assert sorted(environment) == ["DIPEO_BASE_DIR", "DIPEO_IDEMPOTENCY_KEY", "HOME", "LANG", "PATH", "TMPDIR"]
    assert environment["HOME"] == environment["TMPDIR"] and not Path(environment["HOME"]).exists()


async def test_limits_are_set_and_privileges_cannot_be_gained(workers, job):
    code = """
import resource as r
result = [r.getrlimit(x)[0] for x in (r.RLIMIT_AS, r.RLIMIT_FSIZE, r.RLIMIT_CORE, r.RLIMIT_CPU)]
result.append("NoNewPrivs:\\t1" in open("/proc/self/status").read())
"""
    *limits, cpu, no_new_privileges = (await workers.run_python(job(code, timeout_s=10))).value
    assert limits == [2 * 1024**3, 1024**3, 0] and no_new_privileges
    assert 10 <= cpu <= 10 * (os.cpu_count() or 1) + 3


async def test_too_much_memory_is_an_error_that_names_the_limit(base: Path, job):
    async with Sandbox(base, limits=Limits(memory_bytes=512 * 1024**2)) as sandbox:
        with pytest.raises(NodeError, match="the code needs more than the 512 MiB") as caught:
            await sandbox.workers("exec_a").run_python(job("result = len(bytearray(2**30))"))
    assert caught.value.kind == "MemoryError"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import ctypes; ctypes.string_at(0)", "was killed by SIGSEGV"),
        ("import os; os._exit(7)", "ended itself with exit code 7"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL"),
        ("import os; os.closerange(3, 100)", "closed files it had not opened"),
        ("import os; [os.write(n, b'x' * 99) for n in range(3, 20) if os.path.exists(f'/proc/self/fd/{n}')]", "worker"),
    ],
)
async def test_a_dying_worker_is_an_error_and_the_next_call_gets_another(workers, job, code, words):
    async with asyncio.timeout(15):
        with pytest.raises(WorkerDied, match=words):
            await workers.run_python(job(code))
        assert (await workers.run_python(job("result = 1"))).value == 1


@pytest.mark.parametrize("how", ["", ESCAPES])
async def test_a_timeout_kills_also_what_the_code_started(workers, job, told, gone, how):
    call = asyncio.create_task(workers.run_python(job(GRANDCHILD.format(how), timeout_s=1)))
    grandchild = int(await told())
    with pytest.raises(NodeError, match="timed out after 1 seconds"):
        await call
    await gone(grandchild)


@pytest.mark.parametrize("how", ["", ESCAPES])
async def test_cancelling_a_call_kills_its_worker_and_what_it_started(sandbox, workers, job, told, gone, how):
    worker = (await workers.run_python(job(PID))).value
    call = asyncio.create_task(workers.run_python(job(GRANDCHILD.format(how))))
    grandchild = int(await told())
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await gone(worker)
    await gone(grandchild)
    assert (await workers.run_python(job(PID))).value != worker


async def test_cancelling_kills_bash_and_its_children(workers, job, told, gone):
    call = asyncio.create_task(workers.run_bash(job("sleep 1000 & echo $! > told; wait")))
    grandchild = int(await told())
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await gone(grandchild)


async def test_closing_an_execution_kills_its_workers_only(sandbox, job, gone):
    ours, theirs = sandbox.workers("exec_a"), sandbox.workers("exec_b")
    mine, other = [(await workers.run_python(job(PID))).value for workers in (ours, theirs)]
    background = int((await ours.run_bash(job("setsid sleep 1000 & echo $!"))).value)
    await ours.close()
    await gone(mine)
    await gone(background)
    assert (await theirs.run_python(job(PID))).value == other


async def test_nodes_of_one_execution_run_at_once_in_workers_of_their_own(workers, job, told):
    reader = asyncio.create_task(workers.run_python(job("result = open('told').read()")))
    await workers.run_python(job("open('told', 'w').write('met')"))
    assert (await reader).value == "met"


async def test_fifty_calls_at_once_all_answer_and_few_are_busy(base: Path, job):
    async with Sandbox(base, busy=3) as sandbox:
        each = [sandbox.workers(f"exec_{n % 10}") for n in range(50)]
        code = "import os; result = [n, os.getpid()]"
        calls = [workers.run_python(job(code, inputs={"n": n})) for n, workers in enumerate(each)]
        results = [result.value for result in await asyncio.gather(*calls)]
        assert [n for n, _ in results] == list(range(50))
        assert all(len({pid for n, pid in results if n % 10 == execution}) <= 3 for execution in range(10))


async def test_the_longest_idle_worker_makes_room(sandbox, job, gone, monkeypatch):
    monkeypatch.setattr(pool, "IDLE", 2)
    pids = [(await sandbox.workers(f"exec_{n}").run_python(job(PID))).value for n in range(3)]
    await gone(pids[0])
    assert [(await sandbox.workers(f"exec_{n}").run_python(job(PID))).value for n in (1, 2)] == pids[1:]
    assert (await sandbox.workers("exec_0").run_python(job(PID))).value != pids[0]


async def test_a_lost_fork_server_is_noticed_and_replaced(workers, job, told, gone):
    fork_server = (await workers.run_python(job("import os; result = os.getppid()"))).value
    call = asyncio.create_task(workers.run_python(job(GRANDCHILD.format(""))))
    grandchild = int(await told())
    os.kill(fork_server, signal.SIGKILL)
    async with asyncio.timeout(15):
        with pytest.raises(WorkerDied, match="lost together with the fork server"):
            await call
        await gone(grandchild)
        assert (await workers.run_python(job("result = 1"))).value == 1


@pytest.mark.parametrize("python", ["/nowhere/python", "/bin/false"])
async def test_an_interpreter_that_cannot_run_is_named(base: Path, job, python):
    async with Sandbox(base, python=python) as sandbox, asyncio.timeout(15):
        for _ in range(2):
            with pytest.raises(SandboxUnavailable, match=f'the Python of code jobs, "{python}"'):
                await sandbox.workers("exec_a").run_python(job("result = 1"))


async def test_the_projects_own_interpreter_is_used(base: Path, job):
    (base / ".venv" / "bin").mkdir(parents=True)
    (base / ".venv" / "bin" / "python").symlink_to(sys.executable)
    async with Sandbox(base) as sandbox:
        result = await sandbox.workers("exec_a").run_python(job("import sys; result = sys.executable"))
    assert result.value == str(base / ".venv" / "bin" / "python")


async def test_the_fork_server_loads_nothing_of_ours_and_no_grpc(workers, job):
    code = "import sys; result = [n for n in sys.modules if n.startswith(('grpc', 'dipeo_', 'orjson', 'pydantic'))]"
    assert {name.split(".")[0] for name in (await workers.run_python(job(code))).value} == {"dipeo_worker"}


PARENT = """
import asyncio, os, sys
from pathlib import Path
from dipeo_executor.nodes.base import CodeJob
from dipeo_executor.sandbox import Sandbox

SOURCE = '''
import os, subprocess, time
child = subprocess.Popen(["sleep", "1000"])
away = subprocess.Popen(["sleep", "1000"], start_new_session=True)
open("told", "w").write(f"{os.getppid()} {os.getpid()} {child.pid} {away.pid} {os.environ['HOME']}")
time.sleep(1000)
'''

async def main():
    async with Sandbox(Path(sys.argv[1])) as sandbox:
        await sandbox.workers("exec_a").run_python(CodeJob(SOURCE, "<n>", "", {}, {}, "n", 1000))

asyncio.run(main())
"""


async def test_everything_dies_with_the_executor_and_leaves_no_file(base: Path, told, gone):
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, str(base))
    *pids, home = (await told()).split()
    parent.kill()
    await parent.wait()
    for pid in reversed(pids):  # the fork server last: it cleans up
        await gone(int(pid))
    assert not Path(home).exists()
