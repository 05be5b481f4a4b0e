"""What the caller (providers.py) must know of a model service."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.models import Model

# two threads that import packages full of cycles at once see each other's modules half made
IMPORTING = threading.Lock()


@dataclass(frozen=True, slots=True)
class Access:
    """Where a service answers and with which key. `base_url` "" = the SDK's own address."""

    base_url: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Service:
    """`make` imports the SDK, which takes seconds: it is called in a thread.

    `fallback` makes another model for an address that answers 404 to the first one's path.
    """

    name: str
    make: "Callable[[str, Access, httpx2.AsyncClient], Model]"
    preload: Callable[[], None]
    key_variables: tuple[str, ...]  # the first one that is set
    base_url_variable: str
    base_url: str = ""
    needs_key: bool = True
    takes_base_url: bool = False  # a person may name another address: its key is then meant for that address
    merges_turns: bool = False  # its messages take turns: consecutive ones of a role are parts of one
    tools: frozenset[str] = frozenset()
    price_id: str = ""  # the provider in the price table, "" = its name
    fallback: "Callable[[str, Access, httpx2.AsyncClient], Model] | None" = None
