"""Export diagrams as Python scripts, and run these as their users do."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from house import House

from dipeo_kit import rpc
from dipeo_protos.diagram.v1 import diagram_pb2
from dipeo_protos.executor.v1 import executor_pb2


async def export_of(
    home: House, text: str, path: str = "", format: str = "FORMAT_UNSPECIFIED"
) -> executor_pb2.ExportResponse:
    source = diagram_pb2.Source(text=text, path=path, format=diagram_pb2.Format.Value(format))
    return await rpc.call(home.executor.Export, executor_pb2.ExportRequest(source=source))


async def script_of(home: House, text: str, path: str = "") -> str:
    response = await export_of(home, text, path)
    assert response.text, [it.message for it in response.diagnostics]
    return response.text


def run_script(
    base: Path, text: str, *options: str, stdin: str = "", services: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """In `base` with mock models, or with those that the variables `services` lead to."""
    (base / "script.py").write_text(text)
    mock = ["--mock"] if services is None else []
    return subprocess.run(
        [sys.executable, "-W", "error", "script.py", *mock, *options],
        cwd=base, input=stdin, capture_output=True, text=True, timeout=60, env={**os.environ, **(services or {})},
    )  # fmt: skip
