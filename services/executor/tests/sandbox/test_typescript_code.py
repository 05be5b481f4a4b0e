"""Node contract 7.4, with decisions 5, 6 and 44."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from dipeo_executor.nodes.base import NodeError
from dipeo_executor.sandbox import Limits, NodeMissing, Sandbox, WorkerDied

ITEMS = {"data": {"items": [1, 2, 3]}}


async def test_inline_code_declares_result(workers, job):
    code = "const result = { sum: inputs.data.items.reduce((a: number, b: number) => a + b, 0) };"
    assert (await workers.run_typescript(job(code, inputs=ITEMS))).value == {"sum": 6}


async def test_an_exported_main_gets_the_whole_map(workers, job):
    code = """
export function main(inputs: any): any {
  return { count: inputs.data.items.length, keys: Object.keys(inputs).sort() };
}
"""
    result = await workers.run_typescript(job(code, inputs=ITEMS))
    assert result.value == {"count": 3, "keys": ["data", "globals", "inputs", "node_id"]}


@pytest.mark.parametrize(
    ("code", "function", "value"),
    [
        ("return n + 1", "", 6),
        ("x = 1; return x", "", "x is not defined"),
        ("const f = (a: number): number => a * 2", "", None),
        ("const result = n", "", 5),
        ("const n = 7; const result = n", "", 7),  # may take the name of an input
        ("function main(i: any) { return i.n }", "main", 5),
        ("function other(i: { n: number }) { return i.n }", "other", 5),
        ("export const other = async (i: any) => i.n", "other", 5),
        ("export default (i: any) => i.n", "", 5),
        ("export const result = n", "main", 5),
        ("const result = n", "main", 5),  # every exported diagram names main
        ("return await Promise.resolve(variables.v + globals.v + v)", "", 6),
        ("return [node_id, idempotency_key]", "", ["node_1", "key"]),
        ("return [typeof text, typeof inputs.inputs.text]", "", ["object", "string"]),
        ("enum Color { Red = 'red' }\nreturn Color.Red", "", "red"),
        ("import path from 'node:path'\nexport const main = () => path.join('a', 'b')", "", "a/b"),
        ("const { join } = await import('node:path'); return join('a', 'b')", "", "a/b"),
        ("return `\nimport x from 'y'\n`.trim()", "", "import x from 'y'"),
        ("return 1 // the end", "", 1),
        ("return undefined", "", None),
        ("return { a: undefined, b: [new Date(0)] }", "", {"b": ["1970-01-01T00:00:00.000Z"]}),
    ],
)
async def test_the_value(workers, job, code, function, value):
    inputs = {"n": 5, "text": '{"q": 1}', "my port": 1, "class": 2}
    given = job(code, function=function, inputs=inputs, variables={"v": 2}, idempotency_key="key")
    try:
        assert (await workers.run_typescript(given)).value == value
    except NodeError as error:
        assert str(error) == value


async def test_a_file_imports_what_lies_beside_it_and_in_node_modules(base: Path, workers, job):
    code = base / "files" / "code"
    (code / "lib").mkdir(parents=True)
    (code / "sib.ts").write_text("import { k } from './lib/index.js'\nexport enum E { A = 3 }\nexport const times = k")
    (code / "lib" / "index.ts").write_text("export const k: number = 2")
    (base / "node_modules" / "pad").mkdir(parents=True)
    (base / "node_modules" / "pad" / "index.js").write_text("module.exports = x => x + '!'")
    source = """
import { times, E } from './sib'
import pad from 'pad'
interface In { items: number[] }
export function double({ data }: { data: In }) { return [...data.items.map(n => n * times * E.A), pad('x')] }
"""
    given = job(source, filename="files/code/tools.ts", function="double", inputs=ITEMS, import_dir=str(code))
    for _ in range(2):
        assert (await workers.run_typescript(given)).value == [6, 12, 18, "x!"]
    gone = job(source, filename="files/code/tools.ts", function="gone", inputs=ITEMS, import_dir=str(code))
    with pytest.raises(NodeError, match=r'files/code/tools.ts exports no function "gone"') as caught:
        await workers.run_typescript(gone)
    assert caught.value.kind == "FunctionMissing"


async def test_what_is_thrown_points_at_the_users_line(workers, job):
    code = "\nfunction deep(): never { throw new RangeError('broken on purpose') }\nconsole.log('so far')\ndeep()"
    with pytest.raises(NodeError, match=r"^broken on purpose$") as caught:
        await workers.run_typescript(job(code, filename="a/b.ts"))
    assert caught.value.kind == "RangeError"
    assert caught.value.details.endswith("    at deep (a/b.ts:2:32)\n    at a/b.ts:4:1\nPrinted before:\nso far\n")
    assert "node_code" not in caught.value.details and "node:" not in caught.value.details


@pytest.mark.parametrize("code", ["const a: number = 1;\nconst b = ;", "export const a = 1;\nconst b = ;"])
async def test_a_mistake_in_the_text_names_its_line(workers, job, code):
    with pytest.raises(NodeError, match=r"^Expression expected \(a/b.ts, line 2\)$") as caught:
        await workers.run_typescript(job(code, filename="a/b.ts"))
    assert (caught.value.kind, "const b = ;" in caught.value.details) == ("SyntaxError", True)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("return { rows: [0, () => 1] }", r"value.rows\[1\] is of type function"),
        ("return new Map()", "value is of type Map"),
        ("return [0 / 0]", r"value\[0\] is NaN"),
        ("return 1n", "value is of type bigint"),
        ("let r: any = []; for (let i = 0; i < 300; i++) r = [r]; return r", "nested deeper than 200 levels"),
    ],
)
async def test_what_json_cannot_hold_fails_naming_the_type(workers, job, code, words):
    with pytest.raises(NodeError, match=words) as caught:
        await workers.run_typescript(job(code))
    assert caught.value.kind == "ValueNotJson"


async def test_a_value_too_large_for_an_arrow_fails_naming_the_size(workers, job):
    with pytest.raises(NodeError, match="the value is 9,000,002 bytes; at most 8,388,608") as caught:
        await workers.run_typescript(job("return 'x'.repeat(9_000_000)"))
    assert caught.value.kind == "ValueTooLarge"


async def test_printed_text_is_captured_and_never_the_value(workers, job):
    code = "console.log('out', { a: 1 }); console.error('err'); return 1"
    result = await workers.run_typescript(job(code))
    assert (result.value, result.stdout, result.stderr) == (1, "out { a: 1 }\n", "err\n")
    code = "import { execSync } from 'node:child_process'\nexecSync('echo child', { stdio: 'inherit' })"
    result = await workers.run_typescript(job(code))
    assert (result.value, result.stdout) == (None, "child\n")


@pytest.mark.parametrize(
    ("code", "words", "kind"),
    [
        ("process.exit(3)", r"process.exit\(3\)", "ProcessExit"),
        ("setTimeout(() => { throw new TypeError('late') }); await new Promise(() => {})", "late", "TypeError"),
        ("Promise.reject(new Error('unseen')); await new Promise(() => {})", "unseen", "Error"),
        ("throw 'text'", "text", "Error"),
        ("class Own extends Error {}; throw new Own('mine')", "mine", "Own"),
        ("throw null", "null", "Error"),
    ],
)
async def test_every_way_to_fail_is_an_error_and_the_worker_lives(workers, job, code, words, kind):
    pid = (await workers.run_typescript(job("return process.pid"))).value
    with pytest.raises(NodeError, match=words) as caught:
        await workers.run_typescript(job(code))
    assert caught.value.kind == kind
    assert (await workers.run_typescript(job("return process.pid"))).value == pid


async def test_large_inputs_arrive_whole(workers, job):
    result = await workers.run_typescript(job("return big.length", inputs={"big": "x" * 3_000_000}))
    assert result.value == 3_000_000


async def test_the_environment_is_minimal_and_the_folder_is_base(base: Path, workers, job):
    result = await workers.run_typescript(job("return [process.cwd(), Object.keys(process.env).sort()]"))
    names = [name for name in result.value[1] if name != "TZ"]
    assert result.value[0] == str(base)
    assert names == ["DIPEO_BASE_DIR", "DIPEO_IDEMPOTENCY_KEY", "HOME", "LANG", "PATH", "TMPDIR"]


@pytest.mark.parametrize("how", ["while (true) {}", "await new Promise(() => setInterval(() => 0, 1000))"])
async def test_a_timeout_kills_also_what_the_code_started(workers, job, told, gone, how):
    code = f"""
const {{ spawn }} = await import('node:child_process')
const child = spawn('sleep', ['1000'], {{ detached: true }});
(await import('node:fs')).writeFileSync('told', String(child.pid))
{how}
"""
    call = asyncio.create_task(workers.run_typescript(job(code, timeout_s=1)))
    pid = int(await told())
    with pytest.raises(NodeError, match="timed out after 1 seconds"):
        await call
    await gone(pid)
    assert (await workers.run_typescript(job("return 1"))).value == 1


async def test_too_much_memory_ends_the_worker_with_words(base: Path, job):
    async with Sandbox(base, limits=Limits(memory_bytes=256 * 2**20)) as sandbox:
        workers = sandbox.workers("exec_a")
        with pytest.raises(WorkerDied, match="needs more memory than it may use"):
            await workers.run_typescript(job("const a: any[] = []; while (true) a.push(new Array(1000).fill(1.5))"))
        with pytest.raises((NodeError, WorkerDied)):  # V8 refuses, or gives up
            await workers.run_typescript(job("return Buffer.alloc(2 ** 30).length"))
        assert (await workers.run_typescript(job("return 1"))).value == 1


async def test_files_outside_the_project_are_closed(sandbox, job, tmp_path: Path):
    if not all(layer.holds for layer in await sandbox.layers() if layer.name == "files"):
        pytest.skip("this kernel has no Landlock")
    (tmp_path / "secret").write_text("s3cret")
    code = f"return (await import('node:fs')).readFileSync('{tmp_path}/secret', 'utf8')"
    with pytest.raises(NodeError, match="EACCES: permission denied"):
        await sandbox.workers("exec_a").run_typescript(job(code))


async def test_without_node_the_error_says_what_to_do(base: Path, job, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    async with Sandbox(base, node="/nowhere/node") as sandbox:
        with pytest.raises(NodeMissing, match=r'"/nowhere/node", cannot be started; install dipeo-executor\[typescri'):
            await sandbox.workers("exec_a").run_typescript(job("return 1"))


async def test_an_old_node_is_named_with_its_version(base: Path, job, tmp_path: Path):
    old = tmp_path / "node"
    old.write_text("#!/bin/sh\necho v18.20.1")
    old.chmod(0o755)
    async with Sandbox(base, node=str(old)) as sandbox:
        with pytest.raises(NodeMissing, match=r"is v18.20.1, which is too old"):
            await sandbox.workers("exec_a").run_typescript(job("return 1"))


async def test_a_node_without_types_runs_javascript_and_says_so_of_typescript(base: Path, job):
    node = shutil.which("node", path=os.pathsep.join(["/usr/bin", "/usr/local/bin"]))
    process = node and await asyncio.create_subprocess_exec(node, "--version", stdout=asyncio.subprocess.PIPE)
    if not process or not (await process.communicate())[0].startswith(b"v20."):
        pytest.skip("no Node.js 20 on this machine")
    async with Sandbox(base, node=str(node)) as sandbox:
        workers = sandbox.workers("exec_a")
        assert (await workers.run_typescript(job("return [1, 2].map(n => n * 2)"))).value == [2, 4]
        assert (await workers.run_typescript(job("export const main = inputs => inputs.n", inputs={"n": 1}))).value == 1
        with pytest.raises(NodeError, match=r"if this is TypeScript, types need Node.js 22.13 or newer, this is v20"):
            await workers.run_typescript(job("const a: number = 1; return a"))
