"""What leaves this service passes here: credentials and server paths do not (S5, threat T15)."""

import os
import re
from collections.abc import Iterable
from typing import Any

HIDDEN = "[redacted]"
PATH = "[path]"
_SHAPES = re.compile(
    r"\bsk-[A-Za-z0-9_-]{16,}"  # OpenAI, Anthropic
    r"|\bdmk_[A-Za-z0-9_-]{20,}"  # ours
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}"
    r"|\bAKIA[0-9A-Z]{16}\b|\bAIza[0-9A-Za-z_-]{30,}"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10,}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*"  # JWT
    r"|(?<=Bearer )[A-Za-z0-9._~+/=-]{16,}"
)
_PATHS = re.compile(
    r"(?<![\w.:/])/(?:home|root|Users|var|etc|tmp|srv|opt|mnt|work|workspace|private|app|usr)/[\w.@+~/-]+"
)
_SECRET_NAMES = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL)S?$")
MIN_SECRET = 8


class Redactor:
    """Knows the secrets of this process; `text` and `value` give what may be shown."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({secret for secret in secrets if len(secret) >= MIN_SECRET}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def text(self, text: str, *, paths: bool = True) -> str:
        """`paths` false: for sources of diagrams, which name files on purpose."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        text = _SHAPES.sub(HIDDEN, text)
        return _PATHS.sub(PATH, text) if paths else text

    def value(self, value: Any) -> Any:
        """The same JSON value with every text in it redacted, keys included."""
        match value:
            case str():
                return self.text(value)
            case list():
                return [self.value(item) for item in value]
            case dict():
                return {self.text(key): self.value(item) for key, item in value.items()}
            case _:
                return value


def of_environment() -> list[str]:
    """Values of variables whose names say that they are secret."""
    return [value for name, value in os.environ.items() if _SECRET_NAMES.search(name.upper())]
