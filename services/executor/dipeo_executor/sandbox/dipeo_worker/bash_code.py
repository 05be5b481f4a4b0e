"""A bash job. (node contract 7.5)"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from typing import Any

from .answers import DETAIL_CHARS, STREAM_BYTES, TAIL_BYTES, Failed, signal_name, too_large

ENV_STRING_BYTES = 128 * 1024 - 1  # Linux: MAX_ARG_STRLEN


def run_bash(job: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """The answer's value is stdout, stripped. Files, not pipes: a child left in the background does not hold us up."""
    with tempfile.NamedTemporaryFile("w", suffix=".sh", encoding="utf-8") as script, \
            tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:  # fmt: skip
        script.write(job["source"])
        script.flush()
        try:
            bash = subprocess.Popen(
                ["bash", script.name], stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=config["base"],
                env=_bash_environment(job),
            )  # fmt: skip
        except FileNotFoundError as error:
            raise Failed(f"cannot run bash: {error}", "FileNotFoundError") from None
        except OSError as error:
            raise Failed(f"the inputs do not fit into bash's environment: {error.strerror}", "InputTooLarge") from None
        code = bash.wait()

        def said(size: int, start: int = 0) -> str:
            return os.pread(err.fileno(), size, start).decode("utf-8", "replace").replace(script.name, job["filename"])

        if code:
            words = f"ended with exit code {code}" if code > 0 else f"was killed by {signal_name(-code)}"
            tail = said(TAIL_BYTES, max(0, os.fstat(err.fileno()).st_size - TAIL_BYTES)).strip()
            raise Failed(f"bash {words}{': ' if tail else ''}{tail}", "ExitCode", said(DETAIL_CHARS))
        size, most = os.fstat(out.fileno()).st_size, config["max_value_bytes"]
        if size > most:
            raise Failed(too_large(size, most), "ValueTooLarge")
        value = os.pread(out.fileno(), most, 0).decode("utf-8", "replace").strip()
        return {"value": value, "stdout": "", "stderr": said(STREAM_BYTES)}


def _bash_environment(job: dict[str, Any]) -> dict[str, str]:
    ports = {re.sub(r"\W", "_", port, flags=re.ASCII): value for port, value in job["inputs"].items()}
    given = {f"INPUT_{port}": _text(value) for port, value in ports.items()}
    for name, text in given.items():
        size = len(text.encode("utf-8", "replace"))
        if len(name) + 1 + size > ENV_STRING_BYTES:
            raise Failed(
                f"{name} would have {size:,} bytes; bash takes inputs up to {ENV_STRING_BYTES:,} each. "
                "Use python, or pass the name of a file",
                "InputTooLarge",
            )
        if "\0" in text:
            raise Failed(f"{name} holds a NUL character, which bash cannot take; use python", "InputNotText")
    whole = {"INPUT_inputs": _text(job["inputs"]), "INPUT_globals": _text(job["variables"])}
    given.update({name: text for name, text in whole.items() if len(text.encode()) < ENV_STRING_BYTES // 2})
    return {
        **os.environ,
        **given,
        "INPUT_KEYS": " ".join(ports),
        "INPUT_node_id": job["node_id"],
        "DIPEO_IDEMPOTENCY_KEY": job["idempotency_key"],
    }


def _text(value: Any) -> str:
    return (
        ""
        if value is None
        else json.dumps(value, ensure_ascii=False)
        if isinstance(value, (dict, list))
        else str(value)
    )
