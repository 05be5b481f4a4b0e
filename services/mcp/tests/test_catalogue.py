"""The store's catalogue behind the service, as in deployment, and the folder that stands for it on a laptop."""

import asyncio
from pathlib import Path

import pytest
from mcp.shared.subscriptions import ToolsListChanged
from mcp_house import BROKEN, HELLO, MODERN, client, place, publish, text_of

from dipeo_cli.local.published import Folder
from dipeo_kit import errors, publishing, rpc
from dipeo_protos.store.v1 import content_pb2


async def test_what_is_in_the_store_is_offered_and_run(tmp_path: Path):
    async with place(tmp_path, diagrams={}, stored=True) as there, client(there.url, MODERN) as connected:
        put = content_pb2.PutDiagramRequest(
            name="stored", format="light", text=HELLO, published=True, updated_by="test"
        )
        async with connected.listen(tools_list_changed=True) as changes:
            await rpc.call(there.house.store.PutDiagram, put)
            async with asyncio.timeout(2):
                assert await anext(changes) == ToolsListChanged()
        ran = (await connected.call_tool("diagram_stored", {"name": "Bo"})).structured_content
        assert (ran["result"], ran["diagram"]) == ("Hello, Bo!", "stored")

        pushed = {"diagram_content": HELLO, "push_as": "pushed", "format_type": "light"}
        assert (await connected.call_tool("compile_diagram", pushed)).structured_content[
            "tool_name"
        ] == "diagram_pushed"
        assert (await connected.call_tool("compile_diagram", pushed)).is_error
        changed = pushed | {"diagram_content": HELLO.replace("Hello", "Hi"), "overwrite": True}
        await connected.call_tool("compile_diagram", changed)
        assert (await connected.call_tool("diagram_pushed", {})).structured_content["result"] == "Hi, world!"
        listed = await rpc.call(there.house.store.ListDiagrams, content_pb2.ListDiagramsRequest(published_only=True))
        assert sorted(entry.name for entry in listed.entries) == ["pushed", "stored"]
        gone = await connected.call_tool("unpublish_diagram", {"name": "pushed"})
        assert gone.structured_content == {"name": "pushed", "removed": True}


async def test_the_store_takes_the_names_we_take(tmp_path: Path):
    async with place(tmp_path, diagrams={}, stored=True) as there, client(there.url, MODERN) as connected:
        for name in ("Q3.report", "a", "x" * 100):
            pushed = {"diagram_content": HELLO, "push_as": name, "format_type": "light"}
            answer = (await connected.call_tool("compile_diagram", pushed)).structured_content
            assert answer["pushed_as"] == name
            ran = (await connected.call_tool(answer["tool_name"], {})).structured_content
            assert (ran["success"], ran["diagram"]) == (True, name)
        for name in ("..", "a..b", ".a", "-a", "a/b", "x" * 101):
            put = content_pb2.PutDiagramRequest(name=name, format="light", text=HELLO, published=True)
            with pytest.raises(errors.BadInput):
                await rpc.call(there.house.store.PutDiagram, put)


async def test_unpublished_diagrams_are_for_authors(tmp_path: Path):
    async with place(tmp_path, diagrams={}, stored=True) as there, client(there.url, MODERN) as connected:
        put = content_pb2.PutDiagramRequest(
            name="draft", format="light", text=HELLO, published=False, updated_by="test"
        )
        await rpc.call(there.house.store.PutDiagram, put)
        assert (await connected.call_tool("dipeo_run", {"diagram": "draft"})).structured_content["success"]
        assert "diagram_draft" not in [tool.name for tool in (await connected.list_tools()).tools]
        assert (await connected.call_tool("fetch", {"id": "draft"})).is_error


async def test_a_diagram_that_does_not_compile_is_no_tool_and_harms_no_other(tmp_path: Path):
    async with (
        place(tmp_path, diagrams={"bad": BROKEN, "hello": HELLO}) as there,
        client(there.url, MODERN) as connected,
    ):
        tools = [tool.name for tool in (await connected.list_tools()).tools]
        assert "diagram_hello" in tools and "diagram_bad" not in tools
        answer = await connected.call_tool("dipeo_run", {"diagram": "bad"})
        assert answer.is_error and "does not compile" in text_of(answer)


async def test_a_diagram_may_ask_not_to_be_a_tool(tmp_path: Path):
    quiet = HELLO.replace("{description: Greets somebody}", "{mcp: {expose: false}}")
    async with place(tmp_path, diagrams={"quiet": quiet}) as there, client(there.url, MODERN) as connected:
        assert "diagram_quiet" not in [tool.name for tool in (await connected.list_tools()).tools]
        assert (await connected.call_tool("dipeo_run", {"diagram": "quiet"})).structured_content["success"]


async def test_files_are_published_under_their_plain_names(tmp_path: Path):
    folder = Folder(tmp_path)
    assert list(await folder.published()) == []
    for name, suffix in (("a", ".yaml"), ("b", ".light.yaml"), ("c", ".native.json"), ("d", ".readable.yaml")):
        publish(tmp_path, name, "x", suffix)
    publish(tmp_path, "-rf", "x", ".yaml")
    publish(tmp_path, "notes", "x", ".md")
    (tmp_path / "projects/mcp-diagrams/out.yaml").symlink_to("/etc/hostname")
    found = {entry.name: (entry.format, entry.path) for entry in await folder.published()}
    assert found == {
        "a": ("", "projects/mcp-diagrams/a.yaml"),
        "b": ("light", "projects/mcp-diagrams/b.light.yaml"),
        "c": ("native", "projects/mcp-diagrams/c.native.json"),
        "d": ("readable", "projects/mcp-diagrams/d.readable.yaml"),
    }
    with pytest.raises(errors.AlreadyExists):
        await folder.put("a", "y", "light", overwrite=False)
    assert await folder.put("b", "y", "native", overwrite=True) is True
    assert sorted(path.name for path in (tmp_path / "projects/mcp-diagrams").glob("b.*")) == ["b.json"]
    assert await folder.remove("b") is True
    assert await folder.remove("b") is False
    (tmp_path / "mine.light.yaml").write_text("z")
    mine = await folder.find("mine")
    assert mine is not None and mine.text == "z"
    assert await folder.find("notes.md") is None


def test_slugs_are_stable_and_short():
    assert publishing.slug("simple_iter.light") == "simple_iter"
    assert publishing.slug("My.Big  Report") == "my_big_report"
    assert len(publishing.slug("x" * 100)) == 50
    assert publishing.tool_names(["a.b", "a_b"]) == publishing.tool_names(["a_b", "a.b"])
    assert publishing.tool_names(["a_b", "a.b"])["a_b"] == "diagram_a_b"
