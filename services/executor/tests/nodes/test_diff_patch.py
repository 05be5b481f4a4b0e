"""diff_patch. (node contract 17)"""

import difflib
import hashlib
import subprocess
from random import Random

import pytest
from fakes import context, run

from dipeo_executor.nodes import diff_patch, hunks, patches
from dipeo_executor.nodes.base import NodeError

ABC = "--- a/f.txt\n+++ b/f.txt\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"


async def patch(tmp_path, text, diff=ABC, inputs=None, **props):
    """Patch f.txt; (the node's output, what is in the file then)"""
    if text is not None:
        (tmp_path / "f.txt").write_bytes(text.encode())
    given = {"target_path": "f.txt", "diff": diff, **props}
    out = await run(diff_patch, given, inputs or {}, context(tmp_path))
    file = tmp_path / "f.txt"
    return out.value, file.read_bytes().decode() if file.exists() else None


async def refused(tmp_path, text, diff=ABC, **props):
    with pytest.raises(NodeError) as caught:
        await patch(tmp_path, text, diff, **props)
    return str(caught.value)


async def test_dp_1_a_hunk_that_fits_is_applied_after_a_backup(tmp_path):
    value, text = await patch(tmp_path, "a\nb\nc\n")
    assert text == "a\nB\nc\n"
    backup = value.pop("backup_path")
    assert backup.startswith("f.txt.backup.2") and (tmp_path / backup).read_text() == "a\nb\nc\n"
    assert value == {
        "status": "success",
        "target_path": "f.txt",
        "applied_hunks": 1,
        "rejected_hunks": [],
        "file_hash": hashlib.sha256(b"a\nB\nc\n").hexdigest(),
        "dry_run": False,
        "errors": [],
    }


async def test_dp_2_a_dry_run_changes_nothing_and_tells_the_hash(tmp_path):
    value, text = await patch(tmp_path, "a\nb\nc\n", apply_mode="dry_run")
    assert text == "a\nb\nc\n" and [it.name for it in tmp_path.iterdir()] == ["f.txt"]
    assert (value["status"], value["dry_run"], value["backup_path"]) == ("success", True, None)
    assert value["file_hash"] == hashlib.sha256(b"a\nB\nc\n").hexdigest()


TWO = ABC + "@@ -8,2 +8,2 @@\n h\n-i\n+I\n"


async def test_dp_3_one_hunk_that_does_not_fit_keeps_all_out(tmp_path):
    value, text = await patch(tmp_path, "a\nx\nc\n")
    assert (value["status"], value["applied_hunks"], text) == ("partial", 0, "a\nx\nc\n")
    (rejected,) = value["rejected_hunks"]
    assert rejected["number"] == 1 and rejected["reason"] == "line 2 is 'x', the patch has 'b'"
    value, text = await patch(tmp_path, "a\nb\nc\nd\n", TWO, reject_file="out/f.rej")
    assert (value["status"], value["applied_hunks"], text) == ("partial", 0, "a\nb\nc\nd\n")
    assert value["errors"] == ["hunk 2 (line 8): the file has 4 lines, the hunk needs 9"]
    assert (tmp_path / "out/f.rej").read_text() == "@@ -8,2 +8,2 @@\n h\n-i\n+I\n"
    assert value["backup_path"] is None


async def test_force_applies_what_fits(tmp_path):
    value, text = await patch(tmp_path, "a\nb\nc\nd\n", TWO, apply_mode="force", backup_dir="old")
    assert (value["status"], value["applied_hunks"], text) == ("partial", 1, "a\nB\nc\nd\n")
    assert value["backup_path"].startswith("old/f.txt.backup.")


async def test_reverse_takes_a_patch_back(tmp_path):
    old = [f"{n}\n" for n in range(30)]
    new = [*old[:3], "new\n", "newer\n", *old[3:20], *old[22:]]
    diff = "".join(difflib.unified_diff(old, new, "a/f.txt", "b/f.txt", n=1))
    for _ in range(2):
        assert (await patch(tmp_path, "".join(old), diff))[1] == "".join(new)
        assert (await patch(tmp_path, None, diff, apply_mode="reverse"))[1] == "".join(old)
    value, _ = await patch(tmp_path, None, diff, apply_mode="reverse")
    assert value["rejected_hunks"][0]["reason"] == "the change is there already"


async def test_a_hunk_may_stand_as_far_off_as_fuzz_factor_says(tmp_path):
    moved = "x\nx\na\nb\nc\n"
    assert (await patch(tmp_path, moved))[0]["status"] == "success", "two lines by default"
    assert (await patch(tmp_path, moved, fuzz_factor=1))[0]["status"] == "partial"
    assert (await patch(tmp_path, moved, fuzz_factor=0))[0]["status"] == "partial"
    assert (await patch(tmp_path, "a\nb\nc\n", fuzz_factor=0))[0]["status"] == "success"
    value, text = await patch(tmp_path, "z\n" * 5 + "a\nb\nc\nd\ne\nf\ng\nh\ni\n", TWO, fuzz_factor=5)
    assert value["status"] == "success" and text.endswith("a\nB\nc\nd\ne\nf\ng\nh\nI\n"), "the second moves along"


async def test_whitespace_may_differ_where_that_is_asked_for(tmp_path):
    assert (await patch(tmp_path, "a\n\tb\nc  d\n", ABC.replace(" c", " c d")))[0]["status"] == "partial"
    value, text = await patch(tmp_path, "a\n\tb\nc  d\n", ABC.replace(" c", " c d"), ignore_whitespace=True)
    assert value["status"] == "success" and text == "a\nB\nc  d\n", "kept lines stay the file's own"


@pytest.mark.parametrize(
    ("before", "diff", "after"),
    [
        ("a\r\nb\r\nc\r\n", ABC, "a\r\nB\r\nc\r\n"),
        ("a\nb\nc\n", ABC.replace("\n", "\r\n"), "a\nB\nc\n"),
        ("a\nb\nc", ABC, "a\nB\nc"),
        ("a\nb", "--- f\n+++ f\n@@ -1,2 +1,2 @@\n a\n-b\n+B\n", "a\nB"),
        ("a\nb", "--- f\n+++ f\n@@ -1,2 +1,3 @@\n a\n b\n+c\n", "a\nb\nc"),
        ("a", "--- f\n+++ f\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n", "a\n"),
        ("a\n", "--- f\n+++ f\n@@ -1 +1 @@\n-a\n+a\n\\ No newline at end of file\n", "a"),
        ("a\x0cb\nc\n", "--- f\n+++ f\n@@ -1,2 +1,2 @@\n a\x0cb\n-c\n+C\n", "a\x0cb\nC\n"),
        ("a\r\nb\r\n", "--- f\n+++ f\n@@ -1,2 +1,2 @@\n-a\r\n+a\n b\r\n", "a\nb\r\n"),
    ],
)
async def test_line_endings_and_the_missing_last_newline_stay(tmp_path, before, diff, after):
    value, text = await patch(tmp_path, before, diff)
    assert (value["status"], text) == ("success", after)


async def test_inputs_come_before_properties(tmp_path):
    (tmp_path / "g.txt").write_text("a\nb\nc\n")
    value, text = await patch(tmp_path, "unchanged", "no patch", {"target_path": "g.txt", "diff": ABC})
    assert value["target_path"] == "g.txt" and text == "unchanged"
    assert (tmp_path / "g.txt").read_text() == "a\nB\nc\n"


async def test_a_missing_file_is_an_error_unless_it_is_to_be_made(tmp_path):
    assert 'there is no file "f.txt"' in await refused(tmp_path, None)
    new = "--- /dev/null\n+++ b/f.txt\n@@ -0,0 +1,2 @@\n+x\n+y\n"
    value, text = await patch(tmp_path, None, new, create_missing=True)
    assert (value["status"], value["backup_path"], text) == ("success", None, "x\ny\n")


async def test_nothing_is_made_for_a_patch_that_does_not_fit_a_new_file(tmp_path):
    value, text = await patch(tmp_path, None, create_missing=True)
    assert value["status"] == "partial" and text is None


async def test_files_outside_the_project_are_closed(tmp_path):
    assert "outside the project root" in await refused(tmp_path, "a\nb\nc\n", target_path="../x")
    assert "outside the project root" in await refused(tmp_path, "a\nb\nc\n", backup_dir="../x")
    assert (tmp_path / "f.txt").read_text() == "a\nb\nc\n", "no backup, no change"


@pytest.mark.parametrize(
    ("diff", "says"),
    [
        ("nothing", "no hunk of the unified format"),
        ("@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n", "no header that names the files"),
        (ABC.replace("-1,3", "-1,4"), 'line 3 of the patch: the hunk is not as long as "@@ -1,4 +1,3 @@" says'),
        ("--- a\n+++ b\n@@ here @@\n a\n", "line 3 of the patch"),
        ("--- a\n+++ b\nGIT binary patch\n", "binary changes are not applied"),
    ],
)
async def test_what_is_no_patch_is_refused_before_anything_is_written(tmp_path, diff, says):
    assert says in await refused(tmp_path, "a\nb\nc\n", diff)
    assert [it.name for it in tmp_path.iterdir()] == ["f.txt"]


@pytest.mark.parametrize("diff", [ABC.replace("-1,3", "-1,9"), ABC.split("\n", 2)[2], ABC.replace("+1,3", "+1")])
async def test_without_validation_headers_and_counts_may_be_wrong(tmp_path, diff):
    value, text = await patch(tmp_path, "a\nb\nc\n", diff, validate_patch=False)
    assert (value["status"], text) == ("success", "a\nB\nc\n")


async def test_of_a_patch_for_several_files_the_targets_part_is_taken(tmp_path):
    other = ABC.replace("f.txt", "src/g.txt").replace("+B", "+G")
    git = f"diff --git a/x b/x\nindex 1..2 100644\n{ABC}diff --git a/src/g.txt b/src/g.txt\n{other}"
    (tmp_path / "src").mkdir()
    (tmp_path / "src/g.txt").write_text("a\nb\nc\n")
    assert (await patch(tmp_path, "a\nb\nc\n", git, format="git"))[1] == "a\nB\nc\n"
    await patch(tmp_path, None, git, target_path="src/g.txt", format="git")
    assert (tmp_path / "src/g.txt").read_text() == "a\nG\nc\n"
    assert "the patch is for b/f.txt, b/src/g.txt" in await refused(tmp_path, "a\n", git, strip_level=0)


OLD = "".join(f"{n}\n" for n in range(40))
NEW = (
    OLD.replace("3\n4\n5\n", "three\n4\n", 1)
    .replace("20\n", "20\nnew\n.\nnewer\n")
    .replace("38\n39\n", "")
    .replace("0\n", "zero\n", 1)
)


def diff_program(tmp_path, option, new):
    (tmp_path / "old").write_text(OLD)
    (tmp_path / "new").write_text(new)
    return subprocess.run(["diff", option, "old", "new"], cwd=tmp_path, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    ("patch_format", "option"),
    [("unified", "-u"), ("git", "-U0"), ("context", "-c"), ("context", "-C0"), ("normal", "--normal"), ("ed", "-e")],
)
async def test_every_format_that_diff_writes_is_applied(tmp_path, patch_format, option):
    new = NEW.replace(".\n", "dot\n") if patch_format == "ed" else NEW
    diff = diff_program(tmp_path, option, new)
    value, text = await patch(tmp_path, OLD, diff, format=patch_format)
    assert (value["status"], text) == ("success", new), value["errors"]
    if patch_format != "ed":
        assert (await patch(tmp_path, None, diff, format=patch_format, apply_mode="reverse"))[1] == OLD


async def test_an_ed_script_cannot_be_reversed_and_goes_backwards(tmp_path):
    assert "cannot be reversed" in await refused(tmp_path, "a\n", "1d\n", format="ed", apply_mode="reverse")
    assert "from the end" in await refused(tmp_path, "a\nb\n", "1d\n2d\n", format="ed")
    assert (await patch(tmp_path, "a\n", "5d\n", format="ed"))[0]["status"] == "partial"


def test_what_difflib_writes_is_applied_and_reversed_whatever_the_texts():
    random = Random(7)
    for _ in range(200):
        old = [random.choice("abcd") + "\n" for _ in range(random.randrange(12))]
        new = [random.choice("abcd") + "\n" for _ in range(random.randrange(12))]
        diff = "".join(difflib.unified_diff(old, new, "f", "f", n=random.randrange(4)))
        if diff:
            found = patches.parse(diff, "unified", target="f", strip_level=0, strict=True)
            assert hunks.apply("".join(old), found, hunks.Looseness()).text == "".join(new)
            assert hunks.apply("".join(new), hunks.reverse(found), hunks.Looseness()).text == "".join(old)
