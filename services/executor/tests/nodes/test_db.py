import json

import pytest
from fakes import context, run, shared_table

from dipeo_executor.files import FileMissing
from dipeo_executor.nodes import content, db
from dipeo_executor.nodes.base import NodeError


def laid(base, **files):
    for name, text in files.items():
        path = base / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return context(base)


async def write(ctx, name, value, **more):
    return await run(db, {"operation": "write", "file": name, **more}, {"default": value}, ctx)


async def read(ctx, name, **more):
    return await run(db, {"file": name, **more}, {}, ctx)


async def test_db_1_a_map_is_written_as_indented_json(tmp_path):
    out = await write(context(tmp_path), "files/t/w.json", {"k": 1})
    assert (tmp_path / "files/t/w.json").read_text() == '{\n  "k": 1\n}'
    assert out.value == "Wrote to files/t/w.json (12 bytes)"
    assert out.meta["file_path"] == "files/t/w.json" and out.meta["size"] == 12


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("a.txt", "text", "text"),
        ("a.json", "text", '"text"'),
        ("a.json", '{"b": 1}', '{"b": 1}'),
        ("a.html", "<é>", "<é>"),
        ("a.log", {"é": 1}, '{\n  "é": 1\n}'),
    ],
)
async def test_db_2_text_is_written_as_it_is_except_into_json(tmp_path, name, value, text):
    await write(context(tmp_path), f"x/{name}", value)
    assert (tmp_path / "x" / name).read_text() == text


@pytest.mark.parametrize(
    ("file_format", "name", "value", "text"),
    [
        pytest.param("yaml", "x.yaml", {"k": 1}, "k: 1\n", id="DB-3"),
        ("yaml", "x.yaml", {"b": "é", "a": [1]}, "a:\n- 1\nb: é\n"),
        ("csv", "x.csv", [{"n": "a", "v": 1}, {"n": "b,c", "w": [2]}], 'n,v,w\na,1,\n"b,c",,[2]\n'),
        ("csv", "x.csv", "n,v\n", "n,v\n"),
        ("text", "x.txt", {"b": 1}, '{\n  "b": 1\n}'),
        ("text", "x.txt", 5, "5"),
    ],
)
async def test_formats_are_written(tmp_path, file_format, name, value, text):
    await write(context(tmp_path), f"o/{name}", value, format=file_format)
    assert (tmp_path / "o" / name).read_text() == text


async def test_db_4_names_get_their_suffix_and_folder(tmp_path):
    ctx = context(tmp_path)
    for given, made in (("d/noext", "d/noext.json"), ("plain", "dbs/plain.json"), ("a.txt", "dbs/a.txt")):
        await write(ctx, given, {"k": 1})
        assert (tmp_path / made).exists()
    await write(ctx, "d/y", {"k": 1}, format="yaml")
    assert (tmp_path / "d/y.yaml").exists()
    assert (await read(ctx, "plain")).value == {"k": 1}


async def test_db_5_and_case_55_names_are_filled_in_and_unknown_parts_stay(tmp_path):
    ctx = context(tmp_path, variables={"who": "v"})
    await run(
        db,
        {"operation": "write", "file": "files/{nm}_{who}_{a.b}_{missing}.json"},
        {"default": {"nm": "zed"}, "a": {"b": 1}},
        ctx,
    )
    assert (tmp_path / "files/zed_v_1_{missing}.json").exists()
    assert "missing" in ctx.warnings[0]


async def test_db_6_appending_grows_a_json_list(tmp_path):
    ctx = context(tmp_path)
    for value in ({"x": 1}, {"x": 2}):
        out = await run(db, {"operation": "append", "file": "d/l.json"}, {"default": value}, ctx)
    assert json.loads((tmp_path / "d/l.json").read_text()) == [{"x": 1}, {"x": 2}]
    assert out.value == "Appended to d/l.json (8 bytes)"


async def test_appending_to_text_adds_a_line(tmp_path):
    ctx = laid(tmp_path, d__l_dot_txt="old\n")
    for value in ("new", {"n": 2}):
        await run(db, {"operation": "append", "file": "d/l.txt", "format": "text"}, {"default": value}, ctx)
    assert (tmp_path / "d/l.txt").read_text() == 'old\nnew\n{"n": 2}\n'


@pytest.mark.parametrize(
    ("old", "new", "made"), [("", 1, [1]), ("{}", 1, [1]), ('{"a": 1}', 2, [{"a": 1}, 2]), ("5", 6, [5, 6])]
)
async def test_appending_makes_a_list_of_what_was_there(tmp_path, old, new, made):
    ctx = laid(tmp_path, d__l_dot_json=old)
    await run(db, {"operation": "append", "file": "d/l.json"}, {"default": new}, ctx)
    assert json.loads((tmp_path / "d/l.json").read_text()) == made


async def test_db_7_update_sets_a_path_and_keys_reads_it(tmp_path):
    ctx = laid(tmp_path, d__a_dot_json='{"u": {"n": "x"}, "o": 1}')
    out = await run(db, {"operation": "update", "file": "d/a.json", "keys": "u.n"}, {"default": "new"}, ctx)
    assert out.value.startswith("Updated to d/a.json (")
    assert json.loads((tmp_path / "d/a.json").read_text()) == {"u": {"n": "new"}, "o": 1}
    assert (await read(ctx, "d/a.json", keys="u.n,zz.y")).value == {"u.n": "new", "zz.y": None}
    assert (await read(ctx, "d/a.json", keys=["u.n"])).value == "new"


async def test_update_works_on_yaml_and_on_a_file_that_is_not_there(tmp_path):
    ctx = laid(tmp_path, d__a_dot_yaml="k: 1\n")
    for name in ("d/a.yaml", "d/new.json"):
        await run(db, {"operation": "update", "file": name, "keys": ["a.x", "y"]}, {"v": {"x": 1, "y": 2}}, ctx)
    assert (tmp_path / "d/a.yaml").read_text() == "a:\n  x: 1\nk: 1\ny: 2\n"
    assert json.loads((tmp_path / "d/new.json").read_text()) == {"a": {"x": 1}, "y": 2}


async def test_db_8_lines_are_cut_in_the_asked_order(tmp_path):
    ctx = laid(tmp_path, d__l_dot_txt="l1\nl2\nl3\nl4\n")
    out = await read(ctx, "d/l.txt", lines="1,4:,9")
    assert out.value == "l1\nl4\n"
    assert out.meta["total_lines"] == 4 and out.meta["partial"] is True
    assert out.meta["line_ranges"][1] == {"start": 4, "end": None, "resolved_start": 4, "resolved_end": 4}
    assert out.meta["line_ranges"][2] == {"start": 9, "end": 9, "resolved_start": None, "resolved_end": None}


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ("2:3", "2\n3\n"),
        (":2", "1\n2\n"),
        (3, "3\n"),
        ([3, "1"], "3\n1\n"),
        ([[1, 2], [2, 3]], "1\n2\n3\n"),
        ({"start": 2}, "2\n3\n"),
        ({"from": 1, "to": 1}, "1\n"),
        ("9:", ""),
    ],
)
def test_lines_have_many_spellings(lines, text):
    assert content.cut_lines("1\n2\n3\n", lines).text == text


@pytest.mark.parametrize("lines", ["3:2", "0", -1, True, "x", {"start": 0}, 1.5])
def test_lines_that_are_none_are_refused(lines):
    with pytest.raises(NodeError, match="lines"):
        content.cut_lines("1\n2\n", lines)


async def test_db_9_several_files_are_a_map_and_a_missing_one_is_null(tmp_path):
    ctx = laid(tmp_path, d__a_dot_json='{"k": 1}', d__t_dot_txt="text")
    out = await read(ctx, ["d/a.json", "d/absent.json", "d/t.txt"])
    assert out.value == {"d/a.json": {"k": 1}, "d/absent.json": None, "d/t.txt": "text"}
    assert out.meta["file_count"] == 3
    assert "d/absent.json" in ctx.warnings[0]


async def test_db_10_a_pattern_that_matches_nothing_is_an_error(tmp_path):
    with pytest.raises(NodeError, match=r"\*\.yaml"):
        await read(context(tmp_path), "*.yaml")


async def test_patterns_expand_and_a_literal_name_comes_first(tmp_path):
    ctx = laid(tmp_path, d__a_dot_txt="a", d__b_dot_txt="b", d__e__c_dot_txt="c")
    (tmp_path / "d/[id].txt").write_text("literal")
    assert (await read(ctx, "d/[id].txt")).value == "literal"
    assert (await read(ctx, "d/**/[a-c].txt")).value == {"d/a.txt": "a", "d/b.txt": "b", "d/e/c.txt": "c"}
    assert (await read(ctx, "d/a*.txt")).value == "a"
    with pytest.raises(FileMissing):
        await read(ctx, "d/a*.txt", glob=False)


@pytest.mark.parametrize(
    ("file_format", "text", "value"),
    [
        pytest.param("json", "k: [1,2]", "k: [1,2]", id="DB-11-json"),
        pytest.param("yaml", "k: [1,2]", {"k": [1, 2]}, id="DB-11-yaml"),
        ("yaml", "day: 2025-01-02\n1: one\n", {"day": "2025-01-02", "1": "one"}),
        ("json", "42", 42),
        ("json", "", {}),
        ("text", "42", "42"),
        ("text", "", ""),
        ("csv", "n,v\na,1\n", "n,v\na,1\n"),
        ("xml", "<a/>", "<a/>"),
    ],
)
async def test_formats_are_read(tmp_path, file_format, text, value):
    assert (await read(laid(tmp_path, d__f=text), "d/f", format=file_format)).value == value


async def test_csv_can_be_read_as_rows(tmp_path):
    out = await read(laid(tmp_path, d__f_dot_csv='n,v\na,1\n"b\nc",2\n'), "d/f.csv", format="csv", csv="rows")
    assert out.value == [{"n": "a", "v": "1"}, {"n": "b\nc", "v": "2"}]


async def test_a_missing_file_is_an_error_unless_it_may_be_missing(tmp_path):
    with pytest.raises(FileMissing, match="d/absent"):
        await read(context(tmp_path), "d/absent.json")
    assert (await read(context(tmp_path), "d/absent.json", missing_ok=True)).value == {}


@pytest.mark.parametrize(
    ("inputs", "written"),
    [
        ({"a": None, "b": "first"}, "first"),
        ({"a": "x", "content": "c"}, "c"),
        ({"default": {"content": "c"}}, "c"),
        ({"default": {"content": "c", "id": 1}}, '{\n  "content": "c",\n  "id": 1\n}'),
    ],
)
async def test_what_is_written(tmp_path, inputs, written):
    await run(db, {"operation": "write", "file": "d/f.txt"}, inputs, context(tmp_path))
    assert (tmp_path / "d/f.txt").read_text() == written


@pytest.mark.parametrize(
    ("props", "words"),
    [
        ({"operation": "prompt", "file": "d/a"}, "prompt does nothing"),
        ({"operation": "write", "file": "d/a"}, "nothing to write"),
        ({"operation": "write", "file": ["d/a", "d/b"]}, "takes one file"),
        ({"operation": "update", "file": "d/a"}, "needs keys"),
        ({"file": "d/a", "keys": "k", "lines": 1}, "not together"),
        ({"operation": "write", "file": "d/a", "lines": 1}, "operation read"),
        ({"file": "d/a", "keys": 5}, "keys must be"),
        ({}, "file is not given"),
    ],
)
async def test_operations_that_make_no_sense_are_refused(tmp_path, props, words):
    with pytest.raises(NodeError, match=words):
        await run(db, props, {"default": None}, context(tmp_path))


@pytest.mark.parametrize(
    ("text", "keys", "value", "words"),
    [
        ("[1]", "a", 2, "only a map"),
        ("text", "a", 1, "does not hold JSON"),
        ("{}", "a,b", 1, "a map with a value"),
        ("{}", "a,b", {"a": 1}, 'has no "b"'),
    ],
)
async def test_updates_that_do_not_fit_are_refused_and_change_nothing(tmp_path, text, keys, value, words):
    ctx = laid(tmp_path, d__a_dot_json=text)
    with pytest.raises(NodeError, match=words):
        await run(db, {"operation": "update", "file": "d/a.json", "keys": keys}, {"default": value}, ctx)
    assert (tmp_path / "d/a.json").read_text() == text


def test_yaml_whose_aliases_multiply_is_refused():
    bomb = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdef", "bcdefg", strict=True)
    )
    with pytest.raises(NodeError, match="aliases unfolded"):
        content.parse(bomb, "yaml")
    with pytest.raises(NodeError):
        content.parse("&a [*a]", "yaml")


def test_recorded_keys_and_updates_are_handled_alike():
    for row in shared_table("normalized_keys.json"):
        if "raises" in row:
            with pytest.raises(NodeError):
                content.key_list(row["in"])
        else:
            assert content.key_list(row["in"]) == row["out"]
    for row in shared_table("database_updates.json"):
        if "raises" not in row:
            given = row["in"]
            assert content.with_keys(given["data"] or {}, given["keys"], given["value"]) == row["out"]
    data = {"shop": {"name": "Ida", "items": [{"n": 1}, {"n": 2}]}, "n": 0, "a.b": 3}
    for row in shared_table("database_keys.json"):
        if len(row["in"]) == 1 and row["in"][0]:
            assert content.get_path(data, row["in"][0]) == row["out"]
