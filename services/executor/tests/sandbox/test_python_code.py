"""Node contract 7.3 and its cases 7.6, with decisions 5, 6, 27 and 44."""

import asyncio
import re
from pathlib import Path

import pytest

from dipeo_executor.nodes.base import NodeError


async def test_code_1_nested_start_values_are_reached_by_name(workers, job):
    code = 'result = {"x": default["default"]["a"]}'
    result = await workers.run_python(job(code, inputs={"default": {"default": {"a": 1}}}))
    assert result.value == {"x": 1}


async def test_code_2_main_gets_ports_and_the_three_names_beside_them(workers, job):
    result = await workers.run_python(job("def main(inputs): return sorted(inputs)", inputs={"default": 1}))
    assert result.value == ["default", "globals", "inputs", "node_id"]


async def test_code_3_text_that_is_json_is_parsed_but_not_in_inputs(workers, job):
    code = 'result = [type(default).__name__, type(inputs["default"]).__name__, other]'
    inputs = {"default": ' {"q": 1}', "other": "{not json"}
    assert (await workers.run_python(job(code, inputs=inputs))).value == ["dict", "str", "{not json"]


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("x = 1", None),
        ("result = 5", 5),
        ("return (1,2)", [1, 2]),
        ("result = True", True),
        ("result = None", None),
        ("result = 0", 0),
        ("result = 'ä\\n'", "ä\n"),
        ("result = 2 ** 100", 2**100),
        ("result = 0.1", 0.1),
        ("return", None),
    ],
)
async def test_code_4_and_case_29_values_stay_themselves(workers, job, code, value):
    result = (await workers.run_python(job(code))).value
    assert result == value and type(result) is type(value)


async def test_code_5_and_case_30_an_exception_carries_its_type_message_and_the_users_own_frames(workers, job):
    code = "def f():\n    raise ValueError('bad')\n\nf()"
    with pytest.raises(NodeError, match=r"^bad$") as caught:
        await workers.run_python(job(code))
    assert caught.value.kind == "ValueError"
    lines = [line for line in caught.value.details.splitlines() if "^" not in line and "~" not in line]
    assert lines == [
        "Traceback (most recent call last):",
        '  File "<Node>", line 4, in <module>',
        "    f()",
        '  File "<Node>", line 2, in f',
        "    raise ValueError('bad')",
        "ValueError: bad",
    ]


async def test_code_6_a_sleeping_job_times_out(workers, job):
    async with asyncio.timeout(10):
        with pytest.raises(NodeError, match=r"^timed out after 0.3 seconds$") as caught:
            await workers.run_python(job("import time; time.sleep(30)", timeout_s=0.3))
    assert caught.value.kind == "TimeoutError"


async def test_code_9_a_file_imports_its_sibling_and_the_configured_function_is_called(base: Path, workers, job):
    folder = base / "projects" / "p"
    folder.mkdir(parents=True)
    (folder / "sib.py").write_text("WORD = 'hello'")
    (base / "top.py").write_text("MARK = '!'")
    where = {"filename": "projects/p/m.py", "import_dir": str(folder)}
    code = "import sib, top\ndef other(inputs): return [sib.WORD + top.MARK, __file__]"
    result = await workers.run_python(job(code, function="other", **where))
    assert result.value == ["hello!", str(folder / "m.py")]
    with pytest.raises(NodeError, match=r'projects/p/m.py defines no function "another"'):
        await workers.run_python(job(code, function="another", **where))


async def test_names_are_there_and_the_reserved_ones_win(workers, job):
    code = "result = [a, inputs, node_id, variables, globals, idempotency_key, __name__]"
    inputs = {"a": 1, "not a name": 2, "class": 3, "node_id": "mine"}
    result = await workers.run_python(job(code, inputs=inputs, variables={"v": 1}, idempotency_key="key"))
    assert result.value == [1, inputs, "node_1", {"v": 1}, {"v": 1}, "key", "code_module"]


async def test_variables_are_the_outer_scope_and_shadow_neither_inputs_nor_python(workers, job):
    code = "result = [a, v, len(default)]"
    variables = {"a": "outer", "v": "variable", "len": "no function"}
    result = await workers.run_python(job(code, inputs={"a": "input", "default": [1]}, variables=variables))
    assert result.value == ["input", "variable", 1]


async def test_the_idempotency_key_is_in_the_environment(workers, job):
    code = "import os; result = os.environ['DIPEO_IDEMPOTENCY_KEY']"
    assert (await workers.run_python(job(code, idempotency_key="run/1/n"))).value == "run/1/n"


async def test_the_source_runs_unchanged_also_with_a_top_level_return(workers, job):
    code = '''"""doc"""
from __future__ import annotations

count: int = 1
text = """a

  b"""
def add(more: Missing) -> int:
    global count
    count += more
    return count

class Kept:
    size: int = 3

for number in range(5):
    if add(number) > 3:
        return [text, count, [Kept.size + n for n in range(2)], globals]
'''
    assert (await workers.run_python(job(code))).value == ["a\n\n  b", 4, [3, 4], {}]


async def test_line_numbers_hold_after_a_top_level_return(workers, job):
    with pytest.raises(NodeError) as caught:
        await workers.run_python(job("if False:\n    return 1\n\n1 / 0"))
    assert caught.value.kind == "ZeroDivisionError"
    assert 'File "<Node>", line 4, in <module>\n    1 / 0' in caught.value.details


async def test_a_return_that_is_not_met_leaves_the_other_ways(workers, job):
    assert (await workers.run_python(job("if False:\n    return 1\nresult = 2"))).value == 2
    assert (await workers.run_python(job("if False:\n    return 1\ndef main(inputs): return 3"))).value == 3


@pytest.mark.parametrize("code", ["class A:\n    return 1", "def f(:", "x = 'open", "return 1\nfrom os import *"])
async def test_a_syntax_error_names_file_and_line(workers, job, code):
    with pytest.raises(NodeError, match=r"line \d") as caught:
        await workers.run_python(job(code))
    assert caught.value.kind == "SyntaxError"
    assert "dipeo_worker" not in caught.value.details


@pytest.mark.parametrize(
    ("signature", "value"),
    [
        ("data", "map"),
        ("inputs, limit=3", "map"),
        ("data, limit=3", "map"),
        ("*args", "map"),
        ("", "none"),
        ("a, b", [1, 2]),
        ("b, a=5", [1, 2]),
        ("a, b, c=3", [1, 2]),
        ("*, a, b=7", [1, 2]),
        ("**b", {"a": 1, "b": 2}),
    ],
)
async def test_main_gets_the_map_or_what_its_signature_names(workers, job, signature, value):
    names = re.findall(r"\w+", signature)
    given = "b" if signature == "**b" else "[a, b]" if "a" in names else repr("none")
    if value == "map":
        given = f"'map' if {names[0]}{'[0]' if '*' in signature else ''}['inputs'] == {{'a': 1, 'b': 2}} else 'other'"
    code = f"def main({signature}): return {given}"
    assert (await workers.run_python(job(code, inputs={"a": 1, "b": 2}))).value == value


async def test_an_argument_no_input_fills_is_named(workers, job):
    with pytest.raises(NodeError, match=r"^main\(\) wants c, but the inputs are a, b$") as caught:
        await workers.run_python(job("def main(a, c): pass", inputs={"a": 1, "b": 2}))
    assert caught.value.kind == "TypeError"


async def test_inline_code_may_lack_the_function_if_it_has_a_result(workers, job):
    assert (await workers.run_python(job("result = 1", function="transform"))).value == 1
    assert (await workers.run_python(job("print(1)", function="main"))).value is None
    with pytest.raises(NodeError, match='defines no function "transform"'):
        await workers.run_python(job("print(1)", function="transform"))


async def test_async_functions_are_awaited(workers, job):
    code = "import asyncio\nasync def main(inputs):\n    await asyncio.sleep(0)\n    return inputs['a']"
    assert (await workers.run_python(job(code, inputs={"a": 1}))).value == 1
    code = "async def main():\n    raise KeyError('k')"
    with pytest.raises(NodeError, match=r"^there is no key 'k'$") as caught:
        await workers.run_python(job(code))
    assert "asyncio" not in caught.value.details and "line 2, in main" in caught.value.details


async def test_printed_text_is_captured_also_from_child_processes(workers, job):
    code = "import sys, os\nprint('out'); print('err', file=sys.stderr); sys.stdout.flush(); os.system('echo child')"
    result = await workers.run_python(job(code))
    assert (result.stdout, result.stderr) == ("out\nchild\n", "err\n")
    again = await workers.run_python(job("import sys; print('x' * 100_000); sys.stdout.close()"))
    assert again.stdout == "x" * 65536
    assert (await workers.run_python(job("print('after')"))).stdout == "after\n"


async def test_what_was_printed_before_an_error_is_in_its_details(workers, job):
    with pytest.raises(NodeError) as caught:
        await workers.run_python(job("print('so far'); 1 / 0"))
    assert caught.value.details.endswith("Printed before:\nso far\n")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("result = {'rows': [0, {1}]}", r"value.rows\[1\] is of type set"),
        ("import datetime; result = datetime.datetime.now()", "value is of type datetime.datetime,"),
        ("result = b'x'", "value is of type bytes"),
        ("class Own: pass\nresult = Own()", "value is of type Own,"),
        ("result = {1: 2}", "value has the key 1 of type int; keys must be text"),
        ("result = [float('nan')]", r"value\[0\] is nan"),
        ("result = []\nfor _ in range(300): result = [result]", "nested deeper than 200 levels"),
        ("result = '\\ud800'", "text that is not Unicode"),
    ],
)
async def test_what_json_cannot_hold_fails_naming_the_type(workers, job, code, words):
    with pytest.raises(NodeError, match=words) as caught:
        await workers.run_python(job(code))
    assert caught.value.kind == "ValueNotJson"


async def test_a_value_too_large_for_an_arrow_fails_naming_the_size(workers, job):
    with pytest.raises(NodeError, match="the value is 9,000,002 bytes; at most 8,388,608") as caught:
        await workers.run_python(job("result = 'x' * 9_000_000"))
    assert caught.value.kind == "ValueTooLarge"
    assert len((await workers.run_python(job("result = 'x' * 1_000_000"))).value) == 1_000_000


async def test_named_tuples_enums_and_counters_are_what_they_are_made_of(workers, job):
    code = """
import collections, enum
class Color(str, enum.Enum): RED = "red"
Point = collections.namedtuple("Point", "x y")
result = [Point(1, 2), Color.RED, collections.Counter("aab")]
"""
    assert (await workers.run_python(job(code))).value == [[1, 2], "red", {"a": 2, "b": 1}]


async def test_dataclasses_with_postponed_annotations_work(workers, job):
    code = """
from __future__ import annotations
import dataclasses
@dataclasses.dataclass
class Row:
    name: str
    size: int = 0
result = dataclasses.asdict(Row("a"))
"""
    assert (await workers.run_python(job(code))).value == {"name": "a", "size": 0}


@pytest.mark.parametrize("code", ["import sys; sys.exit(3)", "raise SystemExit(3)"])
async def test_sys_exit_is_an_error_of_the_code_not_the_end_of_its_worker(workers, job, code):
    with pytest.raises(NodeError, match=r"sys.exit\(3\)") as caught:
        await workers.run_python(job(code))
    assert caught.value.kind == "SystemExit"


async def test_large_inputs_and_long_integers_arrive_exactly(workers, job):
    inputs = {"big": "x" * 3_000_000, "n": 12345678901234567890123}
    assert (await workers.run_python(job("result = [len(big), n + 1]", inputs=inputs))).value == [
        3_000_000,
        12345678901234567890124,
    ]
