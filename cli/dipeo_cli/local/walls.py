"""Which walls around user code stand here: asked of a sandbox started for the question (docs/sandbox.md)."""

import asyncio
from pathlib import Path

from dipeo_executor.sandbox import Sandbox, SandboxUnavailable
from dipeo_executor.settings import Settings
from dipeo_kit import logs


def standing(base: Path) -> list[tuple[str, bool, str]]:
    """(wall, whether it holds, how or why not), as the executor of this project would have them."""
    logs.configure("ERROR", service="doctor")  # what the sandbox logs is what we are about to say
    settings = Settings(base_dir=base)

    async def ask() -> list[tuple[str, bool, str]]:
        code = Sandbox(
            base, python=settings.python, node=settings.node, limits=settings.code_limits(),
            access=settings.code_access(),
        )  # fmt: skip
        async with code as sandbox:
            return [(layer.name, layer.holds, layer.detail) for layer in await sandbox.layers()]

    try:
        return asyncio.run(ask())
    except SandboxUnavailable as error:
        return [("code jobs", False, str(error))]
