import os

from dipeo_cli.prompts import Lines


def test_lines_come_as_they_are_written_and_never_block() -> None:
    read_end, write_end = os.pipe()
    lines = Lines(read_end)
    assert lines.poll() is None
    os.write(write_end, b"Al")
    assert lines.poll() is None
    os.write(write_end, "ice\r\nBøb\nrest".encode())
    assert [lines.poll(), lines.poll(), lines.poll()] == ["Alice", "Bøb", None]
    os.close(write_end)
    assert [lines.poll(), lines.poll()] == ["rest", ""]
    assert lines.at_end
    os.close(read_end)
