""".env.example documents every variable of every service, and none that nobody reads."""

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import AliasChoices

ROOT = Path(__file__).parents[2]
SERVICES = ("store", "executor", "gateway", "mcp")
SHARED = {"DIPEO_BASE_DIR", "DIPEO_GRPC_SECRET_FILE"}


def documented() -> dict[str, str]:
    """Variable → the default written beside it."""
    lines = re.findall(r"^#?([A-Z][A-Z0-9_]*)=(\S*)", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert len(lines) == len(dict(lines)), "a variable stands there twice"
    return dict(lines)


def variables(service: str) -> dict[str, Any]:
    """Variable → the default the service has for it."""
    settings = import_module(f"dipeo_{service}.settings").Settings
    found = {}
    for name, field in settings.model_fields.items():
        alias = field.validation_alias
        first = alias.choices[0] if isinstance(alias, AliasChoices) else alias
        found[first or settings.model_config["env_prefix"] + name.upper()] = field.default
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_every_variable_of_a_service_is_explained_with_its_default(service: str):
    written = documented()
    for variable, default in variables(service).items():
        assert variable in written, f"{variable} is missing in .env.example"
        if isinstance(default, bool):
            assert written[variable] == str(default).lower(), variable
        elif isinstance(default, int | float):
            assert float(written[variable]) == default, variable
        elif isinstance(default, tuple):
            ways = ",".join(map(str, default)), json.dumps(default, separators=(",", ":"))
            assert written[variable] in ways, variable
        elif isinstance(default, str | Path):
            assert written[variable] == str(default), variable
        else:
            assert written[variable] == "", variable


def test_no_variable_is_explained_that_nobody_reads():
    known = {name for service in SERVICES for name in variables(service)}
    prefixes = *(f"DIPEO_{service.upper()}_" for service in SERVICES), "MCP_"
    assert {name for name in documented() if name.startswith(prefixes)} - known == {"DIPEO_MCP_PORT"}  # of compose


def test_every_variable_of_docker_compose_is_explained_with_its_default():
    text = (ROOT / "docker-compose.yml").read_text()
    used = dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", text))
    assert used.items() <= documented().items()


def test_containers_say_nothing_secret_in_their_environment():
    for name, service in yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"].items():
        for variable, value in (service.get("environment") or {}).items():
            secret = any(word in variable.lower() for word in ("password", "token", "secret", "key"))
            assert not secret or value.startswith(("/run/secrets/", "${")), (name, variable)


def test_our_containers_run_as_nobody_in_particular_on_a_read_only_root():
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name in SERVICES:
        assert services[name]["read_only"] and services[name]["cap_drop"] == ["ALL"], name
        assert services[name]["security_opt"] == ["no-new-privileges:true"], name
        assert services[name]["deploy"]["resources"]["limits"], name
    assert "\nUSER 10001:10001\n" in (ROOT / "deploy/Dockerfile").read_text()
