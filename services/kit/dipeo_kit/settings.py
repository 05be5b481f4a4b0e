"""One frozen settings object per service, the only reader of the environment."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeVar

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

from dipeo_kit import identity

SECRETS = Path("/run/secrets")  # where containers find files named like variables: dipeo_gateway_token


def _listed(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


_T = TypeVar("_T")
Listed = Annotated[tuple[_T, ...], NoDecode, BeforeValidator(_listed)]  # comma-separated text


class SettingsInvalid(SystemExit):
    """The environment does not make sense; the process ends with code 2, naming the variable."""

    def __init__(self, message: str) -> None:
        super().__init__(2)
        self.message = message

    def __str__(self) -> str:
        return self.message


class ServiceSettings(BaseSettings):
    """Base of every service's settings. Subclasses set `env_prefix` in their `model_config` (decision 46).

    What the environment does not say may stand in a file of SECRETS, named like the variable in lower case.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    # holds what services say to each other and ask of each other; None = nobody is asked
    grpc_secret_file: Path | None = Field(default=None, validation_alias="DIPEO_GRPC_SECRET_FILE")

    # certificates services show each other; all three or none
    grpc_ca_file: Path | None = Field(default=None, validation_alias="DIPEO_GRPC_CA_FILE")
    grpc_cert_file: Path | None = Field(default=None, validation_alias="DIPEO_GRPC_CERT_FILE")
    grpc_key_file: Path | None = Field(default=None, validation_alias="DIPEO_GRPC_KEY_FILE")

    def __init__(self, **given: Any) -> None:
        super().__init__(_secrets_dir=SECRETS if SECRETS.is_dir() else None, **given)

    def identify(self) -> None:
        """Say and ask between services what is configured. Raises BadInput, naming the variable."""
        identity.use_secret(self.grpc_secret_file)
        identity.use_certificates(self.grpc_ca_file, self.grpc_cert_file, self.grpc_key_file)

    @classmethod
    def load(cls) -> Self:
        """Read the environment. Says on stderr which variable should hold what, and raises SettingsInvalid."""
        try:
            return cls()
        except ValidationError as error:
            prefix = cls.model_config.get("env_prefix", "")
            message = "; ".join(_problem(prefix, problem) for problem in error.errors())
            print(f"error: {message}", file=sys.stderr)  # Python prints nothing for an exit with a number
            raise SettingsInvalid(message) from error


def _problem(prefix: str, problem: "ErrorDetails") -> str:
    """A check over several variables names them itself."""
    said = problem["msg"].removeprefix("Value error, ")
    return f"{prefix}{'_'.join(map(str, problem['loc']))}".upper() + f": {said}" if problem["loc"] else said


def environment() -> dict[str, str]:
    """The environment, and the provider keys that stand in files of SECRETS: openai_api_key is OPENAI_API_KEY."""
    files = SECRETS.glob("*_api_key") if SECRETS.is_dir() else ()
    keys = {file.name.upper(): file.read_text().strip() for file in files}
    return {name: key for name, key in keys.items() if key} | os.environ
