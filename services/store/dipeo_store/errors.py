"""Every error of the store.

dipeo_kit.errors.Conflict
├── Refused             an append that changes nothing; `reason` tells the writer what to do
│   ├── Fenced          stop: another executor holds the execution, or nobody does
│   ├── SeqMismatch     reload: the journal went on without you
│   ├── Terminal        stop: the execution has ended
│   ├── IllegalTransition  a mistake of the writer
│   ├── TooLarge        an event beyond the limit
│   └── JournalFull     the execution has written as much as one may; only its end fits
├── NotLegalNow         a signal or answer that came too late (reason CONFLICT)
├── EtagMismatch        a diagram of the catalogue that somebody else changed
├── NoMasterKey, WrongMasterKey  secrets cannot be sealed or opened
└── SessionLost         the session was given up; open a new one
dipeo_kit.errors.BadInput
└── InvalidEvent        an event nobody could read
    └── NewerEvent      this store could not: it is too old
dipeo_kit.errors.NotFound
├── UnknownExecution
├── UnknownSecret, UnknownDiagram, UnknownBlob
└── NothingAsked
dipeo_kit.errors.DataLoss
└── Tampered            what is stored is not what was put
dipeo_kit.errors.Overloaded
├── SlowReader          watch again from the last seq (reason RESYNC_REQUIRED)
└── DiskFull            nothing is written until there is room
dipeo_kit.errors.Unavailable
├── DatabaseFailed      the database does not do what was asked; the log says more
│   └── OutcomeUnknown  it went away while it committed: done or not, asking again tells
└── Unusable            the database cannot be opened: in use, unwritable, damaged, newer
"""

from dipeo_kit.errors import BadInput, Conflict, DataLoss, NotFound, Overloaded, Unavailable
from dipeo_kit.skew import OLDER


class Refused(Conflict):
    """The append changed nothing."""


class Fenced(Refused):
    reason = "FENCED"

    def __init__(self, execution_id: str, *, fence: int, current: int) -> None:
        super().__init__(f"execution {execution_id}: fence {fence} is not the holder's, the current one is {current}")
        self.execution_id, self.fence, self.current = execution_id, fence, current


class SeqMismatch(Refused):
    reason = "SEQ_MISMATCH"

    def __init__(self, execution_id: str, *, expected_seq: int, head_seq: int) -> None:
        super().__init__(f"execution {execution_id}: expected head {expected_seq}, the journal is at {head_seq}")
        self.execution_id, self.expected_seq, self.head_seq = execution_id, expected_seq, head_seq


class Terminal(Refused):
    reason = "TERMINAL"

    def __init__(self, execution_id: str, status: str) -> None:
        super().__init__(f"execution {execution_id} has ended ({status}); nothing can follow")
        self.execution_id, self.status = execution_id, status


class IllegalTransition(Refused):
    reason = "TRANSITION"

    def __init__(self, execution_id: str, event: str, why: str) -> None:
        super().__init__(f"execution {execution_id}: {event} is not legal here: {why}")
        self.execution_id, self.event = execution_id, event


class TooLarge(Refused):
    reason = "TOO_LARGE"

    def __init__(self, execution_id: str, event: str, *, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"execution {execution_id}: {event} has {size_bytes} bytes, at most {limit_bytes} are allowed")
        self.execution_id, self.size_bytes = execution_id, size_bytes


class JournalFull(Refused):
    reason = "JOURNAL_FULL"

    def __init__(self, execution_id: str, limit: str) -> None:
        super().__init__(f"execution {execution_id}: its journal may have {limit}, and is full")
        self.execution_id = execution_id


class NotLegalNow(Conflict):
    reason = "CONFLICT"


class EtagMismatch(Conflict):
    reason = "ETAG_MISMATCH"

    def __init__(self, name: str, *, wanted: int, current: int) -> None:
        now = f"has etag {current} now" if current else "does not exist"
        super().__init__(f'diagram "{name}" {now}, not {wanted}: somebody else changed it; read it again')
        self.name, self.current = name, current


class NoMasterKey(Conflict):
    reason = "NO_MASTER_KEY"


class WrongMasterKey(Conflict):
    reason = "WRONG_MASTER_KEY"


class SessionLost(Conflict):
    reason = "SESSION_LOST"


class InvalidEvent(BadInput):
    reason = "INVALID"


class NewerEvent(InvalidEvent):
    """A later release wrote it; kept as far as this one understands, it would be a lie."""

    reason = OLDER


class UnknownExecution(NotFound):
    def __init__(self, execution_id: str) -> None:
        super().__init__(f"no execution {execution_id}")
        self.execution_id = execution_id


class UnknownSecret(NotFound):
    """No key goes by that name."""


class UnknownDiagram(NotFound):
    """Not in the catalogue."""


class UnknownBlob(NotFound):
    """No such bytes are kept."""


class Tampered(DataLoss):
    """What is stored is not what was put."""


class NothingAsked(NotFound):
    """No question was ever asked there."""


class SlowReader(Overloaded):
    reason = "RESYNC_REQUIRED"

    def __init__(self, execution_id: str, last_seq: int) -> None:
        super().__init__(f"watch of {execution_id}: the reader is too slow; watch again from seq {last_seq}")
        self.execution_id, self.last_seq = execution_id, last_seq


class DiskFull(Overloaded):
    """Writes wait until there is room; reads go on."""

    reason = "DISK_FULL"


class DatabaseFailed(Unavailable):
    """The cause is in the log; users see the sentence only."""


class OutcomeUnknown(DatabaseFailed):
    """Writes that carry an id are asked again; a claim has none (sessions.py)."""


class Unusable(Unavailable):
    """Names the file and what would help."""


# why the store itself ended an execution, as its journal says it
TIMEOUT = {
    "type": "TimeoutError",
    "message": "it did not end at its deadline, nor when it was aborted; the store has ended it",
    "code": "timeout",
}
