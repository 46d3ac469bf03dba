"""Handing over to a human on real calls: each outcome ends with both parties in a known state.

All calls run at the same time, each on a number of its own: the caller keys 0, and the human does what the outcome's
name says. Callers whose human cannot be had key 5# into the offer to be called back, or say nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kallglot_media.audio.tones import beep
from tests.support.baresip import Baresip
from tests.support.correlate import match
from tests.support.processes import HOST, free_port, until
from tests.support.server import Server, events, read_json
from tests.support.sipp import Result, Sipp
from tests.support.voices import said
from tests.support.waves import read_wav, script

pytestmark = [pytest.mark.interop, pytest.mark.loopback, pytest.mark.engines]

QUICK = {"greeting": "", "handing_over": "", "callback": "Wir rufen zurück.", "voicemail": "Bitte sprechen Sie."}
CALLBACK = ["Wir rufen zurück.", "Danke. Das ist notiert, wir rufen Sie zurück.", "Auf Wiederhören."]
CALLBACK_AT_MS = 8000
"""The offer to be called back is over by then at every outcome, and the time to take it is not."""


@dataclass(frozen=True, slots=True)
class Ended:
    """One outcome: what the caller's phone and the human's saw, and the session's files."""

    caller: Result
    human: Result | None
    folder: Path

    @property
    def steps(self) -> list[tuple[str, str]]:
        """The lines of the transcript about the human: (step, detail)."""
        turns = read_json(self.folder / "transcript.json")["turns"]
        found = [turn["action"] for turn in turns if "action" in turn]
        return [(one["type"].removeprefix("escalation."), one.get("detail", "")) for one in found]

    @property
    def said(self) -> list[str]:
        """What the AI said."""
        turns = read_json(self.folder / "transcript.json")["turns"]
        return [turn["text"] for turn in turns if turn["speaker"] == "ai" and "action" not in turn]

    @property
    def end(self) -> tuple[str, str]:
        """Reason and detail."""
        facts = read_json(self.folder / "session.json")
        return facts["end_reason"], facts["end_detail"]


HUMANS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "busy": ("uas_refuses", {"STATUS": "486 Busy Here", "RING_MS": "200"}),
    "refused": ("uas_refuses", {"STATUS": "603 Decline", "RING_MS": "200"}),
    "no_answer": ("uas_rings", {}),
    "caller_gone_ringing": ("uas_rings", {}),
    "caller_gone_told": ("uas_answers", {"RING_MS": "100"}),
    "caller_gone_talking": ("uas_answers", {"RING_MS": "100"}),
    "human_gone_told": ("uas_hangs_up", {"RING_MS": "100", "hold_ms": 300}),
    "human_gone_talking": ("uas_hangs_up", {"RING_MS": "100", "hold_ms": 1500}),
}
"""What the human's phone does: scenario, and its settings. Only callers who key in a number are told about."""

CALLERS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "caller_gone_ringing": ("uac_dtmf", {"KEYS": "0", "hold_ms": 2500}),
    "caller_gone_told": ("uac_dtmf", {"KEYS": "417#0", "hold_ms": 5000}),
    "caller_gone_talking": ("uac_dtmf", {"KEYS": "0", "hold_ms": 4000}),
    "human_gone_told": ("uac_asks_for_human", {"KEYS": "417#0", "MORE": "5#", "hold_ms": 10_000}),
    "human_gone_talking": ("uac_dtmf", {"KEYS": "0", "hold_ms": 9000}),
    "sent_on": ("uac_referred", {"STATUS": "200 OK", "MORE": "1", "hold_ms": 0}),
    "sent_on_busy": ("uac_referred", {"STATUS": "486 Busy Here", "MORE": "5#", "hold_ms": 6000}),
}
"""What the caller's phone does, where it is not what most do."""

NUMBERS = [*HUMANS, "trunk_down", "sent_on", "sent_on_busy"]
RING_S = {"no_answer": 2}


@dataclass(frozen=True, slots=True)
class Place:
    """The server, and where the human of each number is."""

    server: Server
    ports: Mapping[str, int]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A desk for each outcome."""
    ports = {name: free_port() for name in (*NUMBERS, "message")}
    trunk = {"name": "down", "hosts": [f"sip:{HOST}:{free_port()};transport=tcp"], "dial": {"allow": ["+49*"]}}
    modes: dict[str, dict[str, Any]] = {}
    for name in ports:
        handoff: dict[str, Any] = {"to": f"sip:human@{HOST}:{ports[name]}", "ring_s": RING_S.get(name, 10)}
        if name == "trunk_down":
            handoff = {"trunk": "down", "number": "+4930123", "ring_s": 10}
        if name.startswith("sent_on"):
            handoff["mode"] = "cold"
        if name == "message":
            handoff["nobody"] = "voicemail"
        modes[name] = {
            "mode": "help_chat_voice",
            "source_language": "de",
            "target_language": None,
            "help_chat": {"escalation_enabled": True},
            "handoff": handoff,
            "phrases": {phrase: {"de": text} for phrase, text in QUICK.items()},
        }
    folder = tmp_path_factory.mktemp("server")
    with Server(folder, modes=modes, settings={"sip": {"trunks": [trunk]}}) as server:
        yield Place(server, ports)


@pytest.fixture(scope="module")
def ended(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Ended]:
    """All outcomes at once."""
    folder, server = tmp_path_factory.mktemp("phones"), place.server
    plain = ("uac_asks_for_human", {"KEYS": "0", "MORE": "5#", "hold_ms": CALLBACK_AT_MS})
    with ExitStack() as stack:
        humans = {
            name: stack.enter_context(Sipp(folder / f"{name}-human", scenario, port=place.ports[name], **fill))
            for name, (scenario, fill) in HUMANS.items()
        }
        callers = {}
        for name in NUMBERS:
            scenario, fill = CALLERS.get(name, plain)
            callers[name] = stack.enter_context(
                Sipp(folder / f"{name}-caller", scenario, remote=server.address, service=name, **fill)
            )
        called = {name: one.wait(40.0) for name, one in callers.items()}
        answered = {name: one.wait(5.0) for name, one in humans.items()}
        until("all sessions are over", lambda: len(_over(server)) == len(NUMBERS), 10.0)
    folders = _over(server)
    return {name: Ended(called[name], answered.get(name), folders[name]) for name in NUMBERS}


def _over(server: Server) -> dict[str, Path]:
    """The sessions that are over, by the number that was called."""
    facts = {path: read_json(path / "session.json") for path in server.sessions()}
    return {str(one["called"]): path for path, one in facts.items() if one.get("status") == "ended"}


def check(outcome: Ended) -> Ended:
    """Both phones saw what their scenarios say, to the last message."""
    outcome.caller.check()
    if outcome.human is not None:
        outcome.human.check()
    return outcome


@pytest.mark.feature("SIPp", "a human whom the AI calls: busy, declined, no answer, trunk down")
@pytest.mark.parametrize(
    ("name", "detail", "phrase", "status"),
    [
        ("busy", "busy", "Leider ist gerade besetzt.", 486),
        ("refused", "declined", "Leider kann der Anruf gerade nicht angenommen werden.", 603),
        ("no_answer", "no_answer", "Leider nimmt gerade niemand ab.", 408),
        ("trunk_down", "unreachable", "Leider ist gerade niemand zu erreichen.", 503),
        ("sent_on_busy", "busy", "Leider ist gerade besetzt.", 486),
    ],
)
def test_a_human_who_cannot_be_had(
    ended: Mapping[str, Ended], name: str, detail: str, phrase: str, status: int
) -> None:
    """Said so, a callback is offered and taken, goodbye and BYE; the human's phone, if it rang, rings no more."""
    outcome = check(ended[name])
    assert outcome.steps == [("started", "key"), ("failed", detail), ("callback", "")]
    assert outcome.said == [phrase, *CALLBACK]
    assert [one["status"] for one in events(outcome.folder) if one["type"] == "escalation.failed"] == [status]
    assert outcome.end == ("completed", "a callback was asked for")


def test_the_caller_hangs_up_while_it_rings(ended: Mapping[str, Ended]) -> None:
    """The human's phone gets CANCEL: its scenario fails without."""
    outcome = check(ended["caller_gone_ringing"])
    assert outcome.steps == [("started", "key"), ("failed", "the caller hung up")]
    assert outcome.end[0] == "customer_hangup"


def test_the_caller_hangs_up_while_the_human_is_told(ended: Mapping[str, Ended]) -> None:
    """The human's phone gets BYE in the middle of the sentence."""
    outcome = check(ended["caller_gone_told"])
    assert outcome.steps == [("started", "key"), ("failed", "the caller hung up")]
    assert outcome.end[0] == "customer_hangup"


def test_the_caller_hangs_up_on_the_human(ended: Mapping[str, Ended]) -> None:
    outcome = check(ended["caller_gone_talking"])
    assert outcome.steps == [("started", "key"), ("answered", "")]
    assert outcome.end[0] == "customer_hangup"


def test_the_human_hangs_up_while_being_told(ended: Mapping[str, Ended]) -> None:
    outcome = check(ended["human_gone_told"])
    assert outcome.steps == [("started", "key"), ("failed", "declined"), ("callback", "")]
    assert outcome.said[-4:] == ["Leider kann der Anruf gerade nicht angenommen werden.", *CALLBACK]
    assert outcome.end == ("completed", "a callback was asked for")


def test_the_human_hangs_up_on_the_caller(ended: Mapping[str, Ended]) -> None:
    """The AI is back, and the caller is still there to hear it."""
    outcome = check(ended["human_gone_talking"])
    assert outcome.steps == [("started", "key"), ("answered", ""), ("left", "the human hung up")]
    assert outcome.said[-2:] == ["Die Verbindung wurde beendet.", "Kann ich sonst noch etwas für Sie tun?"]
    assert outcome.end[0] == "customer_hangup"


@pytest.mark.feature("SIPp", "a caller is sent on to a human: REFER, 202, NOTIFY, BYE")
def test_a_caller_who_is_sent_on(ended: Mapping[str, Ended]) -> None:
    outcome = check(ended["sent_on"])
    assert outcome.steps == [("started", "key"), ("answered", "transferred")]
    assert outcome.end[0] == "transferred"


@pytest.mark.feature("baresip", "a caller is sent on to a human by REFER, and talks with them")
def test_a_phone_that_is_sent_on_calls_the_human_itself(
    ended: Mapping[str, Ended], place: Place, tmp_path: Path
) -> None:
    """After the calls of the others: it uses one of their numbers again."""
    before = len(place.server.sessions())
    with (
        Sipp(tmp_path / "human", "uas_answers", port=place.ports["sent_on"], RING_MS="100") as human,
        Baresip(tmp_path / "alice", "alice") as alice,
    ):
        alice.dial(place.server.uri("sent_on"))
        alice.wait_for("CALL_ESTABLISHED")
        alice.command("sndcode", "0")
        alice.wait_for("CALL_ESTABLISHED", 15.0)
        session = place.server.session(count=before + 1)
        assert read_json(session / "session.json")["end_reason"] == "transferred"
        alice.hang_up()
        human.wait(10.0).check()


@pytest.mark.feature("baresip", "a message after a beep where the human is busy")
def test_a_caller_leaves_a_message(ended: Mapping[str, Ended], place: Place, tmp_path: Path) -> None:
    """Its words in the transcript and the event, its sound at that place of the recording; it ends by hanging up."""
    before, wish = len(place.server.sessions()), said("Ich möchte mein Geld zurück.", "de")
    with (
        Sipp(
            tmp_path / "human", "uas_refuses", port=place.ports["message"], STATUS="486 Busy Here", RING_MS="100"
        ) as human,
        Baresip(tmp_path / "alice", "alice", microphone=script(7.5, wish, 60.0)) as alice,
    ):
        alice.dial(place.server.uri("message"))
        alice.wait_for("CALL_ESTABLISHED")
        alice.command("sndcode", "0")
        session = place.server.session(count=before + 1, ended=False)
        started = place.server.wait_event(session, "voicemail.started", 15.0)
        place.server.wait_event(session, "transcript.final", 15.0, where=lambda one: one["speaker"] == "customer")
        alice.hang_up()
        human.wait(5.0).check()
        place.server.session(count=before + 1)
        heard = alice.heard().pcm
    left = place.server.wait_event(session, "voicemail.left", 1.0)
    outcome = Ended(human.wait(1.0), None, session)
    assert outcome.steps == [("started", "key"), ("failed", "busy"), ("voicemail", "")]
    (message,) = [turn["action"] for turn in read_json(session / "transcript.json")["turns"][-1:]]
    assert message["text"] == "Ich möchte mein Geld zurück."
    assert started["at_ms"] <= left["start_ms"] + 20 < left["end_ms"]
    recorded = read_wav(session / "customer.wav")[0][:, 0]
    assert match(wish, recorded[8 * left["start_ms"] : 8 * left["end_ms"]]).window_median > 0.9
    assert match(beep(), heard[: 8 * left["start_ms"] + 2000]).correlation > 0.9, "no beep was heard"
