"""What the readers of all formats share: sections of the document, metadata, plain fields."""

from collections.abc import Iterable, Mapping
from typing import Any

from dipeo_executor.formats.diagnostics import Report, did_you_mean, listed, shown
from dipeo_executor.formats.model import CONTENT_TYPES, DiagramPerson, Metadata
from dipeo_executor.formats.positions import Path

Entry = tuple[Path, dict[Any, Any]]


def mappings(value: Any, section: str, report: Report) -> list[Entry]:
    """Entries of a list section with their paths. Nulls are skipped in silence, other odd ones with L15."""
    if value is None:
        return []
    if not isinstance(value, list):
        report.add("L7", f"{section} must be a list, not {shown(value)}", (section,))
        return []
    for index, entry in enumerate(value):
        if entry is not None and not isinstance(entry, dict):
            report.add("L15", f"{shown(entry)} in {section} is skipped: it is no map", (section, index))
    return [((section, index), entry) for index, entry in enumerate(value) if isinstance(entry, dict)]


def named_mappings(value: Any, section: str, report: Report) -> list[Entry]:
    """Like `mappings`, of a section that may also be a map of id to entry; the id is put into the entry."""
    if not isinstance(value, dict):
        return mappings(value, section, report)
    for key, entry in value.items():
        if not isinstance(entry, dict):
            report.add("L15", f'"{key}" in {section} is skipped: it is no map', (section, key))
    return [((section, key), {**entry, "id": str(key)}) for key, entry in value.items() if isinstance(entry, dict)]


def warn_unknown(entry: Mapping[Any, Any], known: Iterable[str], what: str, at: Path, report: Report) -> None:
    names = tuple(known)
    for key in entry:
        if key not in names:
            report.add(
                "L16", f'{what}: "{key}" is not known here and has no effect', (*at, key),
                suggestion=did_you_mean(str(key), names),
            )  # fmt: skip


def text_of(value: Any) -> str | None:
    """A text, "" for null, None for anything else."""
    return "" if value is None else value if isinstance(value, str) else None


def number_of(value: Any) -> float | None:
    """A finite number, also written as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if number - number == 0 else None


def content_type_of(value: Any, at: Path, report: Report, *, arrow_id: str) -> str | None:
    if value is None or value == "":
        return None
    if value not in CONTENT_TYPES:
        report.add(
            "L12", f"{shown(value)} is no content type; there are {', '.join(CONTENT_TYPES)}", at,
            arrow_id=arrow_id, field="content_type", suggestion=did_you_mean(str(value), CONTENT_TYPES),
        )  # fmt: skip
        return None
    return str(value)


PERSON_TEXTS = ("service", "model", "api_key_id", "system_prompt", "prompt_file", "base_url")


LIMITS: Mapping[str, Any] = {"max_cost_usd": int | float, "max_tokens": int}


def person_of(person_id: str, label: str, config: Mapping[Any, Any], at: Path, report: Report) -> DiagramPerson:
    """A person from its configuration; fields that are null or unusable get their defaults."""
    texts: dict[str, str] = {}
    for key in PERSON_TEXTS:
        value = config.get(key)
        text = text_of(value)
        if text is None:
            problem = f'person "{label}": {key} must be text, not {shown(value)}'
            report.add("L14", problem, (*at, key), label=label, field=key, suggestion="put it in quotes")
        elif text:
            texts[key] = text
    return DiagramPerson(person_id, label, at=at, **texts)


def metadata_of(document: Mapping[Any, Any], report: Report) -> Metadata:
    """The metadata section, filled up with top-level name and description."""
    section = document.get("metadata")
    if section is not None and not isinstance(section, dict):
        report.add("L7", f"metadata must be a map, not {shown(section)}", ("metadata",))
        section = None
    given = {key: value for key, value in (section or {}).items() if value is not None}
    known = tuple(Metadata.__dataclass_fields__)
    warn_unknown(given, known, "metadata", ("metadata",), report)
    for key in ("name", "description"):
        if isinstance(document.get(key), str):
            given.setdefault(key, document[key])
    budget = _budget(given.pop("budget", None), ("metadata", "budget"), report)
    budget |= _budget(document.get("budget"), ("budget",), report)
    tags = given.pop("tags", ())
    mcp = given.pop("mcp", {})
    if not isinstance(mcp, dict):
        report.add("L7", f"mcp must be a map, not {shown(mcp)}", ("metadata", "mcp"))
        mcp = {}
    texts = {key: str(value) for key, value in given.items() if key in known}
    return Metadata(**texts, tags=tuple(map(str, tags)) if isinstance(tags, list) else (), budget=budget, mcp=mcp)


def _budget(value: Any, at: Path, report: Report) -> dict[str, float]:
    if value is not None and not isinstance(value, dict):
        report.add(
            "L7", f"budget must be a map, not {shown(value)}", at, suggestion="write budget: {max_cost_usd: 1.5}"
        )
    given: dict[Any, Any] = value if isinstance(value, dict) else {}
    warn_unknown(given, LIMITS, "budget", at, report)
    budget: dict[str, float] = {}
    for key, kind in LIMITS.items():
        number = given.get(key)
        if number is None:
            continue
        if isinstance(number, bool) or not isinstance(number, kind) or number <= 0:
            wanted = "a whole number" if kind is int else "a number"
            report.add("L7", f"budget: {key} must be {wanted} above 0, not {shown(number)}", (*at, key), field=key)
        else:
            budget[key] = number
    return budget


def known_words(names: Iterable[str]) -> str:
    return listed(f'"{name}"' for name in names) or "none"
