"""A scripted softphone: calls or is called, carries out its script, records what it hears, and reports.

SIP is the same sans-IO agent that the server uses; the script is `performer.py`, hearing is
`ear.py`. Here are only the clock and the order of things.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from kallglot_media.audio.pcm import FRAME_MS, Pcm16, samples_of
from kallglot_media.errors import SetupError
from kallglot_media.ids import Ids
from kallglot_media.net.shell import Listen, SipShell
from kallglot_media.phone.address import destination_of, local_towards, own_uri
from kallglot_media.phone.ear import Ear, HearRules
from kallglot_media.phone.performer import Performer
from kallglot_media.phone.report import PhoneReport
from kallglot_media.phone.rough_path import SMOOTH, PathRules
from kallglot_media.phone.rtp_line import RATE_HZ, RtpLine
from kallglot_media.phone.script import PlayFile, Step
from kallglot_media.phone.sounds import load_sound
from kallglot_media.phone.text_line import TextLine
from kallglot_media.sdp.answer import make_answer, read_answer
from kallglot_media.sdp.offer import make_offer
from kallglot_media.sdp.types import Agreed, MediaAbility, NotAcceptable, SdpError, TextAbility
from kallglot_media.sip.agent import SipAgent
from kallglot_media.sip.events import (
    CallAnswered,
    CallConfirmed,
    CallEnded,
    CallFailed,
    CallProgress,
    IncomingCall,
    MediaOffered,
    Peer,
    SipEvent,
)
from kallglot_media.sip.settings import AgentSettings

_MOST_LATE_FRAMES = 5
"""Frames that a late clock still sends at once; more are given up, as a sound card would."""

_GOODBYE_S = 1.0
"""How long the BYE may take to be answered before the phone leaves."""


@dataclass(frozen=True, slots=True)
class PhoneSettings:
    """What a phone is and how long it waits.

    user        the user part of its own address
    host        the address that SIP and RTP bind; when calling, "" is the one that leads there
    port        of SIP; 0: a free one
    codecs      best first, names from sdp.CODECS
    ring_s      how long it rings before it answers
    wait_s      how long it waits to be called, or to be answered
    limit_s     the longest call
    text        whether it has a screen for real-time text
    path        what becomes of the packets that it sends: a bad network, on purpose
    """

    user: str = "phone"
    host: str = "127.0.0.1"
    port: int = 0
    transport: str = "udp"
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    ring_s: float = 0.0
    wait_s: float = 60.0
    limit_s: float = 600.0
    text: bool = False
    path: PathRules = SMOOTH
    hear: HearRules = field(default_factory=HearRules)


class Phone:
    """One phone, one call.

        report = await Phone(settings, steps, ids).call("sip:echo@127.0.0.1:5060")

    `ear` holds what was heard, `text` what came as text.
    """

    def __init__(self, settings: PhoneSettings, steps: Sequence[Step], ids: Ids) -> None:
        self.ear = Ear(RATE_HZ, settings.hear)
        self.text = TextLine()
        self.report = PhoneReport(uri="", rate_hz=RATE_HZ)
        self._settings = settings
        self._performer = Performer(steps, load_sounds(steps), self.ear)
        self._line = RtpLine(ids, self.ear, self._now_sample, settings.path)
        self._agent = SipAgent(ids, AgentSettings(user_agent="kallglot-phone", contact_user=settings.user, max_calls=1))
        self._shell = SipShell(self._agent, self._on_event)
        self._ability = MediaAbility(settings.host, 0, settings.codecs)
        self._call: str | None = None
        self._start_s: float | None = None
        self._end_sample = 0
        self._answered = asyncio.Event()
        self._over = asyncio.Event()

    async def call(self, uri: str) -> PhoneReport:
        """Call `uri` and carry out the script. Raises SetupError for an address that cannot be called."""
        destination = destination_of(uri, self._settings.transport)
        host = self._settings.host or local_towards(destination)
        if (":" in host) != (":" in destination.host):
            wrong, mend = (
                f"is {host}, and {destination.host} is called",
                "leave it out, or write both IPv4 or both IPv6",
            )
            raise SetupError("--local", wrong, mend)
        own_uri(self._settings.user, host, 1)  # before anything is bound
        self._settings = replace(self._settings, transport=destination.transport, host=host)
        self.report.uri = uri
        async with _Open(self) as address:
            own = own_uri(self._settings.user, address.host, address.port)
            self._call = self._agent.invite(
                to=uri,
                from_=own,
                destination=destination,
                sdp=make_offer(self._ability),
                now_s=self._shell.now_s(),
            )
            self._shell.drain()
            await self._converse()
        return self.report

    async def listen(self, on_ready: Callable[[str], None] = lambda uri: None) -> PhoneReport:
        """Answer the first call and carry out the script. on_ready: told the address when it can be called."""
        self.report.result = "not called"
        own_uri(self._settings.user, self._settings.host, 1)
        async with _Open(self) as address:
            self.report.uri = own_uri(self._settings.user, address.host, address.port)
            on_ready(self.report.uri)
            await self._converse()
        return self.report

    def heard(self) -> Pcm16:
        """What was heard from the answer to the end, at 8 kHz."""
        return self.ear.recording(self._end_sample)

    async def open(self) -> Peer:
        """Bind SIP and RTP. Raises SetupError."""
        settings = self._settings
        try:
            rtp_port = await self._line.open(settings.host)
            self._ability = MediaAbility(settings.host, rtp_port, settings.codecs)
            if settings.text:
                text = TextAbility(await self.text.open(settings.host), sends=False, receives=True)
                self._ability = replace(self._ability, text=text)
            (address,) = await self._shell.start([Listen(settings.transport, settings.host, settings.port)])
        except OSError as wrong:
            self._line.close()
            self.text.close()
            where = f"{settings.transport} {settings.host}:{settings.port}"
            raise SetupError(where, f"cannot be listened on: {wrong.strerror or wrong}", "choose another") from None
        return address

    async def close(self) -> None:
        """Say goodbye, free the ports, finish the report."""
        self._hang_up()
        await self._goodbye()
        await self._shell.stop()
        self._line.close()
        self.text.close()
        self._finish_report()

    # ── the call ─────────────────────────────────────────────────────────────────

    async def _converse(self) -> None:
        first = [asyncio.ensure_future(event.wait()) for event in (self._answered, self._over)]
        try:
            await asyncio.wait(first, timeout=self._settings.wait_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiting in first:
                waiting.cancel()
        if not self._answered.is_set():
            return
        try:
            async with asyncio.timeout(self._settings.limit_s):
                await self._perform()
        except TimeoutError:
            self.report.ended_by = "timeout"

    async def _perform(self) -> None:
        """The phone's clock: a frame every 20 ms after the answer, counted and not slept."""
        assert self._start_s is not None
        size = samples_of(FRAME_MS, RATE_HZ)
        skipped = 0
        for number in itertools.count():
            frame = number + skipped
            late_s = time.monotonic() - (self._start_s + frame * FRAME_MS / 1000)
            if late_s < 0:
                await asyncio.sleep(-late_s)
            elif late_s * 1000 > _MOST_LATE_FRAMES * FRAME_MS:
                skipped += int(late_s * 1000) // FRAME_MS
                frame = number + skipped
            self._end_sample = frame * size
            if self._over.is_set():
                self._performer.other_side_hung_up(self._end_sample)
                return
            acts = self._performer.tick(self._end_sample, keys_are_pressed=self._line.is_pressing)
            if acts.digits:
                self._line.press(acts.digits)
            if acts.hang_up:
                return
            self._line.send(acts.frame, self._end_sample)

    def _now_sample(self) -> int | None:
        return None if self._start_s is None else int((time.monotonic() - self._start_s) * RATE_HZ)

    def _connect(self, agreed: Agreed) -> None:
        self._line.connect(agreed)
        self.text.connect(agreed.text)
        self.report.codec = agreed.codec

    def _begin(self) -> None:
        """The call stands: sample 0 of the phone's clock."""
        if self._start_s is None:
            self._start_s = time.monotonic()
            self.report.clock_start_monotonic_s = self._start_s
            self.report.result = "answered"
        self._answered.set()

    # ── what the agent tells ─────────────────────────────────────────────────────

    def _on_event(self, event: SipEvent) -> None:
        match event:
            case IncomingCall():
                self._on_incoming(event)
            case CallProgress():
                self.report.statuses.append(event.response.status)
            case CallAnswered():
                self._on_answered(event)
            case CallFailed():
                self._end("refused", event.status, event.reason)
            case CallConfirmed():
                self._begin()
            case MediaOffered():
                self._on_reoffer(event)
            case CallEnded() if event.call == self._call:
                self.report.ended_by = self.report.ended_by or str(event.by)
                self.report.reason = self.report.reason or event.reason
                self._over.set()

    def _on_incoming(self, event: IncomingCall) -> None:
        now_s = self._shell.now_s()
        if self._call is not None:
            self._agent.reject(event.call, 486, now_s)
            return
        self._call = event.call
        self._agent.ring(event.call, now_s)
        self.report.statuses.append(180)
        asyncio.get_running_loop().call_later(self._settings.ring_s, self._answer, event)

    def _answer(self, event: IncomingCall) -> None:
        if self._over.is_set():
            return  # given up while it rang
        now_s = self._shell.now_s()
        try:
            if event.offer is None:
                raise NotAcceptable(304, "the INVITE has no offer")
            body, agreed = make_answer(event.offer, self._ability)
        except SdpError as wrong:
            self._agent.reject(event.call, 400, now_s, reason=f"Bad SDP: {wrong}")
            self._end("unacceptable", 400, str(wrong))
        except NotAcceptable as wrong:
            self._agent.reject(event.call, 488, now_s, headers=[("Warning", wrong.warning())])
            self._end("unacceptable", 488, wrong.text)
        else:
            self._connect(agreed)
            self._agent.answer(event.call, body, now_s)
            self.report.statuses.append(200)
        self._shell.drain()

    def _on_answered(self, event: CallAnswered) -> None:
        self.report.statuses.append(event.response.status)
        try:
            if event.sdp is None:
                raise SdpError("the 200 has no SDP")
            self._connect(read_answer(self._ability, event.sdp))
        except (SdpError, NotAcceptable) as wrong:
            self._agent.hangup(event.call, self._shell.now_s())
            self.report.result, self.report.reason = "unacceptable", str(wrong)
            self._over.set()
            return
        self._begin()

    def _on_reoffer(self, event: MediaOffered) -> None:
        now_s = self._shell.now_s()
        try:
            if event.offer is None:
                raise NotAcceptable(304, "the re-INVITE has no offer")
            body, agreed = make_answer(event.offer, self._ability)
        except (SdpError, NotAcceptable):
            self._agent.refuse_offer(event.call, 488, now_s)
            return
        self._connect(agreed)
        self._agent.answer_offer(event.call, body, now_s)

    def _end(self, result: str, status: int, reason: str) -> None:
        self.report.result, self.report.reason = result, reason
        self.report.statuses.append(status)
        self._over.set()

    # ── the end ──────────────────────────────────────────────────────────────────

    def _hang_up(self) -> None:
        if self._call is not None and not self._over.is_set():
            self._agent.hangup(self._call, self._shell.now_s())
            self._shell.drain()

    async def _goodbye(self) -> None:
        for _ in range(round(_GOODBYE_S / 0.02)):
            if self._agent.open_calls == 0:
                return
            await asyncio.sleep(0.02)

    def _finish_report(self) -> None:
        report, ear = self.report, self.ear
        report.seconds = self._end_sample / RATE_HZ
        report.played, report.missed = self._performer.played, self._performer.missed
        report.rtp = self._line.report()
        report.heard_keys = self._line.heard_keys
        report.text, report.text_packets = self.text.screen.text, self.text.counters
        if ear.first_sample is not None:
            report.first_audio_ms = ear.first_sample * 1000 / RATE_HZ
        if ear.speech_first_sample is not None:
            report.first_speech_ms = ear.speech_first_sample * 1000 / RATE_HZ


class _Open:
    """The phone's sockets, open for the length of a `with` block."""

    def __init__(self, phone: Phone) -> None:
        self._phone = phone

    async def __aenter__(self) -> Peer:
        return await self._phone.open()

    async def __aexit__(self, *_: object) -> None:
        await self._phone.close()


def load_sounds(steps: Sequence[Step]) -> Mapping[Path, Pcm16]:
    """Every file that the script plays, at the rate of the call. Raises ScriptError."""
    return {step.path: load_sound(step.path, RATE_HZ) for step in steps if isinstance(step, PlayFile)}
