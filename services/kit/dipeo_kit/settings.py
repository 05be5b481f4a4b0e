"""One frozen settings object per service, the only reader of the environment."""

import sys
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsInvalid(SystemExit):
    """The environment does not make sense; the process ends with code 2, naming the variable."""

    def __init__(self, message: str) -> None:
        super().__init__(2)
        self.message = message

    def __str__(self) -> str:
        return self.message


class ServiceSettings(BaseSettings):
    """Base of every service's settings. Subclasses set `env_prefix` in their `model_config` (decision 46)."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    # holds what services say to each other and ask of each other; None = nobody is asked
    grpc_secret_file: Path | None = Field(default=None, validation_alias="DIPEO_GRPC_SECRET_FILE")

    @classmethod
    def load(cls) -> Self:
        """Read the environment. Says on stderr which variable should hold what, and raises SettingsInvalid."""
        try:
            return cls()
        except ValidationError as error:
            prefix = cls.model_config.get("env_prefix", "")
            problems = [
                f"{prefix}{'_'.join(map(str, problem['loc']))}".upper() + f": {problem['msg']}"
                for problem in error.errors()
            ]
            message = "; ".join(problems)
            print(f"error: {message}", file=sys.stderr)  # Python prints nothing for an exit with a number
            raise SettingsInvalid(message) from error
