"""Keys of three callers, and limits that leave room."""

from dipeo_mcp import keys
from dipeo_mcp.limits import Limits

ALICE, BOB, READER = keys.new(), keys.new(), keys.new()
API_KEYS = f"alice:read+run+write:{ALICE},bob:read+run+write:{BOB},reader:read:{READER}"
ROOMY = Limits(anonymous_per_min=1000, bad_credentials=1000, calls_per_min=1000, starts_per_min=1000)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
