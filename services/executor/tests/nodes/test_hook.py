import asyncio
import json
import os
from pathlib import Path

import pytest
import yaml
from fakes import KeptWorkers, context, run
from pydantic import ValidationError
from webserver import outgoing, serving

from dipeo_executor.files import PathOutsideProject
from dipeo_executor.nodes import hook
from dipeo_executor.nodes.base import CodeJob, CodeResult, NodeError


class RealBash:
    """Runs the script as the sandbox does, without its walls."""

    async def run_bash(self, job: CodeJob) -> CodeResult:
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", job.source, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await process.communicate()
        if process.returncode:
            raise NodeError(f"exit code {process.returncode}: {err.decode().strip()}")
        return CodeResult(out.decode().strip(), out.decode(), err.decode())


async def shell(base, inputs=None, **props):
    ctx = context(base, workers=RealBash(), variables={"who": "ada"})
    return await run(hook, {"hook_type": "shell", **props}, inputs or {}, ctx)


async def test_hook_1_the_output_of_a_program_is_the_value(tmp_path):
    out = await shell(tmp_path, command="echo hi")
    assert out.value == "hi"
    assert (out.meta["hook_type"], out.meta["success"], out.meta["exit_code"]) == ("shell", True, 0)
    assert out.meta["stdout"] == "hi\n"


async def test_hook_2_output_that_is_json_is_that_value(tmp_path):
    assert (await shell(tmp_path, command="echo", args=['{"a":1}'])).value == {"a": 1}


async def test_hook_3_an_http_error_fails_the_node(tmp_path):
    async with serving() as server, outgoing() as http:
        with pytest.raises(NodeError, match="500 Internal Server Error"):
            await run(
                hook, {"hook_type": "http", "url": f"{server.url}/web/status/500"}, {}, context(tmp_path, http=http)
            )
        assert len(server.asked) == 1


async def test_hook_4_a_file_gets_inputs_and_the_name_of_the_node(tmp_path):
    ctx = context(tmp_path, variables={"who": "ada"})
    props = {"hook_type": "file", "file_path": "files/{who}.json"}
    out = await run(hook, props, {"thing": {"word": "tea"}}, ctx)
    assert out.value == {"status": "success", "file": "files/ada.json"}
    assert out.meta["file_path"] == "files/ada.json"
    assert json.loads((tmp_path / "files/ada.json").read_text()) == {
        "inputs": {"thing": {"word": "tea"}},
        "node_id": "N",
    }
    await run(hook, {**props, "file_path": "a.yaml", "format": "yaml"}, {"é": 1}, ctx)
    assert (tmp_path / "a.yaml").read_text() == "inputs:\n  é: 1\nnode_id: N\n"


async def test_files_stay_inside_the_project(tmp_path):
    with pytest.raises(PathOutsideProject):
        await run(hook, {"hook_type": "file", "file_path": "../x"}, {}, context(tmp_path))


# --- shell ------------------------------------------------------------------------------------------------------------


async def test_no_shell_reads_the_command(tmp_path):
    out = await shell(
        tmp_path,
        {"default": {"x": "a b; $(touch hacked) 'q'"}},
        command="printf '<%s>' '{{ x }}' $HOME ;",
        args=["{{x}}", 5],
    )
    assert out.value == "<a b; $(touch hacked) 'q'><$HOME><;><a b; $(touch hacked) 'q'><5>"
    assert not (tmp_path / "hacked").exists()


async def test_inputs_and_variables_are_in_the_environment(tmp_path):
    inputs = {"my thing": {"word": "it's"}, "default": True}
    out = await shell(
        tmp_path, inputs, command="printenv DIPEO_INPUT_MY_THING DIPEO_INPUT_DEFAULT WHO", env={"WHO": "{{who}}"}
    )
    assert out.value == '{"word": "it\'s"}\ntrue\nada'


async def test_the_folder_can_be_chosen_inside_the_project(tmp_path):
    (tmp_path / "sub").mkdir()
    assert (await shell(tmp_path, command="pwd", cwd="sub")).value == str(tmp_path / "sub")
    with pytest.raises(PathOutsideProject):
        await shell(tmp_path, command="pwd", cwd="..")


@pytest.mark.parametrize(
    ("props", "words"),
    [
        ({}, "needs command"),
        ({"command": "echo 'open"}, "cannot be split"),
        ({"command": "echo {{nope}}"}, "no value for nope"),
        ({"command": "x", "env": {"A-B": "1"}}, "not a name"),
        ({"command": "x", "env": {"A": "1" * 200_000}}, "200,000 bytes"),
        ({"command": "sh -c 'echo oops >&2; exit 3'"}, "oops"),
        ({"command": "no-such-program"}, "not found"),
    ],
)
async def test_what_cannot_be_run_says_why(tmp_path, props, words):
    with pytest.raises(NodeError, match=words):
        await shell(tmp_path, **props)


async def test_a_failing_program_is_tried_again_when_asked_for(tmp_path):
    script = f"sh -c 'echo x >> {tmp_path}/tries; test $(wc -l < {tmp_path}/tries) -ge 3'"
    await shell(tmp_path, command=script, retry_count=2)
    assert (tmp_path / "tries").read_text() == "x\nx\nx\n"
    (tmp_path / "tries").unlink()
    with pytest.raises(NodeError):
        await shell(tmp_path, command=script, retry_count=1)


# --- python -----------------------------------------------------------------------------------------------------------


async def test_a_function_is_run_on_the_inputs_in_a_worker(tmp_path):
    workers = KeptWorkers(lambda job: CodeResult({"a": None}, "said\n"))
    ctx = context(tmp_path, workers=workers)
    props = {"hook_type": "python", "script": "def mine(x): return x", "function": "mine", "timeout": 5}
    out = await run(hook, props, {"thing": {"ok": True}}, ctx)
    (job,) = workers.python
    assert (job.source, job.function, job.timeout_s, job.inputs) == (
        props["script"],
        "mine",
        5,
        {"thing": {"ok": True}},
    )
    assert job.idempotency_key == "key-0"
    assert out.value == {"a": None} and ctx.lines == [("info", "said")]


@pytest.mark.parametrize(
    ("props", "words"), [({}, "needs script"), ({"script": "def other(x): pass"}, 'no function "hook"')]
)
async def test_a_script_must_define_its_function(tmp_path, props, words):
    with pytest.raises(NodeError, match=words):
        await run(hook, {"hook_type": "python", **props}, {}, context(tmp_path))


# --- http -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["http", "webhook"])
async def test_inputs_are_posted_as_json(tmp_path, kind):
    async with serving() as server, outgoing() as http:
        props = {"hook_type": kind, "url": server.url + "/web/{{where}}", "headers": {"X-A": "{{where}}"}}
        out = await run(hook, props, {"thing": 1}, context(tmp_path, http=http, variables={"where": "echo"}))
    (asked,) = server.asked
    assert asked.json == {"inputs": {"thing": 1}, "hook_type": "hook_node", "node_id": "N"}
    assert (asked.method, asked.headers["x-a"], asked.headers["idempotency-key"]) == ("POST", "echo", "key-0")
    assert out.value["method"] == "POST" and out.meta["http"]["status"] == 200 and out.meta["hook_type"] == "http"


async def test_an_http_hook_is_tried_again_as_often_as_asked_for(tmp_path):
    async with serving() as server, outgoing() as http:
        props = {"hook_type": "http", "url": f"{server.url}/web/flaky?key=a&fail=2", "retry_count": 2}
        assert (await run(hook, props, {}, context(tmp_path, http=http))).value == {"ok": True}
    assert http.waits == [1, 2]


@pytest.mark.parametrize(
    ("props", "words"), [({}, "needs url"), ({"url": "u", "subscribe_to": {}}, "not possible yet")]
)
async def test_an_http_hook_needs_an_address(tmp_path, props, words):
    with pytest.raises(NodeError, match=words):
        await run(hook, {"hook_type": "http", **props}, {}, context(tmp_path))


# --- properties and recordings ----------------------------------------------------------------------------------------


def test_config_is_an_older_place_for_every_property():
    given = {"hook_type": "webhook", "url": "outer", "config": {"url": "inner", "method": "put", "headers": {"A": "b"}}}
    props = hook.Props.model_validate(given)
    assert (props.hook_type, props.url, props.method, props.headers) == ("http", "outer", "PUT", {"A": "b"})


@pytest.mark.parametrize(
    "wrong", [{"hook_type": "fax"}, {"config": {"timeout": "soon"}}, {"retry_count": -1}, {"args": "x"}]
)
def test_properties_of_the_wrong_kind_are_refused(wrong):
    with pytest.raises(ValidationError):
        hook.Props.model_validate(wrong)


@pytest.mark.parametrize(
    "case", ["hook-shell", "hook-shell-command-field", "hook-file", "hook-http", "hook-webhook", "hook-python"]
)
async def test_recordings_of_hooks_give_what_they_should_have(tmp_path, case):
    folder = os.environ.get("DIPEO_TEST_SHARED")
    if not folder:
        pytest.skip("DIPEO_TEST_SHARED does not name the folder of the recordings")
    async with serving() as server, outgoing() as http:
        text = (Path(folder) / "cases" / case / "diagram.light.yaml").read_text()
        nodes = yaml.safe_load(text.replace("http://127.0.0.1:28480", server.url))["nodes"]
        props = next(node for node in nodes if node["type"] == "hook")
        inputs = {"thing": {"word": "tea"}}
        workers = KeptWorkers(lambda job: CodeResult(job.inputs)) if case == "hook-python" else RealBash()
        value = (await run(hook, props, inputs, context(tmp_path, http=http, workers=workers))).value
    sent = {"inputs": inputs, "hook_type": "hook_node", "node_id": "N"}
    match case:
        case "hook-shell":
            assert value == "one two"
        case "hook-shell-command-field":
            assert value == "plain"
        case "hook-python":
            assert value == inputs
        case "hook-file":
            assert value["file"] == "files/results/hooked.json"
            assert json.loads((tmp_path / value["file"]).read_text()) == {"inputs": inputs, "node_id": "N"}
        case _:
            assert (value["method"], value["body"]) == ("POST", sent)
