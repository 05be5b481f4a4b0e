"""What leaves the project for a remote executor, and what comes back."""

import base64
import hashlib
from pathlib import Path

import pytest

from dipeo_cli import uploads
from dipeo_cli.errors import EXIT_USAGE, CliError


@pytest.fixture
def base(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for name in ("data/a.csv", "data/b.csv", ".env", ".git/config", "data/.hidden", "[id].txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (tmp_path / "outside.txt").write_text("outside")
    (root / "link.txt").symlink_to(tmp_path / "outside.txt")
    (root / "alias.txt").symlink_to(root / ".env")
    return root


def test_names_and_patterns_are_answered_each_once(base: Path) -> None:
    offer = uploads.Offer(base)
    first = offer.more({"names": ["data/a.csv", "data/*.csv", "[id].txt", "nothing.txt"], "contents": []})
    digest = hashlib.sha256(b"data/a.csv").hexdigest()
    assert first["files"]["data/a.csv"] == digest
    assert sorted(first["files"]) == ["[id].txt", "data/*.csv", "data/a.csv", "data/b.csv", "nothing.txt"]
    assert (first["files"]["nothing.txt"], first["files"]["data/*.csv"], first["contents"]) == ("", "", [])
    second = offer.more({"names": [], "contents": [digest]})
    assert [base64.b64decode(content) for content in second["contents"]] == [b"data/a.csv"]
    assert offer.told() == ["uploaded data/a.csv (10 bytes)"] and offer.told() == []


@pytest.mark.parametrize(
    "name",
    [
        ".env",
        ".git/config",
        "data/.hidden",
        "../outside.txt",
        "link.txt",
        "alias.txt",
        "../*.txt",
        "/etc/hostname",
        "/etc/host*",
        "**/.*",
        "data",
    ],
)
def test_what_is_hidden_or_outside_never_leaves(base: Path, name: str) -> None:
    assert set(uploads.Offer(base).more({"names": [name]})["files"].values()) == {""}


def test_a_file_that_is_too_large_is_named(base: Path) -> None:
    with (base / "large.bin").open("wb") as file:
        file.truncate(uploads.MAX_FILE_BYTES + 1)
    with pytest.raises(CliError, match=r"large\.bin"):
        uploads.Offer(base).more({"names": ["large.bin"]})


def test_a_gateway_that_asks_again_for_what_it_was_told_is_refused(base: Path) -> None:
    offer = uploads.Offer(base)
    offer.more({"names": ["nothing.txt"]})
    with pytest.raises(CliError, match="asks again"):
        offer.more({"names": ["nothing.txt"]})


def test_files_come_back_into_the_folder_and_nowhere_else(tmp_path: Path) -> None:
    made = list(uploads.fetch([{"name": "out/a.txt"}], lambda name: name.encode(), tmp_path / "back"))
    assert made == [str(tmp_path / "back/out/a.txt")]
    assert (tmp_path / "back/out/a.txt").read_text() == "out/a.txt"
    with pytest.raises(CliError, match="outside"):
        list(uploads.fetch([{"name": "../evil.txt"}], lambda name: b"", tmp_path / "back"))


def test_a_file_that_changes_between_is_named_and_not_sent(base: Path) -> None:
    offer = uploads.Offer(base)
    digest = offer.more({"names": ["data/a.csv"]})["files"]["data/a.csv"]
    (base / "data/a.csv").write_text("changed")
    with pytest.raises(CliError, match=r"data/a\.csv changed while it was sent"):
        offer.more({"names": [], "contents": [digest]})
    assert offer.told() == []


def test_a_file_that_is_not_handed_out_does_not_keep_back_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def read(name: str) -> bytes:
        if name == "large.bin":
            raise CliError("large.bin is too large", code="bad_input", exit_code=EXIT_USAGE)
        return b"here"

    back = uploads.fetch([{"name": "large.bin"}, {"name": "small.txt"}], read, tmp_path)
    assert next(back) == str(tmp_path / "small.txt") and (tmp_path / "small.txt").read_bytes() == b"here"
    with pytest.raises(CliError, match="1 of 2 files"):
        next(back)
    assert "large.bin is too large" in capsys.readouterr().err
