"""New executions, signals and answers on Postgres; sessions and the queue: postgres_sessions.py.

Each operation is one transaction. What is locked, in this order everywhere: sessions, executions by id, the rest.
(spec/store.md §16.4-16.6)
"""

from dipeo_store import errors, forks, inbox
from dipeo_store.backends import postgres_reads as reads
from dipeo_store.backends import postgres_sessions as sessions
from dipeo_store.backends.postgres_writes import Transaction
from dipeo_store.backends.rows import AT_ONCE, INTERACTION
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

_THIS = "SELECT $2::bigint AS id"

# --- executions ------------------------------------------------------------------------------------------------------


async def create(tx: Transaction, new: NewExecution) -> Created:
    """Raises AlreadyExists; with a fork UnknownExecution, NotLegalNow, BadInput."""
    taken: list[Event] = []
    if new.fork is not None:
        new, taken = await _forked(tx, new, new.fork)
    session = await sessions.alive(tx, new.session_id)
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
    await tx.db.execute("INSERT INTO work (execution, not_before) VALUES ($1, $2)", run, AT_ONCE)
    tx.published.append(Published(new.execution_id, (event,)))
    if taken:
        tx.journal(await tx.head(new.execution_id), taken, fence=0)
        await tx.flush()
    claims = await sessions.take(tx, session, _THIS, run) if session else []
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
        inbox.require_same_request(new, found[1])
        return str(found[0])
    found = await tx.db.fetchrow(
        "SELECT principal, coalesce(idempotency_key, ''), idempotency_hash, source_hash FROM executions"
        " WHERE execution_id = $1",
        new.execution_id,
    )
    if found is None:
        return None
    inbox.require_same_execution(new, found)
    return new.execution_id


async def _made_before(tx: Transaction, execution_id: str, session_id: str) -> Created:
    head = await tx.head(execution_id)
    claim = None
    if session_id and head.status not in TERMINAL and await sessions.holder(tx, head.execution) == session_id:
        claim = Work(execution_id, head.fence, head.head_seq, recovery=head.status != "pending")
    return Created(await reads.execution(tx.db, execution_id), created=False, claim=claim)


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
        if signal.kind in ("pause", "resume") and not inbox.changes_control(
            signal.execution_id, await reads.last_control(tx.db, head.execution), signal.kind
        ):
            return Posted(await reads.execution(tx.db, signal.execution_id), signal, holder="")
        await _leave(tx, head.execution, signal)
        if signal.kind == "abort" and head.status == "pending" and not head.claimed:
            await sessions.abort(tx, signal)
    holder = "" if repeated else await sessions.holder(tx, head.execution)
    return Posted(await reads.execution(tx.db, signal.execution_id), signal, holder)


async def _leave(tx: Transaction, run: int, signal: Signal) -> None:
    await tx.db.execute(
        "INSERT INTO signals (execution, signal_id, kind, payload, created_at) VALUES ($1, $2, $3, $4, now_us())",
        run,
        signal.signal_id,
        signal.kind,
        dump(signal.payload),
    )


async def answer(
    tx: Transaction, execution_id: str, *, node: str, interaction_id: str, response: str, responder: str
) -> Answered:
    """Raises UnknownExecution, NothingAsked, NotLegalNow, BadInput."""
    head = await tx.head(execution_id)
    asked = await _asked(tx, head.execution, execution_id, node=node, interaction_id=interaction_id)
    if not inbox.answers_anew(asked, response=response, responder=responder, now=tx.now):
        return Answered(asked, None, "")
    await tx.db.execute(
        "UPDATE interactions SET status = 'answered', closed_at = $1, response = $2, responder = $3"
        " WHERE execution = $4 AND interaction_id = $5",
        tx.now,
        response,
        responder,
        head.execution,
        asked.interaction_id,
    )
    signal = inbox.answer_signal(asked, response=response, responder=responder)
    await _leave(tx, head.execution, signal)
    answered = asked._replace(status="answered", closed_at=tx.now, response=response, responder=responder)
    return Answered(answered, signal, await sessions.holder(tx, head.execution))


async def _asked(tx: Transaction, run: int, execution_id: str, *, node: str, interaction_id: str) -> Interaction:
    """The question of that id, else the node's open one, else its last one."""
    inbox.require_named(node, interaction_id)
    if interaction_id:
        row = await tx.db.fetchrow(
            f"{INTERACTION} WHERE i.execution = $1 AND i.interaction_id = $2", run, interaction_id
        )
    else:
        row = await tx.db.fetchrow(
            f"{INTERACTION} WHERE i.execution = $1 AND (i.node_id = $2 OR i.label = $2)"
            " ORDER BY i.status = 'open' DESC, i.id DESC LIMIT 1",
            run,
            node,
        )
    return inbox.question(row, execution_id, interaction_id or node)
