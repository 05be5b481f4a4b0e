"""The catalogue of diagrams: etags and the feed of its changes (spec/store.md §15.3, §17)."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from store_client import PATIENCE_S, Store

from dipeo_kit import rpc
from dipeo_kit.errors import BadInput, Conflict, NotFound
from dipeo_protos.store.v1 import content_pb2 as pb

TEXT = "version: light\nnodes: []\n"


async def _put(store: Store, name: str = "tea", **fields) -> pb.PutDiagramResponse:
    request = pb.PutDiagramRequest(**{"name": name, "format": "light", "text": TEXT, "published": True} | fields)
    return await rpc.call(store.stub.PutDiagram, request)


async def _get(store: Store, name: str) -> pb.CatalogEntry:
    return (await rpc.call(store.stub.GetDiagram, pb.GetDiagramRequest(name=name))).entry


async def _list(store: Store, **fields) -> pb.ListDiagramsResponse:
    return await rpc.call(store.stub.ListDiagrams, pb.ListDiagramsRequest(**fields))


async def _delete(store: Store, name: str, **fields) -> bool:
    return (await rpc.call(store.stub.DeleteDiagram, pb.DeleteDiagramRequest(name=name, **fields))).deleted


async def _changes(store: Store, after: int = 0) -> AsyncIterator[tuple[int, str, bool]]:
    with rpc.translated():
        async for response in store.stub.WatchCatalog(pb.WatchCatalogRequest(after_revision=after)):
            for change in response.changes:
                yield change.revision, change.entry.name, change.deleted


async def _take(changes: AsyncIterator[tuple[int, str, bool]], count: int) -> list[tuple[int, str, bool]]:
    async with asyncio.timeout(PATIENCE_S):
        return [await anext(changes) for _ in range(count)]


async def test_a_diagram_is_kept_with_its_text_and_metadata(store: Store):
    put = await _put(store, metadata_json=b'{"description":"\\u00fc","n":100000000000000000000}', updated_by="ann")
    assert put.changed and put.entry.etag == 1
    found = await _get(store, "tea")
    assert found == put.entry and (found.text, found.format, found.published) == (TEXT, "light", True)
    assert found.metadata_json == b'{"description":"\\u00fc","n":100000000000000000000}'
    await store.restart()
    assert await _get(store, "tea") == found
    with pytest.raises(NotFound, match='"coffee"'):
        await _get(store, "coffee")


async def test_the_same_put_twice_changes_nothing(store: Store):
    first = await _put(store)
    again = await _put(store)
    assert not again.changed and again.entry == first.entry
    assert (await _put(store, published=False)).entry.etag == 2


async def test_an_etag_keeps_others_changes(store: Store):
    first = (await _put(store, if_match=0)).entry.etag
    with pytest.raises(Conflict, match=f"has etag {first} now") as caught:
        await _put(store, text="other", if_match=0)
    assert caught.value.reason == "ETAG_MISMATCH"
    second = (await _put(store, text="other", if_match=first)).entry.etag
    with pytest.raises(Conflict):
        await _delete(store, "tea", if_match=first)
    with pytest.raises(Conflict, match="does not exist"):
        await _put(store, "coffee", if_match=7)
    assert await _delete(store, "tea", if_match=second)
    assert not await _delete(store, "tea")
    assert (await _put(store, if_match=0)).entry.etag > second  # a new one never gets an old etag


async def test_two_writers_with_one_etag_do_not_both_win(store: Store):
    etag = (await _put(store)).entry.etag
    outcomes = await asyncio.gather(
        *(_put(store, text=f"text {n}", if_match=etag) for n in range(5)), return_exceptions=True
    )
    assert sum(isinstance(each, pb.PutDiagramResponse) for each in outcomes) == 1
    assert sum(isinstance(each, Conflict) for each in outcomes) == 4


async def test_lists_go_by_name_in_pages_and_without_texts(store: Store):
    for name in ("b", "a", "D", "c"):
        await _put(store, name, published=name != "b")
    await _delete(store, "c")
    first = await _list(store, page_size=2)
    assert [each.name for each in first.entries] == ["D", "a"] and not any(each.text for each in first.entries)
    second = await _list(store, page_size=2, page_token=first.next_page_token)
    assert [each.name for each in second.entries] == ["b"] and not second.next_page_token
    assert [each.name for each in (await _list(store, published_only=True)).entries] == ["D", "a"]


async def test_who_follows_the_catalogue_sees_the_latest_change_of_each_diagram(store: Store):
    await _put(store, "a")
    await _put(store, "b")
    await _put(store, "a", text="again")
    changes = _changes(store)
    assert await _take(changes, 2) == [(2, "b", False), (3, "a", False)]
    await _delete(store, "b")
    await _put(store, "c")
    assert await _take(changes, 2) == [(4, "b", True), (5, "c", False)]
    assert await _take(_changes(store, after=4), 1) == [(5, "c", False)]


@pytest.mark.parametrize(
    "fields",
    [
        *({"name": name} for name in ("a b", "", "a..b", ".a", "-a", "a/b", "a" * 101)),
        {"format": "xml"},
        {"metadata_json": b"{"},
    ],
)
async def test_what_is_no_entry_is_refused(store: Store, fields: dict):
    with pytest.raises(BadInput):
        await _put(store, **fields)
