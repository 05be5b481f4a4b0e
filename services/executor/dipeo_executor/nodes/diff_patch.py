"""diff_patch: applies a patch to one file. (node contract 17)"""

import hashlib
import posixpath
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field

from dipeo_executor.nodes import base, hunks, patches


class Props(base.Props):
    target_path: str
    diff: str
    format: Literal["unified", "git", "context", "ed", "normal"] = "unified"
    apply_mode: Literal["normal", "force", "dry_run", "reverse"] = "normal"
    backup: bool = True
    backup_dir: str = ""  # absent: next to the file
    validate_patch: bool = True
    strip_level: float = Field(default=1, ge=0)
    fuzz_factor: float = Field(default=2, ge=0)  # lines a hunk may stand from where it says
    ignore_whitespace: bool = False
    create_missing: bool = False
    reject_file: str = ""  # gets the hunks that do not fit


async def run(props: Props, inputs: base.Inputs, ctx: base.Context) -> base.Output:
    """The value says what was done; inputs `target_path` and `diff` come before the properties.

    normal and reverse change the file when every hunk fits, force as far as they fit, dry_run never. Status "partial"
    says that some did not. Nothing is written before the patch is read and the file is there.
    """
    target, patch = _text("target_path", props, inputs), _text("diff", props, inputs)
    found = patches.parse(
        patch, props.format, target=target, strip_level=int(props.strip_level), strict=props.validate_patch
    )
    if props.apply_mode == "reverse":
        if props.format == "ed":
            raise patches.PatchInvalid("an ed script does not say what it removes, so it cannot be reversed")
        found = hunks.reverse(found)
    old = _old_text(target, props, ctx)
    patched = hunks.apply(old or "", found, hunks.Looseness(int(props.fuzz_factor), props.ignore_whitespace))
    fits = not patched.rejected or props.apply_mode in ("force", "dry_run")
    new = patched.text if fits else old or ""
    backup_path = None
    if props.apply_mode != "dry_run":
        backup_path = _write(target, old, new, props, ctx)
        _write_rejected(patched.rejected, props, ctx)
    errors = [f"hunk {it.number} (line {it.line}): {it.reason}" for it in patched.rejected]
    if errors:
        ctx.log("warning", f"{len(errors)} of {len(found)} hunks do not fit {target}: {'; '.join(errors[:3])}")
    value = {
        "status": "partial" if patched.rejected else "success",
        "target_path": target,
        "applied_hunks": patched.applied if fits else 0,
        "rejected_hunks": [asdict(it) for it in patched.rejected],
        "backup_path": backup_path,
        "file_hash": hashlib.sha256(new.encode()).hexdigest(),
        "dry_run": props.apply_mode == "dry_run",
        "errors": errors,
    }
    return base.Output(value, meta={"status": value["status"], "format": props.format, "apply_mode": props.apply_mode})


def _text(name: Literal["target_path", "diff"], props: Props, inputs: base.Inputs) -> str:
    value: Any = inputs.get(name, getattr(props, name))
    if not isinstance(value, str) or not value.strip():
        raise base.NodeError(f"{name} must be text that is not empty, not {type(value).__name__}")
    return value


def _old_text(target: str, props: Props, ctx: base.Context) -> str | None:
    """None: the file is to be made. Raises NodeError where it is missing and should not be."""
    if props.create_missing and not ctx.files.exists(target):
        return None
    return ctx.files.read_text(target)


def _write(target: str, old: str | None, new: str, props: Props, ctx: base.Context) -> str | None:
    """Write what changed, after a copy of what was. The copy's name."""
    if new == old or (old is None and not new):
        return None
    backup_path = None
    if props.backup and old is not None:
        folder = props.backup_dir or posixpath.dirname(target)
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        backup_path = posixpath.join(folder, f"{posixpath.basename(target)}.backup.{moment}")
        ctx.files.write_text(backup_path, old)
    ctx.files.write_text(target, new)
    return backup_path


def _write_rejected(rejected: tuple[hunks.Rejected, ...], props: Props, ctx: base.Context) -> None:
    if rejected and props.reject_file:
        ctx.files.write_text(props.reject_file, "".join(_whole(it.text) for it in rejected))


def _whole(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"
