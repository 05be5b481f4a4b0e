"""Node contract 7.5 and its cases 7.6."""

import asyncio
from pathlib import Path

import pytest

from dipeo_executor.nodes.base import NodeError


async def test_code_7_maps_are_json_in_the_environment_and_stdout_is_text(workers, job):
    result = await workers.run_bash(job("echo $INPUT_default; exit 0", inputs={"default": {"k": 1}}))
    assert result.value == '{"k": 1}'


async def test_code_8_a_failing_script_says_what_it_wrote_to_stderr(workers, job):
    with pytest.raises(NodeError, match=r"^bash ended with exit code 3: err$") as caught:
        await workers.run_bash(job("echo err >&2; exit 3"))
    assert (caught.value.kind, caught.value.details) == ("ExitCode", "err\n")


async def test_ports_become_variables_and_the_script_runs_in_base(base: Path, workers, job):
    code = 'echo "$INPUT_my_port|$INPUT_yes|$INPUT_none|$INPUT_KEYS|$INPUT_node_id|$INPUT_globals|$INPUT_inputs"; pwd'
    inputs = {"my port": 1.5, "yes": True, "none": None}
    result = await workers.run_bash(job(code + "; echo $DIPEO_IDEMPOTENCY_KEY", inputs=inputs, idempotency_key="k"))
    assert result.value.splitlines() == [
        '1.5|True||my_port yes none|node_1|{}|{"my port": 1.5, "yes": true, "none": null}',
        str(base),
        "k",
    ]


async def test_messages_of_bash_name_the_file_as_the_user_does(workers, job):
    with pytest.raises(NodeError, match=r"exit code 127: tools/x.sh: line 2: nonsense: command not found"):
        await workers.run_bash(job("\nnonsense", filename="tools/x.sh"))


async def test_stderr_of_a_script_that_succeeds_is_kept(workers, job):
    result = await workers.run_bash(job("echo warning >&2; echo done"))
    assert (result.value, result.stderr) == ("done", "warning\n")


async def test_a_child_left_in_the_background_does_not_hold_up_the_answer(workers, job):
    async with asyncio.timeout(10):
        assert (await workers.run_bash(job("sleep 1000 & echo here"))).value == "here"


async def test_an_input_too_large_for_the_environment_is_named(workers, job):
    with pytest.raises(NodeError, match="INPUT_data would have 200,000 bytes; bash takes inputs up to 131,071 each"):
        await workers.run_bash(job("true", inputs={"data": "x" * 200_000}))
    with pytest.raises(NodeError, match="do not fit into bash's environment"):
        await workers.run_bash(job("true", inputs={f"p{n}": "x" * 130_000 for n in range(30)}))
    with pytest.raises(NodeError, match="INPUT_data holds a NUL character"):
        await workers.run_bash(job("true", inputs={"data": "a\0b"}))


async def test_output_too_large_for_an_arrow_fails_naming_the_size(workers, job):
    with pytest.raises(NodeError, match="the value is 9,000,000 bytes"):
        await workers.run_bash(job("head -c 9000000 /dev/zero"))
