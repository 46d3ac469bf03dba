"""A caller whom nobody can be put through to leaves a message: how it begins, ends, and who is told. No sleeping."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kallglot_media.agent.endpoint import Patience
from kallglot_media.call import voicemail
from kallglot_media.call.answering_rules import HandoffRules, VoicemailRules
from kallglot_media.call.events import MessageLeft, Noted, SessionEvent
from kallglot_media.call.world import EndReason
from kallglot_media.media import messages as m
from kallglot_media.modes.plan import Party
from tests.call.test_answering import HUMAN, RULES, SAID, Desk
from tests.support.call_world import failed, hung_up, utterance
from tests.support.server import events, read_lines

MESSAGE = SAID[3280]
VOICEMAIL = replace(HUMAN, nobody="voicemail", voicemail=VoicemailRules(longest_s=30.0, silence_s=0.05))


async def offered(
    folder: Path, handoff: HandoffRules = VOICEMAIL, at_once: Sequence[m.FromMedia] = (), **changes: Any
) -> tuple[Desk, list[MessageLeft]]:
    """The human is busy; the beep has been heard. at_once: what the caller does before any time passes after it."""
    desk = await Desk(folder, replace(RULES, handoff=handoff, **changes)).start()
    told: list[MessageLeft] = []

    def hear(event: SessionEvent) -> None:
        if isinstance(event, MessageLeft):
            told.append(event)
        elif isinstance(event, Noted) and event.kind == "voicemail.started":
            for one in at_once:
                asyncio.get_running_loop().call_soon(desk.session.on_media, one)

    desk.world.world.bus.listen(hear)
    await desk.says(2160)
    await desk.until(lambda: Party.AGENT in desk.session.legs)
    desk.human.on_sip(failed(486))
    await desk.until(lambda: "voicemail.started" in kinds(folder))
    return desk, told


def words(samples: int, end: int) -> list[m.FromMedia]:
    """The caller says what SAID has for this length."""
    heard = utterance(Party.CUSTOMER, samples, speech_end_sample=end)
    return [m.SpeechStarted("sess_1/customer", end - samples), heard]


def kinds(folder: Path) -> list[str]:
    return [event["type"] for event in events(folder / "sess_1")]


def actions(folder: Path) -> list[dict[str, Any]]:
    return [line["action"] for line in read_lines(folder / "sess_1" / "transcript.jsonl") if "action" in line]


async def test_a_message_after_the_beep_ends_with_silence_thanks_and_goodbye(tmp_path: Path) -> None:
    desk, told = await offered(tmp_path, at_once=[*words(3280, 60_000), *words(2800, 70_000)])
    assert desk.phrase("voicemail") in desk.spoken()
    beeped = [len(play.pcm) // 2 for play in desk.world.media.of(m.Play) if play.play_id.startswith("say")]
    assert beeped == [3200], "0.4 s of tone"
    assert await desk.over() == (EndReason.COMPLETED, "a message was left")
    assert desk.spoken()[-2:] == [desk.phrase("voicemail_taken"), desk.phrase("goodbye")]
    (left,) = told
    assert (left.kind, left.text) == ("voicemail.left", f"{MESSAGE} {SAID[2800]}")
    assert 0 <= left.start_ms <= left.end_ms
    assert [one["type"] for one in actions(tmp_path)] == ["escalation.started", "escalation.failed", "voicemail"]
    assert actions(tmp_path)[-1]["text"] == left.text
    assert desk.asked() == [SAID[2160]], "a message is no question"


async def test_a_message_ends_when_the_caller_hangs_up_and_their_last_words_count(tmp_path: Path) -> None:
    desk, told = await offered(tmp_path, replace(VOICEMAIL, voicemail=VoicemailRules(30.0, 20.0)))
    desk.hang_up_saying(3280)
    assert (await desk.over())[0] is EndReason.CUSTOMER_HANGUP
    assert [one.text for one in told] == [MESSAGE]
    assert actions(tmp_path)[-1]["type"] == "voicemail"


@pytest.mark.parametrize("samples", [3280, 2800])
async def test_who_hangs_up_right_after_the_last_word_has_said_it(tmp_path: Path, samples: int) -> None:
    """2800 is no finished sentence: more of it was waited for."""
    desk, told = await offered(
        tmp_path, replace(VOICEMAIL, voicemail=VoicemailRules(30.0, 20.0)), patience=Patience(5000, 5000)
    )
    await desk.says(samples, end=60_000)
    desk.caller.on_sip(hung_up("customer-call"))
    await desk.over()
    assert [one.text for one in told] == [SAID[samples]]


async def test_a_message_ends_with_the_hash_key_and_other_keys_are_nothing(tmp_path: Path) -> None:
    desk, told = await offered(tmp_path, replace(VOICEMAIL, voicemail=VoicemailRules(30.0, 20.0)))
    await desk.says(3280, end=60_000)
    desk.session.key_pressed(Party.CUSTOMER, "0")
    await desk.settle()
    assert not told
    desk.session.key_pressed(Party.CUSTOMER, "#")
    assert await desk.over() == (EndReason.COMPLETED, "a message was left")
    assert [one.text for one in told] == [MESSAGE]


async def test_a_message_that_is_too_long_is_cut(tmp_path: Path) -> None:
    goes_on = [*words(3280, 60_000), m.SpeechStarted("sess_1/customer", 61_000)]
    desk, told = await offered(tmp_path, replace(VOICEMAIL, voicemail=VoicemailRules(0.3, 20.0)), goes_on)
    assert await desk.over() == (EndReason.COMPLETED, "a message was left")
    assert [one.text for one in told] == [MESSAGE]


async def test_nothing_said_is_no_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voicemail, "FIRST_WORDS_S", 0.05)
    desk, told = await offered(tmp_path)
    assert await desk.over() == (EndReason.COMPLETED, "no human could be had")
    assert (told, "voicemail.empty" in kinds(tmp_path)) == ([], True)
    assert desk.phrase("voicemail_taken") not in desk.spoken()


async def test_a_message_that_nobody_can_read_is_one_all_the_same(tmp_path: Path) -> None:
    """The sound is there: whoever listens to it may understand it."""
    desk, told = await offered(tmp_path)
    await desk.says(9000, end=60_000)
    assert await desk.over() == (EndReason.COMPLETED, "a message was left")
    assert [one.text for one in told] == [""]


async def test_personal_data_is_left_out_of_the_message(tmp_path: Path) -> None:
    desk, told = await offered(tmp_path, redact=lambda text: text.replace("Rechnung", "[…]"))
    await desk.says(3280, end=60_000)
    await desk.over()
    assert told[0].text == MESSAGE.replace("Rechnung", "[…]")


async def test_where_nothing_is_recorded_a_callback_is_offered(tmp_path: Path) -> None:
    desk = await Desk(tmp_path, replace(RULES, handoff=VOICEMAIL)).start(keep=False)
    told: list[MessageLeft] = []
    desk.world.world.bus.listen(lambda event: told.append(event) if isinstance(event, MessageLeft) else None)
    await desk.says(2160)
    await desk.until(lambda: Party.AGENT in desk.session.legs)
    desk.human.on_sip(failed(486))
    await desk.until(lambda: desk.phrase("callback") in desk.spoken())
    await desk.settle()
    await desk.says(3280, end=50_000)
    await desk.over()
    assert told == [MessageLeft("sess_1", "callback.wanted", MESSAGE)]


async def test_with_nothing_to_offer_the_ai_goes_on(tmp_path: Path) -> None:
    desk = await Desk(tmp_path, replace(RULES, handoff=replace(HUMAN, nobody="nothing"))).start()
    await desk.says(2160)
    await desk.until(lambda: Party.AGENT in desk.session.legs)
    desk.human.on_sip(failed(486))
    await desk.until(lambda: desk.phrase("human_busy") in desk.spoken())
    await desk.settle()
    await desk.says(2000, end=40_000)
    await desk.until(lambda: desk.spoken()[-1] == "Der Versand kostet 4,90 Euro.")
