from pathlib import Path

import pytest

from dipeo_executor.files import FileMissing, FileUnusable, PathOutsideProject, ProjectFiles


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    return tmp_path / "project"


@pytest.mark.parametrize(
    "name", ["../secret.txt", "/etc/passwd", "a/../../secret.txt", "link/secret.txt", ".dipeo/token"]
)
def test_paths_that_leave_the_project_are_refused(base, name):
    (base / "link").symlink_to(base.parent)
    files = ProjectFiles(base)
    for use in (files.read_text, files.exists, lambda n: files.write_text(n, "x"), lambda n: files.append_text(n, "x")):
        with pytest.raises(PathOutsideProject) as caught:
            use(name)
        assert str(base) not in str(caught.value)
    assert (base.parent / "secret.txt").read_text() == "secret"


def test_an_absolute_path_inside_the_project_is_fine(base):
    files = ProjectFiles(base)
    assert files.write_text(str(base / "a/b.txt"), "é") == 2
    assert files.read_text("a/b.txt") == "é"


def test_a_project_reached_through_a_symlink_works(base):
    (base.parent / "alias").symlink_to(base)
    files = ProjectFiles(base.parent / "alias")
    files.write_text("x.txt", "1")
    assert files.read_text("x.txt") == "1"


def test_writing_replaces_the_file_whole_and_keeps_its_mode(base):
    script = base / "run.sh"
    script.write_text("old")
    script.chmod(0o750)
    ProjectFiles(base).write_text("run.sh", "new")
    assert script.read_text() == "new"
    assert script.stat().st_mode & 0o777 == 0o750
    assert [path.name for path in base.iterdir()] == ["run.sh"]


def test_line_ends_stay_as_they_are(base):
    files = ProjectFiles(base)
    files.write_text("x", "a\r\nb\n")
    assert files.read_text("x") == "a\r\nb\n"


def test_appending_makes_the_file_and_adds_to_it(base):
    files = ProjectFiles(base)
    files.append_text("logs/a.txt", "1\n")
    files.append_text("logs/a.txt", "2\n")
    assert files.read_text("logs/a.txt") == "1\n2\n"


def test_what_cannot_be_read_is_named(base):
    (base / "folder").mkdir()
    (base / "binary").write_bytes(b"\xff\xfe")
    (base / "big").write_text("x" * 11)
    files = ProjectFiles(base, max_bytes=10)
    with pytest.raises(FileMissing, match='there is no file "gone'):
        files.read_text("gone.txt")
    with pytest.raises(FileUnusable, match='"folder" is a folder'):
        files.read_text("folder")
    with pytest.raises(FileUnusable, match='"binary" is not UTF-8'):
        files.read_text("binary")
    with pytest.raises(FileUnusable, match="11 bytes"):
        files.read_text("big")
    with pytest.raises(FileUnusable, match="11 bytes"):
        files.write_text("new", "x" * 11)
    with pytest.raises(FileUnusable):
        files.read_text("nul\0")
    with pytest.raises(FileUnusable):
        files.write_text("folder", "x")
    assert sorted(path.name for path in base.iterdir()) == ["big", "binary", "folder"]


def test_globs_find_files_only_sorted_and_none_outside(base):
    for name in ("b.md", "a.md", "deep/er/c.md", ".hidden/d.md"):
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text("")
    (base / "folder.md").mkdir()
    files = ProjectFiles(base)
    assert files.glob("*.md") == ["a.md", "b.md"]
    assert files.glob("**/*.md") == ["a.md", "b.md", "deep/er/c.md"]
    assert files.glob(f"{base}/a.*") == ["a.md"]
    assert files.glob("../*.txt") == []
