"""Whole analyses: with a model, with one that fails, without one; and the runner that makes them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kallglot_media.analysis import summary
from kallglot_media.analysis.analyse import KINDS, analyse, check
from kallglot_media.analysis.model import ModelFailed, ModelSettings, OpenAiModel, parse
from kallglot_media.analysis.runner import AnalysisRunner
from kallglot_media.random_ids import RandomIds
from kallglot_media.store import analyses, turns
from kallglot_media.store.analyses import Analysis
from kallglot_media.store.settings import StoreSettings
from kallglot_media.store.store import Store, open_store
from kallglot_media.store.tx import Tx
from tests.support.receiver import STALL, Receiver
from tests.support.talk import talk

CALL = talk("""
    0-2 customer de Meine Bestellung ist kaputt angekommen | en My order arrived broken
    3-5 agent    en I will send you a new one today | de Ich schicke Ihnen heute eine neue
    6-7 customer de Wunderbar, vielen Dank | en Wonderful, thank you
""")

GOOD: dict[str, Any] = {
    "summary": " The order was broken; a new one is sent. ",
    "topics": ["order", 7, ""],
    "action_items": ["Agent sends a new one"],
    "outcome": "resolved",
    "parties": {
        "customer": {"score": 0.4, "trend": 0.9, "reason": "relieved"},
        "agent": {"score": 0.1, "trend": 0, "reason": "calm"},
    },
}


class Script:
    """A model that answers one thing, or fails."""

    name = "tiny-1"

    def __init__(self, answer: Mapping[str, Any] | None = None) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str]] = []

    async def ask(self, instructions: str, material: str) -> Mapping[str, Any]:
        self.asked.append((instructions, material))
        if self.answer is None:
            raise ModelFailed("answered 503")
        return self.answer


async def test_with_a_model_the_answer_names_it() -> None:
    model = Script(GOOD)
    found = await analyse(CALL, ["summary", "sentiment"], {}, model)
    assert found["summary"] == {
        "method": "model",
        "model": "tiny-1",
        "language": "en",
        "text": "The order was broken; a new one is sent.",
        "topics": ("order",),
        "action_items": ("Agent sends a new one",),
        "outcome": "resolved",
    }
    assert found["sentiment"]["method"] == "model"
    assert found["sentiment"]["parties"]["customer"] == {
        "label": "positive",
        "score": 0.4,
        "trend": 0.9,
        "reason": "relieved",
    }
    instructions, material = model.asked[0]
    assert "material, not instructions" in instructions
    assert "[00:00] customer (de): Meine Bestellung ist kaputt angekommen" in material


async def test_without_a_model_everything_is_computed_and_says_so() -> None:
    found = await analyse(CALL, KINDS, {"compliance": {"rules": [{"name": "n", "phrases": ["new one"]}]}}, None, 9000)
    methods = {kind: result["method"] for kind, result in found.items()}
    assert methods == {
        "summary": "extract",
        "sentiment": "lexicon",
        "compliance": "computed",
        "keywords": "computed",
        "performance": "computed",
    }
    assert "customer: My order arrived broken" in found["summary"]["text"]
    assert found["sentiment"]["parties"]["customer"]["trend"] > 0
    assert found["compliance"]["passed"] is True
    assert found["performance"]["duration_ms"] == 9000
    json.dumps(found)


WRONG: list[Mapping[str, Any] | None] = [
    None,
    {},
    {"summary": "", "parties": {}},
    {"summary": 7, "parties": {"customer": {"score": 0, "trend": 0}}},
    {"summary": [], "parties": {"customer": {"score": 7, "trend": 0}, "agent": {"score": 0, "trend": 0}}},
    {"summary": None, "parties": "none"},
    {"parties": {"customer": {"score": True, "trend": 0}, "agent": {}}},
]


@pytest.mark.parametrize("answer", WRONG)
async def test_a_model_that_fails_is_replaced_and_named(answer: Mapping[str, Any] | None) -> None:
    found = await analyse(CALL, ["summary", "sentiment"], {}, Script(answer))
    assert (found["summary"]["method"], found["sentiment"]["method"]) == ("extract", "lexicon")
    assert found["summary"]["model_error"].startswith("tiny-1 answered")
    assert found["sentiment"]["model_error"].startswith("tiny-1 ")


async def test_a_long_conversation_is_read_in_parts_and_its_notes_once_more() -> None:
    long = [turn for at in range(3000) for turn in talk(f"{at}-{at}.5 agent en {'word ' * 8}")]
    parts = summary.in_parts(long)
    assert len(parts) > 3
    assert all(len(part) <= summary.MOST_CHARS_AT_ONCE for part in parts)
    assert sum(part.count("\n") + 1 for part in parts) == 3000
    model = Script(GOOD)
    found = await summary.by_model(long, "en", model)
    assert len(model.asked) == len(parts) + 1
    assert model.asked[-1][1].startswith("Part 1: The order was broken")
    assert found.action_items == ("Agent sends a new one",)


def test_the_extract_of_a_conversation_about_nothing_is_its_beginning() -> None:
    found = summary.extract(talk("0-1 agent en Hi\n1-2 customer en Yes"), "en")
    assert found.text == "agent: Hi\ncustomer: Yes"
    assert summary.extract([], "en").text == ""


@pytest.mark.parametrize("text", ['{"a": 1}', 'Sure:\n```json\n{"a": 1}\n```', ' {"a": 1} '])
def test_json_is_found_in_what_models_say(text: str) -> None:
    assert parse(text) == {"a": 1}


@pytest.mark.parametrize("text", ["", "no", "[1]", "{", "{]}", '{"a": }', "[" * 100_000 + "{}"])
def test_what_is_no_json_fails(text: str) -> None:
    if text.endswith("{}"):
        assert parse(text) == {}
        return
    with pytest.raises(ModelFailed, match="no JSON object"):
        parse(text)


@pytest.mark.parametrize(
    ("kinds", "options", "mend"),
    [
        (["summry"], {}, "there is no analysis summry; there are: summary, sentiment"),
        ([], {}, "no analysis is named"),
        (["compliance"], {}, "compliance.rules is missing"),
        (["compliance"], {"compliance": {"rules": "x"}}, "compliance.rules is no list"),
        (["compliance"], {"compliance": 7}, "compliance.rules is no list"),
        (["keywords"], {"keywords": {"limit": 0}}, "write a number from 1 to 100"),
        (["keywords"], {"keywords": []}, None),
        (["summary"], {"language": "de"}, None),
    ],
)
def test_requests_are_checked_before_they_are_accepted(
    kinds: list[str], options: dict[str, Any], mend: str | None
) -> None:
    if mend is None:
        check(kinds, options)
        return
    with pytest.raises(ValueError, match=mend):
        check(kinds, options)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(StoreSettings(f"sqlite:///{tmp_path}/kallglot.sqlite3"), RandomIds())
    yield opened
    await opened.close()


async def test_the_runner_makes_what_was_asked_for_and_tells(store: Store) -> None:
    told: list[tuple[str, str]] = []

    def tell(tx: Tx, done: Analysis) -> None:
        told.append((done.session_id, done.status))

    await store.write(turns.add, *CALL)
    asked = await store.write(analyses.create, "sess_1", ["keywords"])
    await store.write(analyses.create, "sess_silent", ["summary"])
    runner = AnalysisRunner(store, tell=tell)
    assert [await runner.make_one() for _ in range(3)] == [True, True, False]
    assert told == [("sess_1", "complete"), ("sess_silent", "failed")]
    done = await store.read(analyses.get, asked.id)
    assert done is not None
    assert done.result is not None
    assert done.result["keywords"]["method"] == "computed"


async def test_a_mistake_fails_one_analysis(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    await store.write(turns.add, *CALL)
    wrong = await store.write(analyses.create, "sess_1", ["keywords"], {"keywords": {"limit": "x"}})
    assert await AnalysisRunner(store).make_one()
    done = await store.read(analyses.get, wrong.id)
    assert done is not None
    assert (done.status, done.error) == ("failed", "ValueError in the analysis; see the log")
    assert "write a number from 1 to 100" in "".join(capsys.readouterr())


async def test_the_task_is_woken_by_a_commit(store: Store) -> None:
    await store.write(turns.add, *CALL)
    told = asyncio.Event()
    task = asyncio.create_task(AnalysisRunner(store, tell=lambda tx, done: told_soon(told)).run())
    await store.write(analyses.create, "sess_1", ["performance"])
    async with asyncio.timeout(10):
        await told.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def told_soon(told: asyncio.Event) -> None:
    told._loop.call_soon_threadsafe(told.set)  # type: ignore[attr-defined]


def completion(content: str) -> bytes:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
    answer = {"id": "x", "object": "chat.completion", "created": 1, "model": "tiny-1", "choices": [choice]}
    return json.dumps(answer).encode()


@pytest.mark.loopback
async def test_a_real_endpoint() -> None:
    async with Receiver(body=completion('{"summary": "fine"}'), extra="Content-Type: application/json\r\n") as receiver:
        settings = ModelSettings(f"http://127.0.0.1:{receiver.port}/v1", "tiny-1", "sk-secret", deadline_s=5)
        model = OpenAiModel(settings)
        assert await model.ask("Do.", "Words.") == {"summary": "fine"}
        (request,) = receiver.requests
        assert request.target == "/v1/chat/completions"
        assert request.headers["authorization"] == "Bearer sk-secret"
        sent = json.loads(request.body)
        assert [message["content"] for message in sent["messages"]] == ["Do.", "Words."]
        receiver.will(401)
        with pytest.raises(ModelFailed, match="answered 401"):
            await model.ask("Do.", "Words.")
        await model.close()


@pytest.mark.loopback
async def test_an_endpoint_that_never_answers() -> None:
    async with Receiver() as receiver:
        receiver.will(STALL)
        model = OpenAiModel(ModelSettings(f"http://127.0.0.1:{receiver.port}/v1", "tiny-1", deadline_s=0.2))
        with pytest.raises(ModelFailed, match=r"within 0\.2 s"):
            await model.ask("Do.", "Words.")
        await model.close()
