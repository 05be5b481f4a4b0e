"""Node types by name. A new type is one file and one line here."""

from collections.abc import Awaitable, Callable
from typing import Any

from pydantic.alias_generators import to_camel

from dipeo_executor.nodes import (
    api_job,
    base,
    code_job,
    condition,
    db,
    diff_patch,
    endpoint,
    hook,
    integrated_api,
    ir_builder,
    json_schema_validator,
    person_job,
    start,
    sub_diagram,
    template_job,
    typescript_ast,
    user_response,
)
from dipeo_executor.nodes.base import NodeType

Run = Callable[[Any, base.Inputs, base.Context], Awaitable[base.Output]]


def _type(props: type[base.Props], run: Run | None, **aliases: str) -> NodeType:
    camel = {to_camel(name): name for name in props.model_fields if to_camel(name) != name}
    return NodeType(props, run, camel | aliases)


REGISTRY: dict[str, NodeType] = {
    "start": _type(start.Props, start.run),
    "endpoint": _type(endpoint.Props, endpoint.run, file_path="file_name"),
    "condition": _type(condition.Props, condition.run, condition="expression"),
    "person_job": _type(person_job.Props, person_job.run, prompt="default_prompt"),
    "code_job": _type(code_job.Props, code_job.run, code_type="language"),
    "db": _type(db.Props, db.run, source_details="file"),
    "user_response": _type(user_response.Props, user_response.run),
    "sub_diagram": _type(sub_diagram.Props, None),
    "template_job": _type(template_job.Props, template_job.run),
    "json_schema_validator": _type(json_schema_validator.Props, json_schema_validator.run, strict="strict_mode"),
    "diff_patch": _type(diff_patch.Props, diff_patch.run),
    "typescript_ast": _type(typescript_ast.Props, typescript_ast.run),
    "api_job": _type(api_job.Props, api_job.run),
    "hook": _type(hook.Props, hook.run, function="function_name"),
    "integrated_api": _type(integrated_api.Props, integrated_api.run),
    "ir_builder": _type(ir_builder.Props, ir_builder.run),
}
