"""A world for sessions without sockets, processes or models: everything said to it is written down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kallglot_media.call.announcer import Announcer
from kallglot_media.call.direction import Deadlines
from kallglot_media.call.leg import Leg, MediaHome
from kallglot_media.call.ports import DialError
from kallglot_media.call.session import Session
from kallglot_media.call.world import SessionFacts, World
from kallglot_media.media import messages as m
from kallglot_media.media.link import MediaError
from kallglot_media.modes.plan import Party
from kallglot_media.sdp.offer import make_offer
from kallglot_media.sdp.types import MediaAbility
from kallglot_media.sip.events import CallAnswered, CallEnded, CallFailed, CallProgress, EndedBy, Peer
from kallglot_media.sip.headers import Headers
from kallglot_media.sip.message import Response
from kallglot_media.speech.types import (
    DOUBTFUL,
    NO_HINTS,
    Context,
    EngineFailed,
    Hints,
    Pcm16,
    Speech,
    Transcript,
    Translation,
    Word,
)

RATE_HZ = 8000
PHONE_SDP = make_offer(MediaAbility("192.0.2.20", 4000))


class CountingIds:
    """ids.Ids that counts."""

    def __init__(self) -> None:
        self._next = 0

    def _count(self) -> int:
        self._next += 1
        return self._next

    def tag(self) -> str:
        return f"tag{self._count()}"

    def branch(self) -> str:
        return f"z9hG4bK{self._count()}"

    def call_id(self) -> str:
        return f"call{self._count()}"

    def nonce(self) -> str:
        return f"nonce{self._count()}"

    def ssrc(self) -> int:
        return self._count()

    def rtp_sequence(self) -> int:
        return self._count()

    def rtp_timestamp(self) -> int:
        return self._count()

    def object_id(self, prefix: str) -> str:
        return f"{prefix}_{self._count()}"


@dataclass
class FakeSignalling:
    """Writes down every verb; dialling fails when `unresolvable`."""

    verbs: list[tuple[str, ...]] = field(default_factory=list)
    headers: list[tuple[str, str]] = field(default_factory=list)
    unresolvable: bool = False
    numbered: bool = False
    """Each dialled call has a name of its own: agent-call, agent-call-2, …"""
    dial_headers: list[tuple[str, str]] = field(default_factory=list)
    offers: list[bytes] = field(default_factory=list)

    async def dial(
        self,
        *,
        to: str,
        from_: str,
        sdp: bytes,
        headers: Sequence[tuple[str, str]] = (),
        credentials: Any = None,
    ) -> str:
        if self.unresolvable:
            raise DialError(480, "no such host")
        self.verbs.append(("dial", to, from_))
        self.dial_headers.extend(headers)
        self.offers.append(sdp)
        dialled = sum(verb[0] == "dial" for verb in self.verbs)
        return f"agent-call-{dialled}" if self.numbered and dialled > 1 else "agent-call"

    def ring(self, call: str, *, status: int = 180, sdp: bytes | None = None) -> None:
        self.verbs.append(("ring", call, f"{status}{'+sdp' if sdp else ''}"))

    def answer(self, call: str, sdp: bytes) -> None:
        self.verbs.append(("answer", call))

    def reject(
        self, call: str, status: int, *, reason: str | None = None, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        self.verbs.append(("reject", call, str(status)))
        self.headers.extend(headers)

    def hangup(self, call: str, *, reason: str | None = None) -> None:
        self.verbs.append(("hangup", call))

    def answer_offer(self, call: str, sdp: bytes) -> None:
        self.verbs.append(("answer_offer", call))

    def reoffer(self, call: str, sdp: bytes) -> None:
        self.verbs.append(("reoffer", call, direction_of(sdp)))

    def accept_transfer(self, call: str) -> None:
        self.verbs.append(("accept_transfer", call))

    def refuse_transfer(self, call: str, status: int) -> None:
        self.verbs.append(("refuse_transfer", call, str(status)))

    def tell_transfer(self, call: str, status: int) -> None:
        self.verbs.append(("tell_transfer", call, str(status)))

    def refer(self, call: str, to: str, *, replaces_call: str | None = None) -> None:
        self.verbs.append(("refer", call, to))

    def press_key(self, call: str, key: str, duration_ms: int) -> None:
        self.verbs.append(("press_key", call, key))

    def message(self, call: str, text: str) -> None:
        self.verbs.append(("message", call, text))

    def refuse_offer(self, call: str, status: int, *, headers: Sequence[tuple[str, str]] = ()) -> None:
        self.verbs.append(("refuse_offer", call, str(status)))
        self.headers.extend(headers)


def direction_of(sdp: bytes) -> str:
    """The last direction attribute."""
    directions = (b"sendrecv", b"sendonly", b"recvonly", b"inactive")
    return next(line[2:].decode() for line in reversed(sdp.split()) if line[2:] in directions)


@dataclass
class FakeMedia:
    """Answers like a media plane that plays everything in no time."""

    sent: list[m.ToMedia] = field(default_factory=list)
    on_event: Callable[[m.FromMedia], None] = lambda event: None
    full: bool = False
    deaf: bool = False
    """Plays are taken and never finish."""
    _ports: int = 20_000

    async def open_leg(self, message: m.OpenLeg) -> m.LegOpened:
        self.sent.append(message)
        if self.full:
            raise MediaError("no free port in media.ports")
        self._ports += 4
        return m.LegOpened(message.leg_id, message.host, self._ports - 2, text_port=self._ports if message.text else 0)

    def send(self, message: m.ToMedia) -> None:
        self.sent.append(message)
        loop = asyncio.get_running_loop()
        if isinstance(message, m.Play) and not self.deaf:
            samples = len(message.pcm) // 2
            loop.call_soon(self.on_event, m.PlayoutStarted(message.leg_id, message.play_id, 16_000))
            loop.call_soon(
                self.on_event, m.PlayoutFinished(message.leg_id, message.play_id, 16_000 + samples, samples, samples)
            )
        elif isinstance(message, m.SendText) and not self.deaf:
            count = sum(one.leg_id == message.leg_id for one in self.of(m.SendText))
            loop.call_soon(self.on_event, m.TextShown(message.leg_id, count))
        elif isinstance(message, m.CloseLeg):
            loop.call_soon(self.on_event, m.LegClosed(message.leg_id, m.LegStats(message.leg_id, {}, 0.0, 0.0)))
        elif isinstance(message, m.CloseSession):
            loop.call_soon(self.on_event, m.SessionClosed(message.session_id, 24_000))

    def of(self, kind: type[Any]) -> list[Any]:
        """Everything of this kind that was sent."""
        return [message for message in self.sent if isinstance(message, kind)]


@dataclass
class FakeEngines:
    """Engines that play a script: heard text per utterance length in samples; `broken` names engines that fail."""

    heard: dict[int, tuple[str, str]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    asked: list[tuple[str, ...]] = field(default_factory=list)
    befores: list[Context | None] = field(default_factory=list)
    """What each translation was to go on from."""
    hints: list[Hints] = field(default_factory=list)
    speeds: list[float] = field(default_factory=list)
    speech_s: float = 0.1
    """How long each piece of made speech is."""
    gate: asyncio.Event | None = None
    """When set, recognition waits for it."""
    doubtful: set[int] = field(default_factory=set)
    """Lengths of sounds whose words are too improbable to be believed."""

    async def transcribe(
        self,
        pcm: Pcm16,
        language: str | None,
        *,
        deadline_s: float,
        partial: bool = False,
        hints: Hints = NO_HINTS,
    ) -> Transcript:
        if self.gate is not None:
            await self.gate.wait()
        self._may_fail("transcribe")
        self.hints.append(hints)
        if len(pcm) // 2 in self.doubtful:
            return Transcript("", language or "de", 1.0, 0.3, 0.0, (), engine_ms=10.0, guard=DOUBTFUL)
        text, spoken = self.heard[len(pcm) // 2]
        words = tuple(Word(one, 240 + 100 * n, 330 + 100 * n, 0.9) for n, one in enumerate(text.split()))
        return Transcript(text, language or spoken, 1.0, 0.9, 0.0, words, engine_ms=10.0)

    async def translate(
        self, text: str, source: str, target: str, *, deadline_s: float, after: Context | None = None
    ) -> Translation:
        self._may_fail("translate")
        self.asked.append(("translate", text, source, target))
        self.befores.append(after)
        return Translation(f"<{target}>{text}", source, target, engine_ms=3.0)

    async def synthesize(
        self, text: str, language: str, voice: str | None, *, deadline_s: float, speed: float = 1.0
    ) -> Speech:
        self._may_fail("synthesize")
        self.asked.append(("synthesize", text, language, voice or ""))
        self.speeds.append(speed)
        return Speech(np.full(int(self.speech_s * RATE_HZ), 1000, dtype=np.int16), RATE_HZ, engine_ms=2.0)

    def _may_fail(self, name: str) -> None:
        if name in self.broken:
            raise EngineFailed(f"{name} died")


class TestWorld:
    """One session's surroundings; `world` is what the session gets."""

    __test__ = False

    def __init__(self, folder: Path) -> None:
        self.signalling = FakeSignalling()
        self.media = FakeMedia()
        self.engines = FakeEngines()
        self.calls: dict[str, Leg] = {}
        self.world = World(
            signalling=self.signalling,
            media=self.media,
            engines=self.engines,
            announcer=Announcer(self.engines),
            ids=CountingIds(),
            home=MediaHome("192.0.2.10", "192.0.2.10"),
            sessions_dir=folder,
            deadlines=Deadlines(1.0, 1.0, 1.0),
            longest_line=4,
            bind=lambda sip_call, leg: self.calls.update({sip_call: leg}),
        )

    def session(self, *, keep: bool = True) -> Session:
        """A session whose media events come from the fake media."""
        session = Session(
            self.world, "sess_1", SessionFacts("bidirectional_translation", "de", "en", called="support", keep=keep)
        )
        self.media.on_event = session.on_media
        session.open()
        return session

    async def customer(self, session: Session) -> tuple[Leg, bytes]:
        """The customer's leg, ringing, and the SDP of our answer."""
        leg = session.new_leg(Party.CUSTOMER)
        leg.take_call("customer-call", Peer("udp", "192.0.2.20", 5060))
        await leg.open()
        return leg, leg.take_offer(PHONE_SDP)


def utterance(party: Party, samples: int, *, speech_end_sample: int = 12_000) -> m.Utterance:
    """`samples` of silence said by a party of sess_1; the script of FakeEngines goes by the length."""
    pcm = np.zeros(samples, dtype=np.int16).tobytes()
    return m.Utterance(f"sess_1/{party}", pcm, RATE_HZ, speech_end_sample - samples, speech_end_sample, "silence")


def progress(status: int, sdp: bytes | None = None) -> CallProgress:
    return CallProgress("agent-call", Response(status, "", Headers()), sdp)


def answered(sdp: bytes | None = PHONE_SDP) -> CallAnswered:
    return CallAnswered("agent-call", Response(200, "OK", Headers()), sdp)


def failed(status: int) -> CallFailed:
    return CallFailed("agent-call", status, "reason", None)


def hung_up(call: str) -> CallEnded:
    return CallEnded(call, EndedBy.REMOTE, 200, "BYE")
