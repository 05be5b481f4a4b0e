"""Diagrams inside a node."""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from dipeo_executor.engine.children import lookup, shaped_result
from dipeo_executor.export.runtime.arrows import Outcome
from dipeo_executor.export.runtime.kinds import Inputs, Message
from dipeo_executor.export.runtime.running import NodeError, Run, body_of

Inner = Callable[[Run], Awaitable[Any]]


async def inside(
    run: Run,
    flow: Inner,
    variables: dict[str, Any],
    custom_data: dict[str, Any],
    *,
    isolate: bool = False,
    outputs: dict[str, str] | None = None,
) -> Any:
    """Run an inner diagram on variables of its own; its persons take part in the conversation unless isolated.

    `outputs` shapes the result: {name: dotted path into it, or "Label.path" into what an inner node produced last}.
    """
    talk: list[Message] = [] if isolate else run.messages
    inner = replace(
        run, variables=copy.deepcopy(variables), custom_data=custom_data, messages=talk, counts={}, path=f"{run.path}/"
    )
    result = await flow(inner)
    produced = {label: count.value for label, count in inner.counts.items() if count.completed}
    return shaped_result(outputs, result, produced)


async def body(flow: Outcome) -> Any:
    """What a diagram hands to the one around it: the same as its result, but that values of endpoints are maps."""
    result = await flow.result()
    reached = [index for index in flow.ends if index in flow.outputs]
    if len(reached) > 1:
        return {flow.steps[index].label: body_of(flow.outputs[index].value) for index in reached}
    return body_of(result) if reached else result


def handed_on(inputs: Inputs) -> dict[str, Any]:
    """All inputs; a lone map is spread."""
    only = inputs.get("default")
    return dict(only) if list(inputs) == ["default"] and isinstance(only, dict) else dict(inputs)


def picked(inputs: Inputs, mapping: dict[str, str]) -> dict[str, Any]:
    """{inner name: input or dotted path into one}; what is not there is left out."""
    looked = {name: lookup(inputs, path) for name, path in mapping.items()}
    return {name: value for name, (found, value) in looked.items() if found}


async def for_each(
    run: Run,
    flow: Inner,
    inputs: Inputs,
    key: str,
    at_once: int,
    custom_data: dict[str, Any],
    *,
    isolate: bool = False,
    outputs: dict[str, str] | None = None,
) -> list[dict[str, Any]]:
    """An inner diagram once per item, in the order of the items. Fails when all of them do."""
    items = items_in(inputs, key)
    others = {name: value for name, value in inputs.items() if name not in (key, "default")}
    gate = asyncio.Semaphore(at_once)

    async def one(index: int, value: Any) -> dict[str, Any]:
        spread = value if key == "default" and isinstance(value, Mapping) else {"default": value}
        variables = {**spread, "_batch_index": index, "_batch_total": len(items), **others}
        async with gate:
            try:
                output = await inside(run, flow, variables, custom_data, isolate=isolate, outputs=outputs)
            except NodeError as error:
                return {"index": index, "error": str(error)}
        return {"index": index, "output": output, "metadata": {"sub_execution_id": f"{run.path}/{index}"}}

    made = await asyncio.gather(*(one(index, value) for index, value in enumerate(items)))
    if made and all("error" in it for it in made):
        raise NodeError(f"all {len(made)} items failed; the first: {made[0]['error']}")
    return list(made)


def items_in(inputs: Inputs, key: str) -> list[Any]:
    """Under the key, else in the unnamed input, one more level down as well; what is no list is one item."""
    found, inner = inputs.get(key), inputs.get("default")
    for _ in range(2):
        if found is None and isinstance(inner, Mapping):
            found, inner = inner.get(key), inner.get("default")
    return [] if found is None else list(found) if isinstance(found, list) else [found]
