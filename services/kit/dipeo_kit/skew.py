"""Services of two releases side by side: what the older one does not understand it says, rather than leave it out.

A field it has never heard of may be a limit or a condition, so the whole call is refused. The error is Unavailable: in
the middle of a rollout the same call works a moment later, or at the replica beside.
"""

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from dipeo_kit.errors import Unavailable

OLDER = "OLDER_RELEASE"


class OlderRelease(Unavailable):
    """This service is of an older release than its caller, or than what it reads."""

    reason = OLDER

    def __init__(self, service: str, than: str, unknown: str) -> None:
        super().__init__(
            f"the {service} is release {version('dipeo-kit')}, older than {than}: it does not know {unknown}; "
            f"upgrade the {service}"
        )


def understood(method: str, request: Message) -> None:
    """Raises OlderRelease naming every field of the request that this release has never heard of."""
    unknown = [f"field {number} of {name}" for name, number in _strangers(request)]
    if unknown:
        raise older_than_caller(method, ", ".join(unknown))


def older_than_caller(method: str, unknown: str) -> OlderRelease:
    """`method`: "/dipeo.store.v1.StoreService/Append"."""
    service = method.lstrip("/").partition(".v1.")[0].rpartition(".")[2]
    return OlderRelease(service, "what calls it", unknown)


def is_newer(message: Message) -> bool:
    """Whether it has a field, not below another message, that this release has never heard of. Costs 0.1 µs."""
    return len(UnknownFieldSet(message)) > 0


def _strangers(message: Message) -> Iterator[tuple[str, int]]:
    strangers: Any = UnknownFieldSet(message)  # a sequence, which its stubs do not say
    for stranger in strangers:
        yield message.DESCRIPTOR.name, stranger.field_number
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in _messages(field, value):
                yield from _strangers(inner)


def _messages(field: Any, value: Any) -> list[Message]:
    if field.message_type.GetOptions().map_entry:
        return [it for it in value.values() if isinstance(it, Message)]
    return list(value) if field.is_repeated else [value]
