"""Conformance cases C18 to C23 of spec/mcp.md §6: runs that ask a human."""

import asyncio
from typing import Any

import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError
from mcp_house import MODERN, Place, client, serving, text_of
from mcp_seats import Seat

from dipeo_mcp import server

pytestmark = pytest.mark.asyncio(loop_scope="session")

ACCEPT = types.ElicitResult(action="accept", content={"response": "Ada"})
STATE_KEY = "k" * 40


async def test_case_18_the_human_is_asked_once_and_the_run_goes_on_with_the_answer(seat: Seat):
    data = await seat.data("diagram_ask")
    assert seat.asked == ["What is your name?"]
    assert (data["status"], data["result"], data["prompts"]) == ("completed", "Ada", [])


async def test_case_18_what_the_human_should_know_stands_beside_the_question(seat: Seat):
    shown: list[types.ElicitRequestFormParams] = []

    async def human(context: Any, params: types.ElicitRequestFormParams) -> types.ElicitResult:
        shown.append(params)
        return ACCEPT

    async with seat.connecting(elicitation_callback=human) as connected:
        await connected.call_tool("diagram_ask_about", {"topic": "tea"})
        await connected.call_tool("diagram_ask_plainly", {"topic": "tea"})
    about, plain = shown
    assert about.message == plain.message == "Which one?"
    field = about.requested_schema["properties"]["response"]
    assert (field["type"], field["title"]) == ("string", "Name")
    assert field["description"].startswith("Context: ") and "tea" in field["description"]
    assert "description" not in plain.requested_schema["properties"]["response"]
    assert about.requested_schema["required"] == ["response"]


async def test_case_18_a_choice_is_a_list_to_choose_from(seat: Seat):
    shown: list[types.ElicitRequestFormParams] = []

    async def human(context: Any, params: types.ElicitRequestFormParams) -> types.ElicitResult:
        shown.append(params)
        return types.ElicitResult(action="accept", content={"response": "milk" if len(shown) == 1 else "tea"})

    async with seat.connecting(elicitation_callback=human) as connected:
        data = (await connected.call_tool("diagram_choose", {})).structured_content
    assert (data["status"], data["result"]) == ("completed", "tea")
    assert len(shown) == 2  # what is none of the options is asked again
    assert shown[0].requested_schema["properties"]["response"]["enum"] == ["tea", "coffee"]


async def test_case_21_a_choice_is_handed_in_or_refused(seat: Seat):
    async with seat.connecting() as mute:
        data = (await mute.call_tool("diagram_choose", {})).structured_content
        assert data["prompts"][0]["options"] == ["tea", "coffee"]
        prompt = {"session_id": data["session_id"], "prompt_id": data["prompts"][0]["id"]}
        wrong = await mute.call_tool("answer_prompt", prompt | {"response": "milk"})
        assert wrong.is_error and "tea, coffee" in text_of(wrong)
        done = (await mute.call_tool("answer_prompt", prompt | {"response": "coffee"})).structured_content
        assert done["prompts"] == []
    assert await seat.place.ended(data["session_id"]) == "completed"


async def test_a_secret_is_never_asked_in_a_form_nor_taken_from_a_model(seat: Seat):
    async with asyncio.timeout(10):
        answer = await seat.call("diagram_secret")
    assert seat.asked == []
    data = answer.structured_content
    assert data["status"] == "waiting_for_input"
    assert data["prompts"][0]["sensitive"] is True
    assert f"dipeo answer {data['session_id']}" in data["next"]
    prompt = {"session_id": data["session_id"], "prompt_id": data["prompts"][0]["id"]}
    refused = await seat.call("answer_prompt", prompt | {"response": "hunter2"})
    assert refused.is_error and "dipeo answer" in text_of(refused)
    await seat.place.house.answer(data["session_id"], "Key", "hunter2")
    assert await seat.place.ended(data["session_id"]) == "completed"


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


async def test_case_22_a_state_expires(shared: Place, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "STATE_TTL_S", 0.001)
    async with serving(shared.house) as there, client(there.url, MODERN, elicitation_callback=_never) as connected:
        first = await connected.session.call_tool("diagram_ask", {}, allow_input_required=True)
        responses = dict.fromkeys(first.input_requests, ACCEPT)
        with pytest.raises(MCPError) as refused:
            await connected.session.call_tool(
                "diagram_ask", {}, input_responses=responses, request_state=first.request_state
            )
    assert (refused.value.code, refused.value.message) == (types.INVALID_PARAMS, "Invalid or expired requestState")


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
