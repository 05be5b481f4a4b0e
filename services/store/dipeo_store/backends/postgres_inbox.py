"""Everything but appends that writes on Postgres: executions, sessions, the queue, signals, answers.

Each operation is one transaction. What is locked, in this order everywhere: sessions, executions by id, the rest.
(spec/store.md §16.4-16.6)
"""

from collections.abc import Collection, Sequence
from typing import Any

from dipeo_kit import ids
from dipeo_kit.errors import AlreadyExists, BadInput
from dipeo_store import errors, forks
from dipeo_store.backends import postgres_reads as reads
from dipeo_store.backends.postgres_writes import Transaction
from dipeo_store.backends.rows import INTERACTION
from dipeo_store.journal import HandOver, changes_control
from dipeo_store.model import (
    TERMINAL,
    Answered,
    Created,
    Event,
    Fork,
    Interaction,
    NewExecution,
    Posted,
    Published,
    Signal,
    Work,
)
from dipeo_store.payload import dump

_READY = """
  SELECT e.id FROM work w JOIN executions e ON e.id = w.execution
  WHERE w.session IS NULL AND w.not_before <= now_us()
  ORDER BY w.priority DESC, w.not_before, w.execution LIMIT $2 FOR NO KEY UPDATE OF e, w SKIP LOCKED"""
_THIS = "SELECT $2::bigint AS id"
LEADER_LOCK = 0x64695065_6F000002  # pg_advisory: whoever has it looks for lost sessions

# --- executions ------------------------------------------------------------------------------------------------------


async def create(tx: Transaction, new: NewExecution) -> Created:
    """Raises AlreadyExists; with a fork UnknownExecution, NotLegalNow, BadInput."""
    taken: list[Event] = []
    if new.fork is not None:
        new, taken = await _forked(tx, new, new.fork)
    session = await _alive(tx, new.session_id)
    if (existing := await _existing(tx, new)) is not None:
        return await _made_before(tx, existing, new.session_id)
    if new.fork is None:
        await tx.db.execute(
            "INSERT INTO sources (hash, data) VALUES ($1, $2) ON CONFLICT (hash) DO UPDATE SET hash = excluded.hash",
            new.source_hash,
            new.source,
        )
    run = await tx.db.fetchval(
        "INSERT INTO executions (execution_id, status, diagram_id, diagram_name, source_hash, origin, principal,"
        " trace_parent, idempotency_key, idempotency_hash, head_seq, created_at, timeout_us)"
        " VALUES ($1, 'pending', $2, $3, $4, $5, $6, $7, $8, $9, 1, now_us(), $10) ON CONFLICT DO NOTHING RETURNING id",
        new.execution_id,
        new.diagram_id,
        new.diagram_name,
        new.source_hash,
        new.origin,
        new.principal,
        new.trace_parent,
        new.idempotency_key or None,
        new.idempotency_hash,
        new.timeout_us,
    )
    if run is None:  # another call with this key or id was quicker, and is committed now
        existing = await _existing(tx, new)
        assert existing is not None
        return await _made_before(tx, existing, new.session_id)
    event = new.created
    await tx.db.execute(
        "INSERT INTO transitions (execution, seq, event_id, type, fence, at, payload)"
        " VALUES ($1, 1, $2, $3, 0, $4, $5)",
        run,
        event.event_id,
        event.type,
        event.at,
        event.payload,
    )
    await tx.db.execute("INSERT INTO work (execution, not_before) VALUES ($1, now_us())", run)
    tx.published.append(Published(new.execution_id, (event,)))
    if taken:
        tx.journal(await tx.head(new.execution_id), taken, fence=0)
        await tx.flush()
    claims = await _take(tx, session, _THIS, run) if session else []
    execution = await reads.execution(tx.db, new.execution_id)
    return Created(execution, created=True, claim=claims[0] if claims else None)


async def _forked(tx: Transaction, new: NewExecution, fork: Fork) -> tuple[NewExecution, list[Event]]:
    # neither it nor its blobs may be removed before we refer to them
    await tx.db.execute("SELECT 1 FROM executions WHERE execution_id = $1 FOR KEY SHARE", fork.execution_id)
    other = await reads.execution(tx.db, fork.execution_id)
    forks.checked(fork, other)
    created, *history = await reads.events_before(tx.db, other.id, fork.before_seq)
    taken = forks.taken_over(history, now=await tx.db.fetchval("SELECT now_us()"))
    return forks.as_fork(new, other, created, len(taken)), taken


async def _existing(tx: Transaction, new: NewExecution) -> str | None:
    """The execution an earlier call with the same key, or the same id, made."""
    found = await tx.db.fetchrow(
        "SELECT execution_id, idempotency_hash FROM executions WHERE principal = $1 AND idempotency_key = $2",
        new.principal,
        new.idempotency_key or None,
    )
    if found:
        if found[1] != new.idempotency_hash:
            raise AlreadyExists(f'the idempotency key "{new.idempotency_key}" was used for another request')
        return str(found[0])
    found = await tx.db.fetchrow(
        "SELECT principal, coalesce(idempotency_key, ''), idempotency_hash, source_hash FROM executions"
        " WHERE execution_id = $1",
        new.execution_id,
    )
    if found is None:
        return None
    if tuple(found) != (new.principal, new.idempotency_key, new.idempotency_hash, new.source_hash):
        raise AlreadyExists(f"execution {new.execution_id} exists and is another one")
    return new.execution_id


async def _made_before(tx: Transaction, execution_id: str, session_id: str) -> Created:
    head = await tx.head(execution_id)
    claim = None
    if session_id and head.status not in TERMINAL and await _holder(tx, head.execution) == session_id:
        claim = Work(execution_id, head.fence, head.head_seq, recovery=head.status != "pending")
    return Created(await reads.execution(tx.db, execution_id), created=False, claim=claim)


# --- sessions and the queue ------------------------------------------------------------------------------------------


async def open_session(tx: Transaction, session_id: str, executor: str, version: str) -> None:
    await tx.db.execute(
        "INSERT INTO sessions (session_id, executor, version, state, started_at, heartbeat_at)"
        " VALUES ($1, $2, $3, 'alive', now_us(), now_us()) ON CONFLICT DO NOTHING",
        session_id,
        executor,
        version,
    )


async def resume_session(tx: Transaction, session_id: str, holding: Collection[str]) -> bool:
    """Whether it is still alive; then it holds nothing besides `holding`."""
    session = await tx.db.fetchval(
        "UPDATE sessions SET heartbeat_at = now_us() WHERE session_id = $1 AND state = 'alive' RETURNING id", session_id
    )
    if session is None:
        return False
    unknown = await tx.db.fetch(
        "SELECT e.execution_id FROM work w JOIN executions e ON e.id = w.execution"
        " WHERE w.session = $1 AND e.execution_id <> ALL ($2::text[])",
        session,
        list(holding),
    )
    await _give_back(tx, [row[0] for row in unknown], None)
    return True


async def renew(tx: Transaction, session_ids: Collection[str]) -> set[str]:
    """Those of them that are still alive have shown life now."""
    rows = await tx.db.fetch(
        """
        WITH alive AS (SELECT id FROM sessions WHERE session_id = ANY ($1::text[]) AND state = 'alive'
          ORDER BY id FOR NO KEY UPDATE)
        UPDATE sessions SET heartbeat_at = now_us() FROM alive WHERE sessions.id = alive.id RETURNING session_id
        """,
        list(session_ids),
    )
    return {row[0] for row in rows}


async def end_session(tx: Transaction, session_id: str, *, lost: bool, hand_over: HandOver) -> int:
    """What it held goes back to the queue; how many that were. A session that is over already stays as it ended."""
    ended = await tx.db.fetch(
        "UPDATE sessions SET state = $2, ended_at = now_us() WHERE session_id = $1 AND state = 'alive' RETURNING id",
        session_id,
        "lost" if lost else "closed",
    )
    return await _give_back_all(tx, ended, hand_over if lost else None)


async def lose_silent_sessions(tx: Transaction, *, lost_s: float, hand_over: HandOver) -> list[str]:
    """End those that have shown no life for so long, unless another store is at it."""
    if not await tx.db.fetchval("SELECT pg_try_advisory_xact_lock($1)", LEADER_LOCK):
        return []
    ended = await tx.db.fetch(
        """
        WITH silent AS (SELECT id FROM sessions WHERE state = 'alive' AND heartbeat_at < now_us() - $1::bigint
          ORDER BY id FOR NO KEY UPDATE)
        UPDATE sessions SET state = 'lost', ended_at = now_us() FROM silent WHERE sessions.id = silent.id
        RETURNING sessions.id, session_id
        """,
        int(lost_s * 1_000_000),
    )
    await _give_back_all(tx, ended, hand_over)
    return [session_id for _, session_id in ended]


async def claim(tx: Transaction, session_id: str, limit: int) -> list[Work]:
    """Up to `limit` executions that nobody holds, oldest first; what another store is claiming is left to it.

    Raises SessionLost.
    """
    session = await _alive(tx, session_id)
    if session is None:
        raise errors.SessionLost(f"session {session_id} is over; open a new one")
    return await _take(tx, session, _READY, limit)


async def release(tx: Transaction, session_id: str, execution_id: str, fence: int) -> None:
    """Nothing happens when the session does not hold it (any more)."""
    head = await tx.head(execution_id)
    if head.claimed and head.fence == fence and await _holder(tx, head.execution) == session_id:
        await _give_back(tx, [execution_id], None)


async def _alive(tx: Transaction, session_id: str) -> int | None:
    """A session that stays alive until the end of this transaction."""
    session: int | None = await tx.db.fetchval(
        "SELECT id FROM sessions WHERE session_id = $1 AND state = 'alive' FOR SHARE", session_id
    )
    return session


async def _holder(tx: Transaction, run: int) -> str:
    holder: str | None = await tx.db.fetchval(
        "SELECT s.session_id FROM work w JOIN sessions s ON s.id = w.session WHERE w.execution = $1", run
    )
    return holder or ""


async def _take(tx: Transaction, session: int, pick: str, parameter: int) -> list[Work]:
    """Give what `pick` selects and locks to a session, oldest first."""
    rows = await tx.db.fetch(
        f"""
        WITH pick AS MATERIALIZED ({pick}), taken AS (
          UPDATE executions SET attempts = attempts + 1 FROM pick WHERE executions.id = pick.id
          RETURNING executions.id, execution_id, status, head_seq, runs_done)
        UPDATE work SET session = $1, fence = fence + 1, done_at_claim = taken.runs_done
        FROM taken WHERE work.execution = taken.id
        RETURNING -priority, not_before, taken.id, execution_id, fence, head_seq, status
        """,
        session,
        parameter,
    )
    signals: dict[str, list[Signal]] = {}
    for signal in await reads.open_signals(tx.db, [row[2] for row in rows]) if rows else ():
        signals.setdefault(signal.execution_id, []).append(signal)
    return [
        Work(execution_id, fence, head_seq, status != "pending", tuple(signals.get(execution_id, ())))
        for *_, execution_id, fence, head_seq, status in sorted(map(tuple, rows))
    ]


async def _give_back_all(tx: Transaction, sessions: Sequence[Any], hand_over: HandOver | None) -> int:
    """Everything these sessions held; rows of (id, …)."""
    held = await tx.db.fetch(
        "SELECT e.execution_id FROM work w JOIN executions e ON e.id = w.execution"
        " WHERE w.session = ANY ($1::bigint[])",
        [row[0] for row in sessions],
    )
    return await _give_back(tx, [row[0] for row in held], hand_over)


async def _give_back(tx: Transaction, execution_ids: list[str], hand_over: HandOver | None) -> int:
    """Unclaim, fencing the old holder at once; `hand_over` when it was lost. After too many losses they fail."""
    if not execution_ids:
        return 0
    await tx.lock(set(execution_ids))
    rows = await tx.db.fetch(
        "SELECT e.execution_id, e.id, e.status, w.losses, e.runs_done > w.done_at_claim"
        " FROM work w JOIN executions e ON e.id = w.execution WHERE e.execution_id = ANY ($1::text[])",
        execution_ids,
    )
    losses = {
        run: hand_over.losses(before, progressed=progressed) if hand_over else before
        for _, run, _, before, progressed in rows
    }
    await tx.db.execute(
        "UPDATE work SET session = NULL, fence = fence + 1, losses = new.losses, not_before = now_us() + new.wait"
        " FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS new (execution, losses, wait)"
        " WHERE work.execution = new.execution",
        list(losses),
        list(losses.values()),
        [hand_over.wait_us(number) if hand_over else 0 for number in losses.values()],
    )
    for execution_id, run, status, *_ in rows:
        if hand_over and (end := hand_over.exhausted(losses[run])):
            await tx.journal_own(tx.found(execution_id), ("execution.failed", end))
        elif status == "pending":
            aborts = [signal for signal in await reads.open_signals(tx.db, [run]) if signal.kind == "abort"]
            if aborts:
                await _abort(tx, aborts[0])
    return len(rows)


# --- signals and answers ---------------------------------------------------------------------------------------------


async def post_signal(tx: Transaction, signal: Signal) -> Posted:
    """Raises UnknownExecution, NotLegalNow."""
    head = await tx.head(signal.execution_id)
    repeated = await tx.db.fetchval(
        "SELECT true FROM signals WHERE execution = $1 AND signal_id = $2", head.execution, signal.signal_id
    )
    if not repeated:
        if head.status in TERMINAL:
            raise errors.NotLegalNow(f"execution {signal.execution_id} has ended ({head.status})")
        if signal.kind in ("pause", "resume") and not changes_control(
            signal.execution_id, await reads.last_control(tx.db, head.execution), signal.kind
        ):
            return Posted(await reads.execution(tx.db, signal.execution_id), signal, holder="")
        await _leave(tx, head.execution, signal)
        if signal.kind == "abort" and head.status == "pending" and not head.claimed:
            await _abort(tx, signal)
    holder = "" if repeated else await _holder(tx, head.execution)
    return Posted(await reads.execution(tx.db, signal.execution_id), signal, holder)


async def _leave(tx: Transaction, run: int, signal: Signal) -> None:
    await tx.db.execute(
        "INSERT INTO signals (execution, signal_id, kind, payload, created_at) VALUES ($1, $2, $3, $4, now_us())",
        run,
        signal.signal_id,
        signal.kind,
        dump(signal.payload),
    )


async def _abort(tx: Transaction, signal: Signal) -> None:
    """Nothing runs, so the store can end it alone."""
    await tx.journal_own(
        tx.found(signal.execution_id),
        ("signal.consumed", {"signal_id": signal.signal_id}),
        ("execution.aborted", dict(signal.payload)),
    )


async def answer(
    tx: Transaction, execution_id: str, *, node: str, interaction_id: str, response: str, responder: str
) -> Answered:
    """Raises UnknownExecution, NothingAsked, NotLegalNow, BadInput."""
    head = await tx.head(execution_id)
    asked = await _asked(tx, head.execution, execution_id, node=node, interaction_id=interaction_id)
    if asked.status != "open" or (asked.expires_at is not None and asked.expires_at <= tx.now):
        how = "expired" if asked.status == "open" else asked.status
        raise errors.NotLegalNow(f'the question of "{asked.label or asked.node_id}" in {execution_id} is {how} already')
    await tx.db.execute(
        "UPDATE interactions SET status = 'answered', closed_at = $1, response = $2, responder = $3"
        " WHERE execution = $4 AND interaction_id = $5",
        tx.now,
        response,
        responder,
        head.execution,
        asked.interaction_id,
    )
    fields = {"interaction_id": asked.interaction_id, "response": response, "responder": responder}
    signal = Signal(execution_id, ids.new_hex(), "answer", fields)
    await _leave(tx, head.execution, signal)
    answered = asked._replace(status="answered", closed_at=tx.now, response=response, responder=responder)
    return Answered(answered, signal, await _holder(tx, head.execution))


async def _asked(tx: Transaction, run: int, execution_id: str, *, node: str, interaction_id: str) -> Interaction:
    """The question of that id, else the node's open one, else its last one."""
    if interaction_id:
        row = await tx.db.fetchrow(
            f"{INTERACTION} WHERE i.execution = $1 AND i.interaction_id = $2", run, interaction_id
        )
    elif node:
        row = await tx.db.fetchrow(
            f"{INTERACTION} WHERE i.execution = $1 AND (i.node_id = $2 OR i.label = $2)"
            " ORDER BY i.status = 'open' DESC, i.id DESC LIMIT 1",
            run,
            node,
        )
    else:
        raise BadInput("answer: name the node (id or label) or the interaction")
    if row is None:
        raise errors.NothingAsked(f'execution {execution_id}: nothing is asked at "{interaction_id or node}"')
    return Interaction(*row)
