"""A person_job for each item of a list. (node contract 6.7, engine contract 4.10)"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from dipeo_executor.llm import retrying
from dipeo_executor.nodes import base
from dipeo_executor.templates import unwrap

_NONE = object()
One = Callable[[base.Inputs, str], Awaitable[base.Output]]  # (inputs of the item, a name for it within this node run)


async def run(inputs: base.Inputs, key: str, at_once: int, one: One, ctx: base.Context) -> base.Output:
    """The value is {total_items, successful, failed, results, errors}, in the order of the items.

    An item whose run fails is among the errors; when all fail, so does the node. The items do not see each other's
    messages: those join the conversation when the node has ended, in the order of the items.
    """
    items = _items(inputs, key)
    if items is None:
        ctx.log("warning", f'there are no items: no input has "{key}"; the inputs are {", ".join(inputs) or "none"}')
        items = []
    others = {port: value for port, value in inputs.items() if port not in (key, "default")}
    gate = asyncio.Semaphore(at_once)

    async def run_one(index: int, item: Any) -> base.Output | base.NodeError:
        given = {**others, "default": item, "_batch_index": index, "_batch_total": len(items)}
        async with gate:
            return await _tried(given, index, one, ctx)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run_one(index, item)) for index, item in enumerate(items)]
    return _collected(items, [task.result() for task in tasks])


async def _tried(given: base.Inputs, index: int, one: One, ctx: base.Context) -> base.Output | base.NodeError:
    """One item. What a service refuses for now is asked again here: another attempt at the node would ask for all."""
    began, tries = time.monotonic(), 0
    while True:
        tries += 1
        try:
            return await one(given, str(index))
        except base.NodeError as error:
            luck = random.Random(f"{ctx.idempotency_key}/{index}/{tries}").random()
            spent_s = time.monotonic() - began
            wait = retrying.wait_s(None, error, error.kind, failed=tries, spent_s=spent_s, luck=luck)
            if wait is None:
                return error
            ctx.log("warning", f"item {index}: {error}; asking again in {wait:.1f} s (attempt {tries + 1})")
            await asyncio.sleep(wait)


def _items(inputs: Mapping[str, Any], key: str) -> list[Any] | None:
    """Under its own port, else in the default input, whatever levels of "default" are around it; None: nowhere."""
    default = inputs.get("default")
    found = default if key == "default" else inputs.get(key, _NONE)
    if found is _NONE:
        inner = default if isinstance(default, Mapping) and key in default else unwrap(default)
        found = inner[key] if isinstance(inner, Mapping) and key in inner else None
    else:
        found = unwrap(found)
    if found is None:
        return None
    return found if isinstance(found, list) else [found]


def _collected(items: list[Any], ended: list[base.Output | base.NodeError]) -> base.Output:
    outputs = [(index, it) for index, it in enumerate(ended) if isinstance(it, base.Output)]
    errors = [
        {"index": index, "error": str(it), "error_type": it.kind, "item": items[index]}
        for index, it in enumerate(ended)
        if isinstance(it, base.NodeError)
    ]
    fatal = next((it for it in ended if isinstance(it, base.NodeError) and it.code != base.NodeError.code), None)
    if fatal is not None:
        raise fatal
    if errors and not outputs:
        first = errors[0]
        raise base.NodeError(f"all {len(items)} items failed; the first: {first['error']}", kind=first["error_type"])
    value = {
        "total_items": len(items),
        "successful": len(outputs),
        "failed": len(errors),
        "results": [{"index": index, "output": it.value, "metadata": dict(it.meta)} for index, it in outputs],
        "errors": errors or None,
    }
    messages = {message.id: message for _, it in outputs for message in it.messages}
    return base.Output(
        value,
        messages=list(messages.values()),
        usage=sum((it.usage for _, it in outputs if it.usage), base.Usage()),
        model=next((it.model for _, it in outputs if it.model), ""),
    )
