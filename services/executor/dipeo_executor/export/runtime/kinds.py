"""What the nodes speak of."""

from dataclasses import dataclass, field
from typing import Any

Inputs = dict[str, Any]  # the name of an input -> its value


@dataclass(frozen=True)
class Person:
    """Who answers prompts: a model with a system prompt."""

    id: str
    service: str
    model: str
    system_prompt: str = ""
    base_url: str = ""
    label: str = ""  # where it is not the id


@dataclass(frozen=True)
class Message:
    """What was said; the diagram itself is called "system"."""

    id: str
    from_id: str
    to_id: str
    content: str


@dataclass
class Output:
    """What a node produced. `conversation` is what arrows of that kind carry instead of the value."""

    value: Any
    port: str = "default"  # condtrue, condfalse, error
    conversation: Any = None
    messages: list[Message] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
