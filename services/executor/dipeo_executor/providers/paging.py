"""From one page to the next. Pure. (node contract 20.3)"""

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from dipeo_executor.nodes import web
from dipeo_executor.nodes.base import NodeError
from dipeo_executor.nodes.web import Request, Response
from dipeo_executor.providers.manifest import Pagination


class PagesDoNotJoin(NodeError):
    """What the operation gives is no list, so several pages of it cannot become one."""


def first(request: Request, paging: Pagination) -> Request:
    """The request for the first page: with its size, and its number where pages are counted."""
    params: dict[str, str] = {}
    if paging.size_param and paging.page_size:
        params[paging.size_param] = str(paging.page_size)
    if paging.type == "page_number":
        params[paging.page_param] = str(paging.first_page)
    return _with(request, params, only_missing=True)


def following(request: Request, response: Response, document: Any, items: Any, paging: Pagination) -> Request | None:
    """The request for the page after `response`, or None at the end. `items`: what was taken from `document`."""
    if paging.type == "link_header":
        return _linked(request, response)
    if paging.type in ("cursor", "next_token"):
        cursor = pointed(document, paging.cursor_pointer)
        return None if cursor in (None, "", False) else _with(request, {paging.cursor_param: web.as_param(cursor)})
    count = len(items) if isinstance(items, list) else 0
    if count == 0 or count < paging.page_size:
        return None
    name, step = (paging.page_param, 1) if paging.type == "page_number" else (paging.offset_param, count)
    at = dict(request.params).get(name, "0")
    return _with(request, {name: str(int(at) + step)}) if at.isdecimal() else None


def _linked(request: Request, response: Response) -> Request | None:
    link = web.next_link(response)
    if not link:
        return None
    if web.origin(link) != web.origin(request.url):
        raise NodeError(f"the next page is on another host, {web.masked_url(link)}; it is not asked for")
    return replace(request, url=urlsplit(link)._replace(query="").geturl(), params=parse_qsl(urlsplit(link).query))


def _with(request: Request, params: dict[str, str], *, only_missing: bool = False) -> Request:
    given = dict(request.params)
    params = {name: text for name, text in params.items() if not (only_missing and name in given)}
    kept = [(name, text) for name, text in request.params if name not in params]
    return replace(request, params=[*kept, *params.items()])


def joined(pages: list[Any]) -> Any:
    """One page as it is, several lists as one."""
    if len(pages) == 1:
        return pages[0]
    if not all(isinstance(page, list) for page in pages):
        raise PagesDoNotJoin("several pages can be joined only when json_pointer leads to a list; ask for one page")
    return [item for page in pages for item in page]


def pointed(document: Any, pointer: str) -> Any:
    """The value at a JSON pointer (RFC 6901); null when there is none."""
    value = document
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value
