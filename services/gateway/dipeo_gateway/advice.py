"""Where a run could be made faster or cheaper, each with its evidence (spec/cli.md §5.3 T). Pure.

`saving_ms` None = the evidence does not tell; it is never a guess, but an upper bound where the text says "at most".
"""

from collections import defaultdict
from typing import Any

from dipeo_gateway.timeline import Run, Timeline

Json = dict[str, Any]
WORTH_MS = 50.0  # shorter runs are not worth a word
MAX_COMPARED = 500  # runs, in start order, compared with each other
DOMINATING = 0.5  # of the total
IDLE = 0.05  # of the total
HEAVY_INPUT = 2000  # tokens
SMALL_OUTPUT = 0.05  # of the input


def optimizations(timeline: Timeline, path: list[Run], groups: list[list[Run]]) -> list[Json]:
    """The largest known saving first."""
    found = [
        *_serial(groups),
        *_dominating(timeline, path),
        *_repeated_prompts(timeline),
        *_retries(timeline),
        *_questions(timeline),
        *_idle(timeline),
        *_heavy_input(timeline),
    ]
    return sorted(found, key=lambda each: -(each["saving_ms"] or 0))


def idle_ms(timeline: Timeline) -> float:
    """Time in which the run went on and no node ran: the scheduler's own, pauses excepted."""
    covered, until = 0.0, 0.0
    for run in sorted(timeline.leaves, key=lambda each: each.start_ms - each.backoff_ms):
        end = timeline.total_ms if run.end_ms is None else run.end_ms
        covered += max(end - max(run.start_ms - run.backoff_ms, until), 0.0)
        until = max(until, end)
    return max(timeline.total_ms - covered - timeline.paused_ms, 0.0)


def _suggestion(kind: str, title: str, evidence: str, saving_ms: float | None) -> Json:
    saving = None if saving_ms is None else round(saving_ms, 1)
    return {"kind": kind, "title": title, "evidence": evidence, "saving_ms": saving}


def _serial(groups: list[list[Run]]) -> list[Json]:
    found = []
    for group in groups:
        durations = [run.duration_ms or 0 for run in group]
        saving = sum(durations) - max(durations)
        title = f"Run {_names(group)} at the same time"
        evidence = f"they need nothing of each other and took {_ms(sum(durations))} one after another"
        found.append(_suggestion("serial", title, evidence, saving))
    return found


def _dominating(timeline: Timeline, path: list[Run]) -> list[Json]:
    spent: dict[str, float] = defaultdict(float)
    labels: dict[str, str] = {}
    for run in path:
        if run.is_lost:
            continue
        spent[run.node_id] += (run.duration_ms or 0) - run.waiting_ms
        labels[run.node_id] = run.label
    if not spent or timeline.total_ms < WORTH_MS:
        return []
    node_id, most = max(spent.items(), key=lambda item: item[1])
    if most <= DOMINATING * timeline.total_ms:
        return []
    evidence = f"it took {_ms(most)} of {_ms(timeline.total_ms)} on the critical path; at most that can be saved"
    return [_suggestion("dominating", f"Make {labels[node_id]} faster, or split it", evidence, most)]


def _repeated_prompts(timeline: Timeline) -> list[Json]:
    """The same words with as many tokens of input: what a person remembers was the same, too."""
    by_prompt: dict[tuple[str, int], list[Run]] = defaultdict(list)
    for run in timeline.leaves:
        for digest in dict.fromkeys(run.prompts):
            by_prompt[digest, run.usage.input if run.usage else 0].append(run)
    repeated = [runs for runs in by_prompt.values() if len(runs) > 1]
    return [
        _suggestion(
            "repeated_prompt",
            f"Ask {runs[0].label} once and keep the answer",
            f"the same prompt went to the same person {len(runs)} times",
            sum(run.duration_ms or 0 for run in runs[1:]),
        )
        for runs in repeated
    ]


def _retries(timeline: Timeline) -> list[Json]:
    attempts = {(run.node_id, run.iteration, run.attempt) for run in timeline.leaves}
    lost: dict[str, list[Run]] = defaultdict(list)
    for run in timeline.leaves:
        if (run.node_id, run.iteration, run.attempt + 1) in attempts:
            lost[run.node_id].append(run)
    backoff: dict[str, float] = defaultdict(float)
    for run in timeline.leaves:
        backoff[run.node_id] += run.backoff_ms
    return [
        _suggestion(
            "retries",
            f"See why the executor of {runs[0].label} was lost"
            if all(run.is_lost for run in runs)
            else f"Find out why {runs[0].label} needed more than one attempt",
            f"{len(runs)} attempt{'s' if len(runs) > 1 else ''} failed, the last with: {runs[-1].error}",
            sum(run.duration_ms or 0 for run in runs) + backoff[node_id],
        )
        for node_id, runs in lost.items()
    ]


def _questions(timeline: Timeline) -> list[Json]:
    waits = [run for run in timeline.leaves if run.waiting_ms >= WORTH_MS]
    if not waits:
        return []
    waited = sum(run.waiting_ms for run in waits)
    evidence = f"{_names(waits)} waited {_ms(waited)} for a human"
    return [_suggestion("questions", "Answer in advance with --answer LABEL=TEXT", evidence, waited)]


def _idle(timeline: Timeline) -> list[Json]:
    idle = idle_ms(timeline)
    if not timeline.ended or idle < WORTH_MS or idle <= IDLE * timeline.total_ms:
        return []
    evidence = f"no node ran for {_ms(idle)} of {_ms(timeline.total_ms)}"
    return [_suggestion("idle", "See what holds up the scheduler: the store's disk, or a busy machine", evidence, idle)]


def _heavy_input(timeline: Timeline) -> list[Json]:
    found = []
    for node_id in dict.fromkeys(run.node_id for run in timeline.leaves):
        runs = [run for run in timeline.leaves if run.node_id == node_id and run.usage is not None]
        read = sum(run.usage.input for run in runs if run.usage)
        written = sum(run.usage.output for run in runs if run.usage)
        if read >= HEAVY_INPUT and written <= SMALL_OUTPUT * read:
            evidence = f"it read {read:,} tokens to write {written:,}"
            found.append(_suggestion("heavy_input", f"Try a smaller model for {runs[0].label}", evidence, None))
    return found


def _names(runs: list[Run]) -> str:
    labels = list(dict.fromkeys(run.label for run in runs))
    shown = labels[:4] + ([f"{len(labels) - 4} more"] if len(labels) > 4 else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:,.0f} ms"
