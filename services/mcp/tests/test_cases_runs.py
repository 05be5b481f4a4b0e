"""Conformance cases C10 to C24 of spec/mcp.md §6: runs that take their time, ask, fail, and are called off."""

import asyncio
import json
from typing import Any

import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError
from mcp_house import MODERN, Place, Seat, client, serving, text_of

from dipeo_mcp import runs

pytestmark = pytest.mark.asyncio(loop_scope="session")

ACCEPT = types.ElicitResult(action="accept", content={"response": "Ada"})
STATE_KEY = "k" * 40


class Progress:
    def __init__(self) -> None:
        self.told: list[tuple[float, float | None, str]] = []
        self.bell = asyncio.Event()

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        self.told.append((progress, total, message or ""))
        self.bell.set()

    async def first(self) -> None:
        async with asyncio.timeout(5):
            await self.bell.wait()


async def cancelled(seat: Seat, tool: str, arguments: dict[str, Any]) -> str:
    """Call, give up once it runs, and say which execution it was."""
    known = {it.execution_id for it in await seat.place.executions()}
    progress = Progress()
    call = asyncio.create_task(seat.call(tool, arguments, progress_callback=progress))
    await progress.first()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    fresh = [it.execution_id for it in await seat.place.executions() if it.execution_id not in known]
    assert len(fresh) == 1
    return fresh[0]


async def test_case_10_progress_rises_by_node_and_ends_before_the_result(seat: Seat):
    progress = Progress()
    answer = await seat.call("diagram_hello", {"name": "Bo"}, progress_callback=progress)
    assert not answer.is_error
    values = [value for value, _, _ in progress.told]
    assert values == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert {total for _, total, _ in progress.told} == {3.0}
    assert progress.told[2][2].startswith("Greet — started")
    await seat.call("diagram_hello", {"name": "Bo"})  # without a token: none
    assert len(progress.told) == 6


async def test_case_11_a_silent_run_is_heard_of_meanwhile(http_seat: Seat, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runs, "HEARTBEAT_S", 0.3)  # fifteen seconds are for people
    progress = Progress()
    await http_seat.call("diagram_brief", {}, progress_callback=progress)
    beats = [message for _, _, message in progress.told if message.endswith("still going")]
    assert len(beats) >= 2
    values = [value for value, _, _ in progress.told]
    assert values == sorted(set(values))


async def test_case_12_a_failing_node_is_named_without_its_traceback(seat: Seat):
    answer = await seat.call("diagram_fail")
    assert answer.is_error
    assert answer.structured_content["status"] == "failed"
    assert answer.structured_content["error"] == {"code": "node_failed", "message": "kaboom", "node": "Boom"}
    assert "Traceback" not in json.dumps(answer.structured_content)


async def test_case_13_a_run_that_takes_too_long_fails_alone(seat: Seat):
    async with asyncio.timeout(4):
        answer = await seat.call("diagram_slow", {"run_options": {"timeout_s": 1}})
    assert answer.is_error
    assert answer.structured_content["error"]["code"] == "timeout"
    assert (await seat.data("diagram_hello"))["success"] is True


async def test_case_14_when_waiting_is_over_the_run_goes_on(seat: Seat):
    data = await seat.data("diagram_brief", {"run_options": {"wait_s": 0.3}})
    assert (data["status"], data["success"]) == ("running", None)
    assert data["execution_id"] in data["next"]
    later = await seat.data("see_result", {"session_id": data["session_id"], "wait_s": 10, "verbose": False})
    assert (later["status"], later["result"]) == ("completed", "rested")


async def test_case_15_background_runs_are_there_at_once_and_can_be_waited_for(seat: Seat):
    started = await seat.data("dipeo_run", {"diagram": "brief", "background": True})
    assert started["status"] in ("pending", "running")
    seen = await seat.data("see_result", {"session_id": started["session_id"]})
    assert seen["execution_id"] == started["execution_id"]
    async with asyncio.timeout(10):
        ended = await seat.data("see_result", {"execution_id": started["session_id"], "wait_s": 25})
    assert ended["status"] == "completed"
    listed = await seat.data("list_executions", {"diagram": "brief", "limit": 100})
    assert started["execution_id"] in [it["execution_id"] for it in listed["executions"]]


async def test_case_16_giving_up_the_call_aborts_the_run(seat: Seat):
    execution_id = await cancelled(seat, "diagram_slow", {})
    assert await seat.place.ended(execution_id, within_s=2) == "aborted"
    assert (await seat.data("diagram_hello"))["success"] is True


async def test_case_16_a_detached_run_stays_alive(seat: Seat):
    execution_id = await cancelled(seat, "diagram_brief", {"run_options": {"on_disconnect": "detach"}})
    assert await seat.place.ended(execution_id) == "completed"


async def test_case_17_cancelling_twice_is_cancelling_once(seat: Seat):
    started = await seat.data("run_backend", {"diagram": "slow"})
    execution_id = started["session_id"]
    first = await seat.data("cancel_execution", {"session_id": execution_id, "reason": "enough"})
    assert first == {"execution_id": execution_id, "status": "aborted"}
    assert await seat.data("cancel_execution", {"session_id": execution_id}) == first
    done = await seat.data("diagram_hello")
    kept = await seat.data("cancel_execution", {"session_id": done["execution_id"]})
    assert kept["status"] == "completed"


async def test_case_18_the_human_is_asked_once_and_the_run_goes_on_with_the_answer(seat: Seat):
    data = await seat.data("diagram_ask")
    assert seat.asked == ["What is your name?"]
    assert (data["status"], data["result"], data["prompts"]) == ("completed", "Ada", [])


async def test_case_19_decline_is_an_empty_answer_and_cancel_ends_the_run(seat: Seat):
    seat.answer = lambda _: types.ElicitResult(action="decline")
    declined = await seat.data("diagram_ask")
    assert (declined["status"], declined["result"]) == ("completed", "")
    seat.answer = lambda _: types.ElicitResult(action="cancel")
    ended = await seat.data("diagram_ask")
    assert (ended["status"], ended["error"]["code"]) == ("aborted", "cancelled")


@pytest.mark.parametrize("tool", ["diagram_ask_twice", "diagram_ask_both"])
async def test_case_20_two_questions_belong_to_one_execution(seat: Seat, tool: str):
    before = len(await seat.place.executions())
    data = await seat.data(tool)
    assert data["status"] == "completed"
    assert len(seat.asked) == 2
    assert len(await seat.place.executions()) == before + 1


async def test_case_21_a_client_that_cannot_ask_gets_the_question_and_hands_in_the_answer(seat: Seat):
    async with seat.connecting() as mute:
        answer = await mute.call_tool("diagram_ask", {})
        data = answer.structured_content
        assert not answer.is_error
        assert data["status"] == "waiting_for_input"
        assert data["prompts"][0]["message"] == "What is your name?"
        assert "answer_prompt" in data["next"]
        prompt = {"session_id": data["session_id"], "prompt_id": data["prompts"][0]["id"]}
        both = await mute.call_tool("answer_prompt", prompt | {"response": "x", "decline": True})
        assert both.is_error
        await mute.call_tool("answer_prompt", prompt | {"response": "Bo"})
        seen = await mute.call_tool("see_result", {"session_id": data["session_id"], "wait_s": 10})
        assert seen.structured_content["result"] == "Bo"
        late = await mute.call_tool("answer_prompt", prompt | {"response": "too late"})
        assert late.is_error


async def asked(seat: Seat, tool: str = "diagram_ask") -> types.InputRequiredResult:
    """The first round of a modern call, by hand."""
    answer = await seat.client.session.call_tool(tool, {}, allow_input_required=True)
    assert isinstance(answer, types.InputRequiredResult)
    return answer


async def again(seat: Seat, first: types.InputRequiredResult, state: str | None, tool: str, arguments: dict[str, Any]):
    responses = dict.fromkeys(first.input_requests or {}, ACCEPT)
    return await seat.client.session.call_tool(
        tool, arguments, input_responses=responses, request_state=state, allow_input_required=True
    )


async def test_case_22_a_state_that_is_not_ours_is_refused_in_one_voice(modern_seat: Seat):
    first = await asked(modern_seat)
    state = first.request_state or ""
    flipped = state[:-6] + ("A" if state[-6] != "A" else "B") + state[-5:]
    for broken, tool, arguments in (
        (flipped, "diagram_ask", {}),
        ("v1.nonsense", "diagram_ask", {}),
        (state, "diagram_ask", {"other": 1}),
        (state, "dipeo_run", {"diagram": "ask"}),
    ):
        with pytest.raises(MCPError) as refused:
            await again(modern_seat, first, broken, tool, arguments)
        assert (refused.value.code, refused.value.message) == (
            types.INVALID_PARAMS,
            "Invalid or expired requestState",
        )
    before = len(await modern_seat.place.executions())
    done = await again(modern_seat, first, state, "diagram_ask", {})
    assert done.structured_content["result"] == "Ada"
    replayed = await again(modern_seat, first, state, "diagram_ask", {})
    assert replayed.structured_content["execution_id"] == done.structured_content["execution_id"]
    assert len(await modern_seat.place.executions()) == before


@pytest.mark.parametrize("keys", [(STATE_KEY,), ()])
async def test_case_23_a_restart_between_two_rounds(shared: Place, keys: tuple[str, ...]):
    async def ask(place: Place, **how: Any) -> Any:
        async with client(place.url, MODERN, elicitation_callback=_never) as connected:
            return await connected.session.call_tool("diagram_ask", {}, allow_input_required=True, **how)

    async with serving(shared.house, state_keys=keys) as before:
        first = await ask(before)
    responses = dict.fromkeys(first.input_requests, ACCEPT)
    async with serving(shared.house, state_keys=keys) as after:
        if keys:
            done = await ask(after, input_responses=responses, request_state=first.request_state)
            assert done.structured_content["result"] == "Ada"
            return
        async with client(after.url, MODERN) as connected:
            with pytest.raises(MCPError) as refused:
                await connected.session.call_tool(
                    "diagram_ask", {}, input_responses=responses, request_state=first.request_state
                )
            assert refused.value.code == types.INVALID_PARAMS
            waiting = await connected.call_tool("list_executions", {"status": "waiting_for_input"})
            execution_id = waiting.structured_content["executions"][0]["execution_id"]
            prompt = {"session_id": execution_id, "prompt_id": next(iter(first.input_requests))}
            await connected.call_tool("answer_prompt", prompt | {"response": "Bo"})
        assert await after.ended(execution_id) == "completed"


async def _never(context: Any, params: Any) -> types.ElicitResult:
    raise AssertionError("the first round is answered by hand")


async def test_case_24_the_same_key_joins_the_same_run(seat: Seat):
    key = f"once-{seat.transport}-{seat.era}"
    given = {"diagram": "hello", "inputs": {"name": "Bo"}, "idempotency_key": key}
    first, second = await seat.data("dipeo_run", given), await seat.data("dipeo_run", given)
    assert first["execution_id"] == second["execution_id"]
    other = await seat.call("dipeo_run", given | {"inputs": {"name": "Eve"}})
    assert other.is_error and "idempotency_key" in text_of(other)


async def test_answers_given_elsewhere_let_a_waiting_call_go_on(seat: Seat):
    """The question is raced: somebody answers it on the command line while the client still shows it."""
    asked_now, leave = asyncio.Event(), asyncio.Event()

    async def slow(context: Any, params: Any) -> types.ElicitResult:
        asked_now.set()
        await leave.wait()
        return ACCEPT

    async with seat.connecting(elicitation_callback=slow) as connected:
        call = asyncio.create_task(connected.call_tool("dipeo_run", {"diagram": "ask"}))
        await asked_now.wait()
        waiting = (await seat.data("list_executions", {"status": "waiting_for_input"}))["executions"]
        await seat.place.house.answer(waiting[0]["execution_id"], "Name", "Zed")
        if seat.modern:
            leave.set()  # a modern client comes back only when its human has answered
        data = (await call).structured_content
        leave.set()
    assert data["result"] == "Zed"
