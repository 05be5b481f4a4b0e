"""Model services that scripts can ask: an expression for the table SERVICES of a script, and the package it needs."""

from dipeo_executor.export.literals import call, literal
from dipeo_executor.export.nodes import CannotExport
from dipeo_executor.llm import services
from dipeo_executor.llm.services import compatible
from dipeo_executor.program import Person

SERVICES = {
    "openai": ("ask_openai", "openai"),
    "anthropic": ("ask_anthropic", "anthropic"),
    "gemini": ("ask_gemini", "openai"),
    "ollama": ("ask_ollama", "openai"),
    **{
        it.name: (
            call("compatible", [literal(it.base_url)], {} if it.needs_key else {"needs_key": "False"}),
            "openai",
        )
        for it in compatible.SERVICES
    },
}


def check_service(person: Person) -> None:
    """Raises CannotExport where the person's model cannot be asked."""
    if person.service == "mock":
        return
    if person.service not in SERVICES:
        known = ", ".join(SERVICES)
        raise CannotExport(f'person "{person.label}" is of the service {person.service}; there are {known}')
    if person.base_url and not services.SERVICES[person.service].takes_base_url:
        raise CannotExport(
            f'person "{person.label}" has service {person.service} and a base_url; use openai-compatible, so that '
            "the key meant for one is not sent to the other"
        )
