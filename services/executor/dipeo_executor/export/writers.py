"""Nodes -> functions of a script, one writer per node type: the lines of the body."""

import json
import re
from collections.abc import Callable
from typing import Any

from dipeo_executor.engine.children import SKIPPED
from dipeo_executor.export import code
from dipeo_executor.export.expression import as_python
from dipeo_executor.export.literals import call, literal
from dipeo_executor.export.nodes import CannotExport, Writer
from dipeo_executor.export.person_writers import person_job
from dipeo_executor.program import Node, Program


def function_of(writer: Writer, node: Node) -> str:
    """The text of a node's function. Raises CannotExport."""
    writer.function, writer.constants = writer.names[node.id], []
    lines = WRITERS[node.type](writer, node) if node.type in WRITERS else None
    if lines is None:
        raise CannotExport(f"nodes of type {node.type} cannot be exported")
    is_python = node.type == "code_job" and node.props.language == "python"  # may block: it gets a thread
    awaits = any("await " in line for line in lines) and not is_python
    is_async = awaits or node.type in ("start", "endpoint", "condition")
    head = f"{'async ' if is_async else ''}def {writer.names[node.id]}(run: Run, inputs: Inputs) -> Any:"
    about = f'    """{node.type} "{_one_line(node.label)}\\""""'.replace('\\""""', '"."""')
    body = [f"    {line}" if line else "" for line in lines]
    function = "\n".join([*_decorators(writer, node), head, about, *body])
    return "\n\n\n".join(["\n".join(writer.constants), function] if writer.constants else [function])


def _decorators(writer: Writer, node: Node) -> list[str]:
    """What is tried again, and how long it may take. (the engine tries no sub-diagram again)"""
    props, lines = node.props, []
    if props.retry is not None and props.retry.attempts > 1 and node.type != "sub_diagram":
        writer.uses.add("retried")
        given = props.retry.model_dump(exclude_defaults=True)
        more = {name: literal(tuple(it) if isinstance(it, list) else it) for name, it in given.items()}
        lines += f"@{call('retried', [], more)}".splitlines()
    if props.timeout and node.type not in ("user_response", "api_job"):  # these have it as an argument
        writer.uses.add("limited")
        lines.append(f"@limited({props.timeout:g})")
    return lines


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("\\", "/").replace('"', "'")


def _start(writer: Writer, node: Node) -> list[str]:
    writer.uses.add("begin")
    return [f"return begin(run, manual={node.props.trigger_mode != 'none'})"]


def _endpoint(writer: Writer, node: Node) -> list[str]:
    props = node.props
    writer.uses.add("end")
    if not props.save_to_file:
        return ["return end(inputs)"]
    writer.uses.add("save_result")
    format = props.file_format.lower()
    if format in ("yaml", "yml"):
        writer.packages.add("pyyaml")
    name = props.file_name or f"output_{node.id}.json"
    more = {"format": literal(format)} if format else {}
    return ["value = end(inputs)", call("save_result", ["value", literal(name)], more), "return value"]


def _condition(writer: Writer, node: Node) -> list[str]:
    props = node.props
    writer.uses.add("branch")
    index = f"{{{literal(props.expose_index_as)}: run.count - 1}}" if props.expose_index_as else ""
    lines: list[str] = []
    labels = [
        literal(it.label) for name in props.node_indices for it in writer.program.nodes if name in (it.id, it.label)
    ]
    match props.condition_type:
        case "custom":
            writer.uses |= {"names_of", "member", "item", "below", "at_most"}
            holds = as_python(props.expression)
            lines = [f"names = {call('names_of', ['run', 'inputs', *([index] if index else [])])}"]
            return [*lines, f"return branch(bool({holds}), inputs)"] if not index else [
                *lines, f"return branch(bool({holds}), inputs, {index})",
            ]  # fmt: skip
        case "detect_max_iterations":
            writer.uses.add("all_at_limit")
            holds = call("all_at_limit", ["run", *labels])
        case "check_nodes_executed":
            writer.uses.add("all_executed")
            holds = call("all_executed", ["run", *labels])
        case _:
            writer.uses.add("decide")
            lines = [f"question = {writer.filled(props.judge_by or props.resolved_judge_by, 'question')}"]
            holds = f"await decide(run, {writer.person(props.person)}, question, inputs)"
    return [*lines, f"return branch({holds}, inputs{f', {index}' if index else ''})"]


def _code_job(writer: Writer, node: Node) -> list[str]:
    props = node.props
    if props.language == "typescript":
        raise CannotExport("TypeScript cannot stand in a Python script")
    if not props.code.strip():
        raise CannotExport("it has no code")
    if props.language in ("bash", "shell"):
        writer.uses.add("bash")
        return f"return await {call('bash', ['run', 'inputs', writer.text(props.code, 'script')])}".splitlines()
    lines = [f"sys.path.insert(0, {literal(props.file_path.rpartition('/')[0] or '.')})"] if props.file_path else []
    body = code.body_of(props.code, props.function_name, writer.ports(node))
    if body is None:
        writer.uses.add("execute")
        more = {"function": literal(props.function_name)} if props.function_name else {}
        source = writer.text(props.code, "code")
        return [*lines, *f"return {call('execute', ['run', 'inputs', source], more)}".splitlines()]
    if body.reads:
        writer.uses.add("given")
        lines.append(f"{', '.join(body.reads)} = {call('given', ['run', 'inputs', *map(literal, body.reads)])}")
    if "call_main(" in body.text:
        writer.uses.add("call_main")
    return [*lines, *body.text.splitlines()]


def _db(writer: Writer, node: Node) -> list[str]:
    props = node.props
    names = [props.file] if isinstance(props.file, str) else props.file
    if props.format == "yaml" or any(name.endswith((".yaml", ".yml")) for name in names if props.operation == "update"):
        writer.packages.add("pyyaml")
    given = props.keys.split(",") if isinstance(props.keys, str) else props.keys or []
    keys = [key.strip() for key in given if key.strip()]
    more = {"format": literal(props.format)} if props.format != "json" else {}
    match props.operation:
        case "read":
            more |= {"rows": "True"} if props.csv == "rows" and props.format == "csv" else {}
            more |= {"keys": literal(tuple(keys))} if keys else {}
            more |= {"lines": literal(props.lines)} if props.lines is not None else {}
            more |= {"missing_ok": "True"} if props.missing_ok else {}
            more |= {} if props.glob else {"patterns": "False"}
            name, arguments = "read_files", [literal(it) for it in names]
        case "write" | "append" | "update" if len(names) == 1:
            name, arguments = f"{props.operation}_file", [literal(names[0]), *map(literal, keys)]
            more = {} if props.operation == "append" else more
        case _:
            raise CannotExport(f"operation {props.operation} on {len(names)} files does nothing")
    writer.uses.add(name)
    return f"return {call(name, ['run', 'inputs', *arguments], more)}".splitlines()


def _user_response(writer: Writer, node: Node) -> list[str]:
    props = node.props
    writer.uses.add("answer_of")
    more = {"timeout_s": literal(props.timeout)} if props.timeout else {}
    more |= {"required": "True"} if props.required else {}
    more |= {"options": literal(tuple(props.options))} if props.options else {}
    if props.sensitive:
        writer.uses.add("unseen")
        more["typing"] = "unseen"
    lines = f"prompt = {writer.filled(props.prompt, 'prompt')}".splitlines()
    return [*lines, f"return await {call('answer_of', ['run', literal(node.label), 'prompt'], more)}"]


def _sub_diagram(writer: Writer, node: Node) -> list[str]:
    props, inner = node.props, node.child
    if writer.is_inner and props.ignore_if_sub:
        return [f"return {literal(dict(SKIPPED))}"]
    if inner is None:
        raise CannotExport("its diagram is not known")
    custom_data = literal(custom_data_of(inner))
    more = {"isolate": "True"} if props.isolate_conversation else {}
    flow = writer.inner[node.id]
    more |= {"outputs": literal(props.output_mapping)} if props.output_mapping else {}
    if props.batch:
        writer.uses.add("for_each")
        at_once = props.max_concurrent if props.batch_parallel else 1
        arguments = ["run", flow, "inputs", literal(props.batch_input_key), str(at_once), custom_data]
        return f"return await {call('for_each', arguments, more)}".splitlines()
    writer.uses.add("inside")
    parts = []
    if props.pass_input_data:
        writer.uses.add("handed_on")
        parts.append("handed_on(inputs)")
    if props.input_mapping:
        writer.uses.add("picked")
        parts.append(f"picked(inputs, {literal(props.input_mapping)})")
    variables = f"{{{', '.join(f'**{part}' for part in parts)}}}" if len(parts) != 1 else parts[0]
    return f"return await {call('inside', ['run', flow, variables, custom_data], more)}".splitlines()


def custom_data_of(program: Program) -> dict[str, Any]:
    """The lowest scope of a diagram: custom_data of its start nodes, the first of them on top."""
    merged: dict[str, Any] = {}
    for node in reversed(program.nodes):
        if node.type == "start" and node.props.trigger_mode != "none":
            merged |= node.props.custom_data
    return merged


def _template_job(writer: Writer, node: Node) -> list[str]:
    props = node.props
    writer.uses.add("fill_template")
    writer.packages.add("jinja2")
    writer.filters |= set(re.findall(r"\b\w+\b", props.template_content)) if props.template_content else {"*"}
    text = (
        {"text": writer.text(props.template_content, "template")}
        if props.template_content
        else {"file": literal(props.template_path)}
    )
    more = text | ({"to": literal(props.output_path)} if props.output_path else {})
    more |= {"variables": literal(props.variables)} if props.variables else {}
    return f"return {call('fill_template', ['run', 'inputs'], more)}".splitlines()


def _validator(writer: Writer, node: Node) -> list[str]:
    props = node.props
    writer.uses.add("check")
    writer.packages.add("jsonschema-rs")
    more = {"schema_file": literal(props.schema_path)} if props.json_schema is None else {}
    more |= {"data_file": literal(props.data_path)} if props.data_path else {}
    more |= {"strict": "True"} if props.strict_mode else {}
    more |= {"closed": "True"} if props.error_on_extra else {}
    arguments = ["inputs", *([literal(props.json_schema)] if props.json_schema is not None else [])]
    return f"return {call('check', arguments, more)}".splitlines()


def _api_job(writer: Writer, node: Node) -> list[str]:
    props = node.props
    writer.uses |= {"call_api", "fill"}
    more = {"method": literal(props.method)} if props.method != "GET" else {}
    for name in ("headers", "params", "body"):
        value = getattr(props, name)
        if value not in ({}, "", None):
            more[name] = literal(json.loads(value) if name != "body" and isinstance(value, str) else value)
    more |= {"timeout_s": literal(props.timeout)} if props.timeout else {}
    more |= {"retries": literal(props.max_retries)} if props.max_retries != 2 else {}
    if auth := _auth(writer, props):
        more["auth"] = auth
    return f"return await {call('call_api', ['run', 'inputs', literal(props.url)], more)}".splitlines()


def _auth(writer: Writer, props: Any) -> str:
    """The headers of an auth_type; secrets come from the environment or stand in texts with {{names}}."""

    def one(key: str) -> str:
        value = props.auth_config.get(key, props.auth_config if "env" in props.auth_config else None)
        if isinstance(value, dict) and "env" in value:
            writer.uses.add("secret")
            return call("secret", [literal(value["env"])])
        if not isinstance(value, str):
            raise CannotExport(f"auth_config.{key} must be text or {{env: NAME}} to be exported")
        if "{{" not in value:
            raise CannotExport(
                f"auth_config.{key} is a secret in the diagram; write {{env: NAME}} to keep it out of scripts"
            )
        return writer.filled(value)

    match props.auth_type:
        case "bearer":
            return f'{{"Authorization": "Bearer " + {one("token")}}}'
        case "basic":
            writer.uses.add("basic")
            return f'{{"Authorization": {call("basic", [one("username"), one("password")])}}}'
        case "api_key":
            return f"{{{literal(str(props.auth_config.get('key_name') or 'X-API-Key'))}: {one('key_value')}}}"
    return ""


WRITERS: dict[str, Callable[[Writer, Node], list[str]]] = {
    "start": _start,
    "endpoint": _endpoint,
    "condition": _condition,
    "person_job": person_job,
    "code_job": _code_job,
    "db": _db,
    "user_response": _user_response,
    "sub_diagram": _sub_diagram,
    "template_job": _template_job,
    "json_schema_validator": _validator,
    "api_job": _api_job,
}
