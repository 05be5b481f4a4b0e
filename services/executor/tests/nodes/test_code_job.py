import pytest
from fakes import KeptWorkers, context, run

from dipeo_executor.files import PathOutsideProject
from dipeo_executor.nodes import code_job
from dipeo_executor.nodes.base import CodeResult, NodeError


async def test_code_is_handed_to_a_worker_with_inputs_and_outer_scopes(tmp_path):
    workers = KeptWorkers()
    ctx = context(tmp_path, workers=workers, variables={"a": 1}, custom_data={"a": 0, "b": 2})
    await run(code_job, {"code": "result = 1", "timeout": 5, "function_name": "f"}, {"default": '{"q":1}'}, ctx)
    (job,) = workers.python
    assert (job.source, job.function, job.timeout_s, job.node_id) == ("result = 1", "f", 5, "n1")
    assert job.inputs == {"default": '{"q":1}'}
    assert job.variables == {"a": 1, "b": 2}
    assert job.idempotency_key == "key-0"
    assert (job.filename, job.import_dir) == ("<N>", "")


@pytest.mark.parametrize("value", [3, True, None, 0, [1, 2], "text", {"a": 1}])
async def test_case_29_results_stay_what_they_are(tmp_path, value):
    workers = KeptWorkers(lambda job: CodeResult(value))
    out = await run(code_job, {"code": "x"}, {}, context(tmp_path, workers=workers))
    assert out.value == value and type(out.value) is type(value)


async def test_output_goes_to_meta_and_into_the_journal(tmp_path):
    ctx = context(tmp_path, workers=KeptWorkers(lambda job: CodeResult(1, "one\ntwo\n", "oops\n")))
    out = await run(code_job, {"code": "x"}, {}, ctx)
    assert (out.meta["stdout"], out.meta["stderr"], out.meta["language"]) == ("one\ntwo\n", "oops\n", "python")
    assert [message for _, message in ctx.lines] == ["one", "two", "oops"]


async def test_a_code_file_keeps_its_name_and_its_folder_is_importable(tmp_path):
    workers = KeptWorkers()
    props = {"code": "def main(): pass", "filePath": "projects/p/m.py"}
    await run(code_job, props, {}, context(tmp_path, workers=workers))
    assert workers.python[0].filename == "projects/p/m.py"
    assert workers.python[0].import_dir == str(tmp_path / "projects/p")
    with pytest.raises(PathOutsideProject):
        await run(code_job, {**props, "filePath": "../m.py"}, {}, context(tmp_path))


@pytest.mark.parametrize("language", ["bash", "shell"])
async def test_shell_is_bash(tmp_path, language):
    workers = KeptWorkers(lambda job: CodeResult("out"))
    out = await run(code_job, {"language": language, "code": "echo out"}, {}, context(tmp_path, workers=workers))
    assert (out.value, out.meta["language"], len(workers.bash)) == ("out", "bash", 1)
    assert workers.bash[0].timeout_s == 30


async def test_typescript_goes_to_its_own_worker(tmp_path):
    workers = KeptWorkers(lambda job: CodeResult({"n": 1}, "said\n", ""))
    out = await run(code_job, {"language": "typescript", "code": "return 1"}, {}, context(tmp_path, workers=workers))
    assert (out.value, out.meta["language"], out.meta["stdout"]) == ({"n": 1}, "typescript", "said\n")
    assert [job.source for job in workers.typescript] == ["return 1"]


@pytest.mark.parametrize(
    ("props", "words"),
    [({}, "give code"), ({"file_path": "a.py"}, "a.py")],
)
async def test_what_cannot_be_run_says_what_is_missing(tmp_path, props, words):
    with pytest.raises(NodeError, match=words):
        await run(code_job, props, {}, context(tmp_path))
