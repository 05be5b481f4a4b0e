import json

import pytest
import yaml
from fakes import context, run

from dipeo_executor.files import PathOutsideProject
from dipeo_executor.nodes import endpoint, start
from dipeo_executor.nodes.base import NodeError


@pytest.mark.parametrize(
    ("props", "variables", "body"),
    [
        pytest.param({"trigger_mode": "manual", "custom_data": {"a": 1}}, {}, {"default": {"a": 1}}, id="START-1"),
        pytest.param({}, {"v": 1}, {"default": {"v": 1}}, id="START-2"),
        pytest.param({}, {}, {"default": {}}, id="START-3"),
        pytest.param(
            {"trigger_mode": "manual", "custom_data": {"a": 1}}, {"v": 5}, {"default": {"v": 5, "a": 1}}, id="START-4"
        ),
        pytest.param(
            {"trigger_mode": "manual", "custom_data": {"a": 1}}, {"a": 9}, {"default": {"a": 9}}, id="START-4-override"
        ),
        pytest.param({}, {"default": 5, "k": 2}, {"default": 5, "k": 2}, id="START-5"),
        pytest.param({"custom_data": {"k": "v"}}, {"gv": 1}, {"default": {"gv": 1}}, id="case-23"),
        # decision 32: the caller's variable wins
        pytest.param(
            {"trigger_mode": "manual", "custom_data": {"gv": 2}}, {"gv": 1}, {"default": {"gv": 1}}, id="case-24"
        ),
        pytest.param({}, {"default": {"z": 1}, "gv": 1}, {"default": {"z": 1}, "gv": 1}, id="case-25"),
    ],
)
async def test_start(tmp_path, props, variables, body):
    out = await run(start, props, {}, context(tmp_path, variables=variables))
    assert out.value == body
    assert out.meta["trigger_mode"] == props.get("trigger_mode", "none")


async def test_custom_data_that_is_no_map_is_an_error(tmp_path):
    with pytest.raises(NodeError, match="custom_data must be a map"):
        await run(start, {"trigger_mode": "manual", "custom_data": "a=1"}, {}, context(tmp_path))


async def test_end_1_text_is_saved_as_it_is(tmp_path):
    props = {"save_to_file": True, "file_path": "files/results/a.txt"}
    out = await run(endpoint, props, {"default": "txt"}, context(tmp_path))
    assert out.value == {"default": "txt"}
    assert out.meta == {"wrapped": True, "size": 3, "saved_to": "files/results/a.txt"}
    assert (tmp_path / "files/results/a.txt").read_text() == "txt"


async def test_end_2_a_map_is_saved_as_indented_ascii_json(tmp_path):
    out = await run(endpoint, {"save_to_file": True, "file_name": "b.txt"}, {"default": {"k": "é"}}, context(tmp_path))
    assert out.value == {"k": "é"}
    assert (tmp_path / "b.txt").read_text() == '{\n  "k": "\\u00e9"\n}'


async def test_end_3_labelled_inputs_are_one_map(tmp_path):
    out = await run(endpoint, {}, {"x": "a", "y": {"b": 1}}, context(tmp_path))
    assert out.value == {"x": "a", "y": {"b": 1}}
    assert out.meta == {}
    assert list(tmp_path.iterdir()) == []


async def test_end_5_a_file_outside_the_project_is_refused(tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    with pytest.raises(PathOutsideProject):
        await run(endpoint, {"save_to_file": True, "file_name": "../escape.txt"}, {"default": "x"}, context(base))
    assert not (tmp_path / "escape.txt").exists()


@pytest.mark.parametrize(
    ("file_format", "value", "read", "expected"),
    [
        ("yaml", {"b": 1, "a": [1, "é"]}, yaml.safe_load, {"b": 1, "a": [1, "é"]}),
        ("json", [1, 2], json.loads, [1, 2]),
        ("json", "text", json.loads, "text"),
        ("json", '{"already": 1}', json.loads, {"already": 1}),
        ("txt", {"a": 1}, json.loads, {"a": 1}),
        ("md", "# é", str, "# é"),
        ("", [1, 2], json.loads, [1, 2]),
    ],
)
async def test_the_file_has_the_format_that_was_asked_for(tmp_path, file_format, value, read, expected):
    props = {"save_to_file": True, "file_name": "out", "file_format": file_format}
    await run(endpoint, props, {"default": value}, context(tmp_path))
    assert read((tmp_path / "out").read_text()) == expected


async def test_without_a_name_the_file_is_named_after_the_node(tmp_path):
    await run(endpoint, {"save_to_file": True}, {"default": 1}, context(tmp_path))
    assert (tmp_path / "output_n1.json").read_text() == "1"


async def test_a_format_nobody_knows_is_said_and_the_default_taken(tmp_path):
    ctx = context(tmp_path)
    await run(endpoint, {"save_to_file": True, "file_name": "a", "file_format": "docx"}, {"default": "x"}, ctx)
    assert (tmp_path / "a").read_text() == "x"
    assert "docx" in ctx.warnings[0]


async def test_a_file_of_an_images_name_gets_the_image_the_nodes_before_have_made(tmp_path):
    (tmp_path / "made.png").write_bytes(b"\x89PNG\r\n")
    props = {"save_to_file": True, "file_name": "files/results/drawing.PNG", "file_format": "txt"}
    ctx = context(tmp_path, pictures=["older.png", "made.png"])
    out = await run(endpoint, props, {"default": "drawn"}, ctx)
    assert (tmp_path / "files/results/drawing.PNG").read_bytes() == b"\x89PNG\r\n"
    assert out.value == {"default": "drawn"} and out.meta["size"] == 6
    assert ctx.warnings == []
    await run(endpoint, {**props, "file_name": "drawing.jpg"}, {"default": "drawn"}, ctx)
    assert ctx.warnings == ['the image is png, though "drawing.jpg" is named as jpeg']


async def test_without_an_image_the_text_is_written_and_that_is_said(tmp_path):
    ctx = context(tmp_path)
    await run(endpoint, {"save_to_file": True, "file_name": "drawing.jpg"}, {"default": "drawn"}, ctx)
    assert (tmp_path / "drawing.jpg").read_text() == "drawn"
    assert "made no image" in ctx.warnings[0]
