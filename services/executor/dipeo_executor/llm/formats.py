"""text_format -> JSON Schema: a schema as map or JSON text, or the source of Pydantic models. (node contract 6.6)"""

import json
from functools import lru_cache
from typing import Any

from dipeo_executor.llm import pydantic_source
from dipeo_executor.llm.structured import SchemaUnusable, validator_of


def schema_of(text_format: str | dict[str, Any]) -> dict[str, Any] | None:
    """None = plain text is wanted. Raises SchemaUnusable."""
    if isinstance(text_format, str):
        return _of_text(text_format) if text_format.strip() else None
    validator_of(text_format)
    return text_format or None


@lru_cache(maxsize=256)
def _of_text(text: str) -> dict[str, Any]:
    try:
        schema = json.loads(text)
    except ValueError:
        try:
            schema = pydantic_source.schema_of(text)
        except pydantic_source.SourceUnusable as error:
            raise SchemaUnusable(
                f"it must be a JSON Schema (a map, or its JSON text) or the source of Pydantic models: {error}"
            ) from error
    if not isinstance(schema, dict):
        raise SchemaUnusable(f"it must be a JSON Schema, not a {type(schema).__name__}")
    validator_of(schema)
    return schema
