"""Identifiers in their wire form. Execution ids are UUIDv7, so that they sort by creation time."""

import os
import re
import time

EXECUTION_ID = re.compile(r"exec_[0-9a-f]{32}")


def new_hex() -> str:
    """32 hex digits of a fresh UUIDv7 (RFC 9562 §5.7): event, signal, interaction and message ids."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return f"{value:032x}"


def new_execution_id() -> str:
    return f"exec_{new_hex()}"


def is_execution_id(text: str) -> bool:
    return EXECUTION_ID.fullmatch(text) is not None
