"""code_job: runs user code on the inputs, in a worker process. (node contract 7, decisions 6 and 13)"""

import hashlib
from pathlib import PurePosixPath
from typing import Literal

from pydantic import AliasChoices, Field

from dipeo_executor.nodes import base

TIMEOUT_S = 30
STREAM_LIMIT = 64 * 1024  # characters of stdout and of stderr kept in meta


class Props(base.Props):
    times_itself = True

    language: Literal["python", "typescript", "bash", "shell"] = Field(
        default="python", validation_alias=AliasChoices("language", "code_type", "codeType")
    )
    code: str = ""  # inline source, or the text of file_path captured when the diagram is loaded
    file_path: str = ""
    function_name: str = ""
    timeout: int | None = Field(default=None, ge=0)  # seconds; 0 and absent: 30


class CodeMissing(base.NodeError):
    """There is no code to run."""


async def run(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.Output:
    """The value is what the code returned, JSON-native: 3 stays 3, None is null, a tuple a list."""
    if not props.code.strip():
        raise CodeMissing(f'"{props.file_path}" is empty' if props.file_path else "give code, or file_path")
    language = "bash" if props.language == "shell" else props.language
    workers = ctx.workers
    start = {"python": workers.run_python, "bash": workers.run_bash, "typescript": workers.run_typescript}[language]
    result = await start(_job(props, inputs, ctx))
    for line in result.stdout.splitlines():
        ctx.log("info", line, stream="stdout")
    for line in result.stderr.splitlines():
        ctx.log("info", line, stream="stderr")
    return base.Output(
        result.value,
        meta={
            "language": language,
            "code_hash": hashlib.sha256(props.code.encode()).hexdigest(),
            "result_type": type(result.value).__name__,
            "stdout": result.stdout[:STREAM_LIMIT],
            "stderr": result.stderr[:STREAM_LIMIT],
        },
    )


def _job(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.CodeJob:
    return base.CodeJob(
        source=props.code,
        filename=props.file_path or f"<{ctx.node.label or ctx.node.id}>",
        function=props.function_name,
        inputs=inputs,
        variables={**ctx.custom_data, **ctx.variables},
        node_id=ctx.node.id,
        timeout_s=props.timeout or TIMEOUT_S,
        idempotency_key=ctx.idempotency_key,
        import_dir=ctx.files.resolve(str(PurePosixPath(props.file_path).parent)) if props.file_path else "",
    )
