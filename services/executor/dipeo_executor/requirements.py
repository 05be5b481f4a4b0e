"""What a node needs beyond well-typed properties: persons, files, expressions, other nodes. (decisions 7 and 11)"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dipeo_executor import expressions
from dipeo_executor.formats.diagnostics import Report, did_you_mean, listed, shown
from dipeo_executor.formats.model import Diagram, DiagramPerson
from dipeo_executor.formats.sections import known_words
from dipeo_executor.llm import formats, models, persons, structured
from dipeo_executor.llm.services import SERVICES as MODEL_SERVICES
from dipeo_executor.nodes import condition, json_schema_validator, person_job, start, template_job
from dipeo_executor.nodes.base import Props
from dipeo_executor.program import Person
from dipeo_executor.properties import Given
from dipeo_executor.sources import SourceFiles, first_found, prompt_places

SERVICES = (*MODEL_SERVICES, "mock", *models.LATER)
DEFAULT_MODELS = {"openai": "gpt-5-nano-2025-08-07", "mock": "mock"}
PROMPT_FILES = {  # file property, where its text goes, the inline text it stands for
    "person_job": (
        ("prompt_file", "resolved_prompt", "default_prompt"),
        ("first_prompt_file", "resolved_first_prompt", "first_only_prompt"),
    ),
    "condition": (("judge_by_file", "resolved_judge_by", "judge_by"),),
}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a node's check may look at. `path` is the diagram's own, for files next to it."""

    diagram: Diagram
    persons: Mapping[str, Person]
    path: str
    files: SourceFiles
    report: Report


def read_files(given: Given, around: Surroundings) -> None:
    """Put the texts of prompt and code files into the properties."""
    node_type, data = given.node.type, given.data
    if node_type == "code_job":
        _read_code(given, around)
    if node_type == "condition" and data.get("condition_type") != "llm_decision":
        return
    if node_type == "person_job":
        _read_format(given, around)
    for key, target, inline in PROMPT_FILES.get(node_type, ()):
        name = data.get(key)
        if not isinstance(name, str) or not name:
            continue
        found = first_found(prompt_places(name, around.path), around.files)
        if found.text is None:
            _missing(given, key, name, found.tried, around.report, inline=inline if data.get(inline) else "")
        elif found.text:
            data[target] = found.text


def _read_code(given: Given, around: Surroundings) -> None:
    data = given.data
    name = data.get("file_path")
    if not name:
        if not data.get("code"):
            given.add(around.report, "T11", "there is no code", suggestion="give code, or file_path")
    elif data.get("code"):
        problem = "it has both code and file_path; the inline code is used"
        given.add(around.report, "T11", problem, "file_path", severity="warning", suggestion="remove one of them")
        data["file_path"] = ""
    elif isinstance(name, str):
        found = first_found([name], around.files)
        if found.text is None:
            _missing(given, "file_path", name, found.tried, around.report)
        else:
            data["code"] = found.text


def _read_format(given: Given, around: Surroundings) -> None:
    name = given.data.get("text_format_file")
    if not isinstance(name, str) or not name:
        return
    found = first_found([name], around.files)
    if found.text is None:
        _missing(given, "text_format_file", name, found.tried, around.report)
    else:
        given.data["resolved_text_format"] = found.text


def _missing(given: Given, key: str, name: str, tried: tuple[str, ...], report: Report, *, inline: str = "") -> None:
    problem = f'{key} "{name}" cannot be read; tried {listed(tried)}'
    if inline:
        given.add(report, "T9", f"{problem}; {inline} is used instead", key, severity="warning")
    else:
        given.add(report, "T9", problem, key)


def check(given: Given, props: Props, around: Surroundings) -> Props:
    """Report what is missing around the node. The properties, with references resolved to ids."""
    match props:
        case person_job.Props():
            _check_prompt(given, props, around)
            _check_format(given, props, around)
            _check_tools(given, props, around)
            return _with_person(given, props, around)
        case condition.Props(condition_type="llm_decision"):
            if not (props.judge_by or props.resolved_judge_by or props.judge_by_file):
                problem = "llm_decision needs judge_by or judge_by_file"
                given.add(around.report, "T15", problem, "judge_by", severity="error")
            if not props.person:
                given.add(around.report, "T2", "llm_decision needs a person", "person")
                return props
            return _with_person(given, props, around)
        case condition.Props(condition_type="custom"):
            _check_expression(given, props.expression, around)
        case condition.Props():
            _check_indices(given, props, around)
        case start.Props(trigger_mode="none") if props.custom_data:
            problem = "custom_data has no effect with trigger_mode none, which is the default"
            given.add(around.report, "T17", problem, "custom_data", suggestion="set trigger_mode: manual")
        case template_job.Props(template_content="", template_path=""):
            given.add(around.report, "T18", "it has neither template_content nor template_path")
        case json_schema_validator.Props(schema_path="", json_schema=None):
            given.add(around.report, "T18", "it has neither json_schema nor schema_path")
    return props


def _with_person(given: Given, props: Props, around: Surroundings) -> Props:
    name: str = getattr(props, "person")  # noqa: B009  # both props that come here have it
    known = around.persons
    person = known.get(name) or next((it for it in known.values() if it.label == name), None)
    if person is None:
        problem = f'there is no person "{name}"; the diagram has {known_words(known)}'
        hint = did_you_mean(name, [*known, *(it.label for it in known.values())])
        given.add(around.report, "T6", problem, "person", suggestion=hint)
        return props
    return props.model_copy(update={"person": person.id}) if person.id != name else props


def _check_prompt(given: Given, props: person_job.Props, around: Surroundings) -> None:
    texts = (props.default_prompt, props.first_only_prompt, props.resolved_prompt, props.resolved_first_prompt)
    if not any(texts) and not (props.prompt_file or props.first_prompt_file):
        given.add(around.report, "T15", "it has no prompt, so its value is empty", suggestion="set default_prompt")


def _check_format(given: Given, props: person_job.Props, around: Surroundings) -> None:
    field = "text_format_file" if props.text_format_file else "text_format"
    try:
        formats.schema_of(props.resolved_text_format or props.text_format)
    except structured.SchemaUnusable as error:
        given.add(around.report, "T1", f"{field}: {error}", field)


def _check_tools(given: Given, props: person_job.Props, around: Surroundings) -> None:
    """A service that has no such tool; the mock takes them all, and answers without."""
    person = around.persons.get(props.person) or next(
        (it for it in around.persons.values() if it.label == props.person), None
    )
    having = MODEL_SERVICES.get(person.service) if person else None
    for tool in props.tools:
        kind = tool.for_model.type
        if tool.enabled and person and having and kind not in having.tools:
            others = ", ".join(name for name, it in MODEL_SERVICES.items() if kind in it.tools)
            problem = f'service {person.service} of person "{person.label}" has no tool {kind}; it is in {others}'
            given.add(around.report, "T19", problem, "tools")


def _check_expression(given: Given, text: str, around: Surroundings) -> None:
    if not text.strip():
        given.add(around.report, "T4", "a custom condition needs an expression", "expression")
        return
    try:
        expressions.parse(text)
    except expressions.ExpressionError as error:
        line, column = around.report.positions.of_value(given.at("expression"))
        # only text that stands in one line as written keeps its columns; a quote shifts them by one
        mark = (line, column + error.column - 1) if column and "\n" not in text else (line, column)
        given.add(around.report, "T8", f"expression {shown(text)}: {error}", "expression", mark=mark)


def _check_indices(given: Given, props: condition.Props, around: Surroundings) -> None:
    names = {name for node in around.diagram.nodes for name in (node.id, node.label)}
    for index, name in enumerate(props.node_indices):
        if name not in names:
            at = (*given.at("node_indices"), index)
            problem = f'node_indices: there is no node "{name}"'
            given.add(around.report, "T14", problem, "node_indices", at=at, suggestion=did_you_mean(name, names))
    if props.condition_type == "check_nodes_executed" and not props.node_indices:
        problem = "check_nodes_executed needs node_indices: ids or labels of the nodes to look at"
        given.add(around.report, "T1", problem, "node_indices")


def persons_of(diagram: Diagram, path: str, files: SourceFiles, report: Report) -> dict[str, Person]:
    """Persons by id, services folded, prompt files read. T7 and T9."""
    return {person.id: _person(person, path, files, report) for person in diagram.persons}


def _person(person: DiagramPerson, path: str, files: SourceFiles, report: Report) -> Person:
    service = persons.service_name(person.service)
    if service not in SERVICES:
        report.add(
            "T7", f'person "{person.label}": there is no service "{person.service}"; there are {", ".join(SERVICES)}',
            (*person.at, "service"), label=person.label, field="service", suggestion=did_you_mean(service, SERVICES),
        )  # fmt: skip
    model = person.model or DEFAULT_MODELS.get(service, "")
    if service in MODEL_SERVICES and not model:
        report.add(
            "T20", f'person "{person.label}" names no model, so {service} cannot be asked', person.at,
            label=person.label, field="model", suggestion=f"give it a model of {service}",
        )  # fmt: skip
    if person.prompt_file:
        person = _with_system_prompt(person, path, files, report)
    return Person(
        id=person.id,
        label=person.label,
        service=service,
        model=model,
        api_key_id=person.api_key_id,
        system_prompt=person.system_prompt,
        base_url=person.base_url,
    )


def _with_system_prompt(person: DiagramPerson, path: str, files: SourceFiles, report: Report) -> DiagramPerson:
    found = first_found(prompt_places(person.prompt_file, path), files)
    if found.text is not None:
        return replace(person, system_prompt=found.text or person.system_prompt)
    problem = f'person "{person.label}": prompt_file "{person.prompt_file}" cannot be read; tried {listed(found.tried)}'
    more: dict[str, Any] = {"severity": "warning"} if person.system_prompt else {}
    report.add("T9", problem, (*person.at, "prompt_file"), label=person.label, field="prompt_file", **more)
    return person
