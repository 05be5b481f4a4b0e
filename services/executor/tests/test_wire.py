"""Journal events as the engine's."""

import pytest

from dipeo_executor import wire
from dipeo_kit.errors import Unavailable
from dipeo_protos.store.v1 import events_pb2 as pb


def test_a_journal_that_a_later_release_wrote_is_not_continued():
    newer = pb.Event(event_id="0" * 32, seq=7)
    newer.MergeFromString(b"\xa2\x38\x00")  # field 900, an empty message: a kind of event nobody here knows
    with pytest.raises(Unavailable, match=r"the executor is release .* older than what wrote this journal.* event 7"):
        wire.from_pb(newer, None)  # type: ignore[arg-type]  # names are for known kinds
