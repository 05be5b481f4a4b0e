"""Cursors of lists: opaque, signed, and only good for whom they were given to (S11)."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from dipeo_mcp import limits

Item = TypeVar("Item")
TAG_BYTES = 12


class BadCursor(ValueError):
    """Not one of ours, or of somebody else, or what it names is gone."""


@dataclass(frozen=True, slots=True)
class Cursors:
    key: bytes

    def seal(self, principal_id: str, place: str) -> str:
        return base64.urlsafe_b64encode(self._tag(principal_id, place) + place.encode()).decode()

    def place(self, principal_id: str, cursor: str) -> str:
        """Raises BadCursor."""
        try:
            raw = base64.urlsafe_b64decode(cursor.encode("ascii"))
            place = raw[TAG_BYTES:].decode()
        except ValueError as error:
            raise BadCursor from error
        if not hmac.compare_digest(raw[:TAG_BYTES], self._tag(principal_id, place)):
            raise BadCursor
        return place

    def page(
        self, items: Sequence[Item], principal_id: str, cursor: str | None, key: Callable[[Item], str]
    ) -> tuple[list[Item], str | None]:
        """(one page, cursor of the next). A cursor names the last item, so changes in between skip nothing."""
        start = 0
        if cursor is not None:
            last = self.place(principal_id, cursor)
            if last not in (keys := [key(item) for item in items]):
                raise BadCursor
            start = keys.index(last) + 1
        page = list(items[start : start + limits.PAGE])
        more = start + limits.PAGE < len(items)
        return page, self.seal(principal_id, key(page[-1])) if more else None

    def _tag(self, principal_id: str, place: str) -> bytes:
        return hmac.digest(self.key, f"{principal_id}\0{place}".encode(), hashlib.sha256)[:TAG_BYTES]
