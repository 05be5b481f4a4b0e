"""UUIDv7 in wire form."""

import uuid

from dipeo_kit import ids


def test_ids_are_uuid_version_7_and_sort_by_creation():
    made = [ids.new_execution_id() for _ in range(3)]
    assert all(uuid.UUID(one.removeprefix("exec_")).version == 7 for one in made)
    assert [one[:17] for one in made] == sorted(one[:17] for one in made)


def test_only_the_exact_form_is_an_execution_id():
    good = ids.new_execution_id()
    assert ids.is_execution_id(good)
    assert not any(map(ids.is_execution_id, (good + "0", good.upper(), "exec_abc", f" {good}", "")))
