"""What a request proves its sender with: inline, or by reference to the environment or the store. (node contract 11)"""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from dipeo_executor.nodes import base
from dipeo_executor.nodes.filled import Filler

REFERENCES = ("env", "api_key_id")


class CredentialsMissing(base.NodeError):
    """A token, key or password is needed and not given."""


async def secret(value: Any, name: str, filler: Filler, http: base.Http) -> str:
    """Text, possibly with placeholders, {env: NAME} or {api_key_id: id or label}."""
    if isinstance(value, Mapping) and "env" in value:
        return http.secret(filler.text(str(value["env"]), f"{name}.env"))
    if isinstance(value, Mapping) and "api_key_id" in value:
        return await http.stored_key(filler.text(str(value["api_key_id"]), f"{name}.api_key_id"))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        raise CredentialsMissing(f"{name} must be text, {{env: NAME}} or {{api_key_id: NAME}}")
    return filler.text(value, name)


async def headers(auth_type: str, config: Mapping[str, Any], filler: Filler, http: base.Http) -> dict[str, str]:
    """The headers of none, bearer, basic and api_key. `config` itself may be the reference: {env: NAME}."""

    async def one(key: str) -> str:
        whole = config if key not in config and any(word in config for word in REFERENCES) else config.get(key)
        if whole is None:
            raise CredentialsMissing(
                f"auth_type {auth_type} needs auth_config.{key}: text, {{env: NAME}} or {{api_key_id: NAME}}"
            )
        return await secret(whole, f"auth_config.{key}", filler, http)

    if auth_type == "bearer":
        return {"Authorization": f"Bearer {await one('token')}"}
    if auth_type == "basic":
        return {"Authorization": basic(await one("username"), await one("password"))}
    if auth_type == "api_key":
        name = filler.text(str(config.get("key_name") or "X-API-Key"), "auth_config.key_name")
        return {name: await one("key_value")}
    return {}


def basic(username: str, password: str) -> str:
    return f"Basic {b64encode(f'{username}:{password}'.encode()).decode()}"
