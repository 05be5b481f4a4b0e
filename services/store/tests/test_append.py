from store_client import Store, completed, started


async def test_case_1_resending_a_batch_changes_nothing(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        batch = (started("a"), completed("a"), started("b"))
        before = work.head_seq
        assert (await store.append(work, *batch)).head_seq == before + 3
        for _ in range(10):
            again = await store.append(work, *batch, expected_seq=before)
            assert (again.reason, again.duplicate, again.head_seq) == ("", True, before + 3)
        assert [each.seq for each in await store.journal(work.execution_id)] == list(range(1, before + 4))
