"""Spellings of names and words, as templates want them. (node contract 13)"""

import json
import re

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_COMMENT = re.compile(r"""("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|[ \t]*//[^\n]*""")


def _parts(text: str) -> list[str]:
    """The words of a name: someName, some_name, some-name and SomeHTTPName. A space is not a separator."""
    return [part for part in re.split(r"[_\-]+", _HUMP.sub("_", text)) if part]


def snake_case(text: str) -> str:
    return "_".join(part.lower() for part in _parts(text))


def kebab_case(text: str) -> str:
    return "-".join(part.lower() for part in _parts(text))


def pascal_case(text: str) -> str:
    return "".join(part[:1].upper() + part[1:].lower() for part in _parts(text))


def camel_case(text: str) -> str:
    pascal = pascal_case(text)
    return pascal[:1].lower() + pascal[1:]


def humanize(text: str) -> str:
    """someName -> Some name"""
    return " ".join(part.lower() for part in _parts(text)).capitalize()


def pluralize(word: str) -> str:
    """By the regular rules of English."""
    if re.search(r"[^aeiou]y$", word):
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("s", "x", "z", "ch", "sh")) else f"{word}s" if word else ""


def singularize(word: str) -> str:
    """The inverse of pluralize."""
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith(("sses", "xes", "zes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def escape_js(text: str) -> str:
    """For the inside of a JavaScript string in any quotes."""
    return json.dumps(text)[1:-1].replace("'", "\\'").replace("`", "\\`").replace("</", "<\\/")


def strip_inline_comments(text: str) -> str:
    """Without `// …` up to the end of each line; those inside quotes stay."""
    return _COMMENT.sub(lambda match: match[1] or "", text)
