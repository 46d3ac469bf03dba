"""One session: its legs, its clock, its interpreters and what is written down about it.

A Session knows how to do things; what happens when is decided by the scenario that runs
it (bridge.py, services.py). It ends exactly once, through close().
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from kallglot_media.audio.segment import SegmentRules
from kallglot_media.call import events as e
from kallglot_media.call.changed import Changed
from kallglot_media.call.direction import Direction
from kallglot_media.call.floor import SAME_LANGUAGE
from kallglot_media.call.interpreter import Interpreter
from kallglot_media.call.journal import Journal, file_facts, stats_facts
from kallglot_media.call.leg import Leg, LegState
from kallglot_media.call.listening import told_meanwhile
from kallglot_media.call.parties import AnyLeg, Parties
from kallglot_media.call.turn import Turn, TurnTimings
from kallglot_media.call.world import EndReason, SessionFacts, World, now_text
from kallglot_media.log import CallLog
from kallglot_media.media import messages as m
from kallglot_media.modes.plan import SILENT, Party, Plan
from kallglot_media.modes.policy import TURN_BY_TURN, Policy
from kallglot_media.speech.types import Pcm16, Speech

RATE_HZ = 8000
CLOSE_LEG_DEADLINE_S = 2.0
SHOW_TEXT_DEADLINE_S = 4.0
"""What was said last may still be typed on a phone that is about to be hung up."""
LAST_WORDS_DEADLINE_S = 20.0
CLOSE_SESSION_DEADLINE_S = 10.0


class Session:
    """See the module. Implements interpreter.Floor.

    bridged  a Bridge runs it
    clients  those at the session's stream
    started  whether the parties ever were connected
    real_time_text  the agent's phone is offered a text line
    partials_read  whether somebody besides the stream reads partial transcripts now
    attendant  sees every event of the media plane, before the session itself does
    """

    def __init__(self, world: World, session_id: str, facts: SessionFacts) -> None:
        self.world = world
        self.session_id = session_id
        self.stop: asyncio.Future[tuple[EndReason, str]] = asyncio.get_running_loop().create_future()
        self.log = CallLog(session_id)
        self.on_through: Callable[[Party, bool], None] = lambda talker, on: None
        self.on_speech_started: Callable[[Party], None] = lambda party: None
        self.facts = facts
        self.on_turn: Callable[[Turn], None] = lambda turn: None
        self.on_partial: Callable[[e.PartialTranscript], None] = lambda event: None
        self.on_key: Callable[[Party, str], None] = lambda party, digit: None
        self.attendant: Callable[[m.FromMedia], None] = lambda event: None
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()
        self._sequence = 0
        self._plan = SILENT
        self._gains = m.Gains()
        self._through: set[Party] = set()
        self._interpreters: dict[Party, Interpreter] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._open_plays: dict[str, set[str]] = {}
        self._changed = Changed()
        self.parties = Parties(world, session_id, self._changed.notify)
        self.bridged = False
        self.clients = world.clients.of(session_id)
        self._segment = SegmentRules()
        self.started = False
        self.real_time_text = False
        self.partials_read: Callable[[], bool] = lambda: False
        self._media_closed: asyncio.Future[m.SessionClosed] = self._loop.create_future()
        self._media_dead = False
        self._journal = Journal(
            world.sessions_dir / session_id,
            {
                "session_id": session_id,
                "mode": facts.mode,
                "source_language": facts.source_language,
                "target_language": facts.target_language,
                "called": facts.called,
                "config_generation": facts.generation,
                "status": "created",
                "created_at": now_text(),
                "rate_hz": RATE_HZ,
                "recording": {"enabled": facts.keep},
            },
            keep_words=facts.keep,
        )

    # ── legs and media ───────────────────────────────────────────────────────────

    def open(self) -> None:
        """Start the session's clock and, if it is kept, its recording."""
        folder = str(self._journal.folder.resolve()) if self.facts.keep else None
        self.world.media.send(m.OpenSession(self.session_id, folder, RATE_HZ))
        self._began_s = self._loop.time()

    @property
    def legs(self) -> dict[Party, AnyLeg]:
        """The leg that each party has now."""
        return self.parties.legs

    def turns_after(self, sequence: int) -> list[Turn]:
        """The final turns with a higher number, in order."""
        turns = self._journal.turns
        return [turns[number] for number in sorted(turns) if number > sequence]

    def key_pressed(self, party: Party, digit: str, at_ms: int | None = None) -> None:
        """A key, which may be part of a card number: it is written down, never logged."""
        self._journal.event("dtmf", self.now_ms() if at_ms is None else at_ms, speaker=party, digit=digit)
        self.on_key(party, digit)
        self.parties.pass_on_key(party, digit)

    def words_typed(self, party: Party, text: str) -> None:
        """A MESSAGE from a party's phone (RFC 3428): the customer's is chat where an AI answers."""
        if not (text and party is Party.CUSTOMER and self.clients.chat(text)):
            self._journal.event("message.not_taken", self.now_ms(), speaker=party)

    def new_leg(self, party: Party) -> Leg:
        """A leg of this session without a port yet. It takes the place of the one that this party had."""
        leg = self.parties.new_leg(party)
        leg.real_time_text = self.real_time_text and party is Party.AGENT
        leg.on_key = lambda leg, key: self.key_pressed(leg.party, key)
        leg.on_words = lambda leg, text: self.words_typed(leg.party, text)
        return leg

    def set_plan(self, plan: Plan, gains: m.Gains | None = None) -> None:
        """Who hears whom from the next tick on."""
        self._plan = plan
        self._gains = gains or self._gains
        self._send_plan()

    def _send_plan(self) -> None:
        through = tuple(sorted(self._through))
        self.world.media.send(m.SetPlan(self.session_id, self._plan, self._gains, through))

    def tone(self, party: Party, name: str | None) -> None:
        """Loop a call-progress tone to a party, or stop it (None)."""
        if (leg := self.legs.get(party)) is not None:
            self.world.media.send(m.PlayTone(leg.leg_id, name) if name else m.StopTone(leg.leg_id))

    def music(self, party: Party, pcm: Pcm16 | None, rate_hz: int) -> None:
        """Loop music to a party, or stop it (None)."""
        if (leg := self.legs.get(party)) is not None:
            say = m.StopTone(leg.leg_id) if pcm is None else m.PlayLoop(leg.leg_id, pcm.tobytes(), rate_hz)
            self.world.media.send(say)

    def hush(self, party: Party) -> None:
        """Throw away what a party has not yet heard."""
        if (leg := self.legs.get(party)) is not None:
            self.world.media.send(m.Clear(leg.leg_id))
            self.world.bus.publish(e.Cleared(self.session_id, party))

    async def say(self, party: Party, speech: Speech | None) -> None:
        """Play an announcement to a party and wait until it was heard; returns early when the party is gone."""
        if speech is None or party not in self.legs:
            return
        play_id = self.world.ids.object_id("say")
        self.play(party, play_id, speech.pcm, speech.rate_hz)
        leg = self.legs[party]
        longest_s = len(speech.pcm) / speech.rate_hz + 5.0
        await self._changed.until(
            lambda: play_id not in self._open_plays.get(leg.leg_id, ()) or leg.ended.done() or self.stop.done(),
            longest_s,
        )

    # ── interpreting ─────────────────────────────────────────────────────────────

    def interpret(self, directions: Sequence[Direction], rules: SegmentRules, policy: Policy = TURN_BY_TURN) -> None:
        """Start making words over, and cutting the talkers' voices into utterances."""
        self._segment = told_meanwhile(rules, policy)
        for direction in directions:
            interpreter = Interpreter(
                direction,
                self.world.engines,
                self,
                self._loop.time,
                self.world.deadlines,
                self.world.longest_line,
                policy,
            )
            self._interpreters[direction.talker] = interpreter
            self.own(interpreter.run(), f"interpreter {direction.talker}")
            self.own(interpreter.glimpse(), f"glimpses {direction.talker}")
            self.listen_to(direction.talker)

    def stop_interpreting(self) -> None:
        """Words are made over no longer; what is in line is still written down."""
        for interpreter in self._interpreters.values():
            interpreter.close()
        self._interpreters = {}
        self._through.clear()

    def listen_to(self, party: Party) -> None:
        """A party has a new leg: if its words are made over, cut its voice into utterances."""
        if party in self._interpreters and party in self.legs:
            self.legs[party].listen(self._segment)

    def own(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run something for as long as the session lives; a bug in it ends this session, no other."""
        task = asyncio.create_task(work, name=f"{self.session_id} {name}")
        self._tasks.add(task)
        task.add_done_callback(self._owned_done)

    def _owned_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.log.failed("bug", error, task=task.get_name())
            self.end(EndReason.ERROR, f"{type(error).__name__} in {task.get_name()}")
        self._changed.notify()

    async def last_words(self, talker: Party, limit_s: float) -> None:
        """Let what a party said before hanging up be made over and heard, within a limit."""
        interpreter = self._interpreters.get(talker)
        leg = self.legs[talker]
        leg.close_media()
        if interpreter is None:
            return
        listener = self.legs.get(interpreter.direction.listener)

        def all_said() -> bool:
            if self._media_dead or listener is None or listener.ended.done():
                return True
            heard = not self._open_plays.get(listener.leg_id)
            return self.parties.is_media_closed(leg.leg_id) and interpreter.idle and heard

        if not await self._changed.until(lambda: all_said() or self.stop.done(), limit_s):
            self.event("last_words.cut", speaker=talker)

    # ── interpreter.Floor ────────────────────────────────────────────────────────

    def next_sequence(self) -> int:
        self._sequence += 1
        return self._sequence

    def turn_done(self, turn: Turn) -> None:
        self._journal.turn(turn)  # on disk before anybody is told
        self.world.bus.publish(e.FinalTranscript(self.session_id, turn))
        self.on_turn(turn)
        self.event("transcript.final", turn.end_ms * RATE_HZ // 1000, sequence=turn.sequence, speaker=turn.speaker)

    def turn_played(self, sequence: int, first_sample_ms: int, timings: TurnTimings) -> None:
        self._journal.turn_played(sequence, first_sample_ms, timings)
        self.world.bus.publish(e.TurnHeard(self.session_id, sequence, first_sample_ms, timings))
        self.event(
            "turn.timings",
            first_sample_ms * RATE_HZ // 1000,
            sequence=sequence,
            play={"first_sample_ms": first_sample_ms},
            timings=timings.to_json(),
        )
        self._changed.notify()

    def partial(self, talker: Party, text: str, stable: str, language: str, start_ms: int) -> None:
        event = e.PartialTranscript(self.session_id, talker, text, language, stable, start_ms)
        self.world.bus.publish(event)
        self.on_partial(event)

    def partials_wanted(self) -> bool:
        return self.partials_read() or self.world.bus.is_watched(self.session_id)

    def play(self, listener: Party, play_id: str, pcm: Pcm16, rate_hz: int) -> None:
        leg = self.legs.get(listener)
        if leg is None or leg.ended.done() or self._media_dead or not len(pcm):
            return
        self._open_plays.setdefault(leg.leg_id, set()).add(play_id)
        self.world.media.send(m.Play(leg.leg_id, play_id, pcm.tobytes(), rate_hz))

    def let_through(self, talker: Party, on: bool, reason: str) -> None:
        (self._through.add if on else self._through.discard)(talker)
        self._send_plan()
        if reason != SAME_LANGUAGE:
            self.on_through(talker, on)

    def became_idle(self) -> None:
        self._changed.notify()

    async def until(self, holds: Callable[[], bool], limit_s: float) -> bool:
        """Wait until `holds()`, looked at again whenever something changed here; False when the limit came first."""
        return await self._changed.until(holds, limit_s)

    def look_again(self) -> None:
        """Something changed that this session does not know of."""
        self._changed.notify()

    def event(self, kind: str, at_sample: int | None = None, **fields: Any) -> None:
        at_ms = self.now_ms() if at_sample is None else _ms(at_sample)
        self._journal.event(kind, at_ms, **fields)
        self.world.bus.publish(e.Noted(self.session_id, kind, at_ms, fields))
        self.log.state(
            kind, at_ms=at_ms, **{name: value for name, value in fields.items() if name not in ("timings", "play")}
        )

    def now_ms(self) -> int:
        """About where the session's clock is; events of the media plane bring their exact place."""
        return max(0, round(1000 * (self._loop.time() - self._began_s)))

    # ── what the media plane says ────────────────────────────────────────────────

    def on_media(self, event: m.FromMedia) -> None:
        """Take one of the media plane's events about this session."""
        self.attendant(event)
        if isinstance(event, m.StreamAudioOut | m.StreamCleared):
            self.parties.on_stream(event)
        elif isinstance(event, m.SpeechGrew):
            if (interpreter := self._interpreters.get(self.parties.party_of(event.leg_id))) is not None:
                interpreter.grow(event)
        elif isinstance(event, m.Utterance):
            self._on_utterance(event)
        elif isinstance(event, m.PlayoutStarted):
            for interpreter in self._interpreters.values():
                interpreter.playout_started(event)
        elif isinstance(event, m.PlayoutFinished):
            self._on_playout_finished(event)
        elif isinstance(event, m.SpeechStarted):
            party = self.parties.party_of(event.leg_id)
            self.event("speech.started", event.at_sample, speaker=party)
            self.world.bus.publish(e.SpeechStarted(self.session_id, party, _ms(event.at_sample)))
            self.on_speech_started(party)
        elif isinstance(event, m.Dtmf):
            self.key_pressed(self.parties.party_of(event.leg_id), event.digit, _ms(event.at_sample))
        elif isinstance(event, m.RtpLost):
            self._on_rtp_lost(event)
        elif isinstance(event, m.TextShown):
            self.parties.text_shown(event)
            self._changed.notify()
        elif isinstance(event, m.RecordingGap):
            self.event("recording.gap", event.first_sample, samples=event.samples, why=event.why)
        elif isinstance(event, m.LegStats):
            self._note_losses(event)
        elif isinstance(event, m.LegClosed):
            self._on_leg_closed(event)
        elif isinstance(event, m.SessionClosed) and not self._media_closed.done():
            self._media_closed.set_result(event)

    def _on_utterance(self, utterance: m.Utterance) -> None:
        party = self.parties.party_of(utterance.leg_id)
        self.world.bus.publish(e.SpeechStopped(self.session_id, party, _ms(utterance.speech_end_sample)))
        interpreter = self._interpreters.get(party)
        if interpreter is not None:
            interpreter.hear(utterance)

    def _on_playout_finished(self, event: m.PlayoutFinished) -> None:
        self._open_plays.get(event.leg_id, set()).discard(event.play_id)
        for interpreter in self._interpreters.values():
            interpreter.playout_finished(event.play_id)
        self._changed.notify()

    def _on_rtp_lost(self, event: m.RtpLost) -> None:
        party = self.parties.party_of(event.leg_id)
        leg = self.legs.get(party)
        if leg is None or leg.leg_id != event.leg_id:
            return  # dropped or replaced while this was on its way
        if leg.state is not LegState.ANSWERED or (isinstance(leg, Leg) and leg.peer_holds):
            return  # a phone that rings, or holds us, need not send
        self.event("rtp.lost", speaker=party, silent_ms=event.silent_ms)
        self.end(EndReason.TIMEOUT, f"no RTP from the {party} for {event.silent_ms // 1000} s")

    def _note_losses(self, stats: m.LegStats) -> None:
        """Where the network lost what a party said: it can be seen in the plot."""
        if stats.lost:
            spans = [[_ms(first), _ms(first + samples)] for first, samples in zip(*[iter(stats.lost)] * 2, strict=True)]
            self.event("rtp.loss", stats.lost[0], speaker=self.parties.party_of(stats.leg_id), spans_ms=spans)

    def _on_leg_closed(self, event: m.LegClosed) -> None:
        self._note_losses(event.stats)
        self.parties.media_closed(event.leg_id)
        self._open_plays.pop(event.leg_id, None)
        self.event("leg.stats", speaker=self.parties.party_of(event.leg_id), **stats_facts(event.stats))
        self._changed.notify()

    def media_died(self) -> None:
        """The media process is gone: nobody hears anything any more."""
        self._media_dead = True
        self.end(EndReason.ERROR, "the media process died")
        self._changed.notify()

    # ── beginning and end ────────────────────────────────────────────────────────

    def active(self) -> None:
        """Both sides are connected."""
        self._journal.update(status="active", started_at=now_text())
        self.started = True
        self.event("session.started")
        customer = self.legs.get(Party.CUSTOMER)
        self.world.bus.publish(e.SessionStarted(self.session_id, customer.provider if customer else None))

    def end(self, reason: EndReason, detail: str) -> None:
        """Ask the scenario to finish; the first reason counts."""
        if not self.stop.done():
            self.stop.set_result((reason, detail))
            self._changed.notify()

    async def close(self, reason: EndReason, detail: str) -> None:
        """Hang up what is left, write down the last words, and finish the files. Never raises OSError."""
        await self._changed.until(lambda: self._media_dead or not self.parties.text_waits(), SHOW_TEXT_DEADLINE_S)
        for leg in self.parties.every:
            leg.hang_up(detail)
            leg.close_media()
        await self._changed.until(self._legs_closed, CLOSE_LEG_DEADLINE_S)
        for interpreter in self._interpreters.values():
            interpreter.close()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=LAST_WORDS_DEADLINE_S)
        for task in set(self._tasks):
            task.cancel()
        closed = await self._close_recording()
        self._write_end(reason, detail, closed)

    def _legs_closed(self) -> bool:
        return self._media_dead or self.parties.all_media_closed()

    async def _close_recording(self) -> m.SessionClosed | None:
        if self._media_dead:
            return None
        self.world.media.send(m.CloseSession(self.session_id))
        try:
            async with asyncio.timeout(CLOSE_SESSION_DEADLINE_S):
                return await self._media_closed
        except TimeoutError:
            return None

    def _write_end(self, reason: EndReason, detail: str, closed: m.SessionClosed | None) -> None:
        self.event("session.ended", reason=reason, detail=detail)
        samples = closed.samples if closed else self.now_ms() * RATE_HZ // 1000
        try:
            self._journal.close(
                duration_ms=round(1000 * samples / RATE_HZ),
                status="ended",
                ended_at=now_text(),
                end_reason=str(reason),
                end_detail=detail,
                samples=samples,
                files=file_facts(closed.files if closed else ()),
            )
        except OSError as error:
            self.log.drop("transcript not written", why=str(error), mend="make room: the next start finishes it")
        self.world.bus.publish(
            e.SessionEnded(
                self.session_id, str(reason), detail, self.started, _ms(samples), closed.files if closed else ()
            )
        )


def _ms(sample: int) -> int:
    return round(1000 * sample / RATE_HZ)
