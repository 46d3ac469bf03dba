"""One session: its legs, its clock and what is written down about it.

A Session knows how to do things, what is heard (sound.py) and made over (interpreting.py) among
them; what happens when is decided by the scenario that runs it (bridge.py, services.py). It ends
exactly once, through close().
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from kallglot_media.call import events as e
from kallglot_media.call.changed import Changed
from kallglot_media.call.clock import RATE_HZ, ms_of
from kallglot_media.call.floor import SAME_LANGUAGE
from kallglot_media.call.interpreting import Interpreting
from kallglot_media.call.journal import Journal, file_facts
from kallglot_media.call.leg import Leg
from kallglot_media.call.media_events import MediaEvents
from kallglot_media.call.parties import AnyLeg, Parties
from kallglot_media.call.sound import Sound
from kallglot_media.call.turn import Turn, TurnTimings
from kallglot_media.call.world import EndReason, SessionFacts, World, now_text
from kallglot_media.log import CallLog
from kallglot_media.media import messages as m
from kallglot_media.modes.plan import Party
from kallglot_media.speech.types import Pcm16

CLOSE_LEG_DEADLINE_S = 2.0
SHOW_TEXT_DEADLINE_S = 4.0
"""What was said last may still be typed on a phone that is about to be hung up."""
LAST_WORDS_DEADLINE_S = 20.0
CLOSE_SESSION_DEADLINE_S = 10.0


class Session:
    """See the module. Implements interpreter.Floor.

    sound    what each party hears
    interpreting  whose words are made over
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
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = Changed()
        self.parties = Parties(world, session_id, self._changed.notify)
        self.sound = Sound(world, session_id, self.parties, self._changed, self.stop)
        self.interpreting = Interpreting(self)
        self.bridged = False
        self.clients = world.clients.of(session_id)
        self.started = False
        self.real_time_text = False
        self.partials_read: Callable[[], bool] = lambda: False
        self._media_events = MediaEvents(self)
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

    # ── legs ─────────────────────────────────────────────────────────────────────

    @property
    def legs(self) -> dict[Party, AnyLeg]:
        """The leg that each party has now."""
        return self.parties.legs

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

    # ── work of its own ──────────────────────────────────────────────────────────

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
        self.sound.play(listener, play_id, pcm, rate_hz)

    def let_through(self, talker: Party, on: bool, reason: str) -> None:
        self.sound.let_through(talker, on)
        if reason != SAME_LANGUAGE:
            self.on_through(talker, on)

    def became_idle(self) -> None:
        self._changed.notify()

    # ── waiting, and what is written down ────────────────────────────────────────

    async def until(self, holds: Callable[[], bool], limit_s: float) -> bool:
        """Wait until `holds()`, looked at again whenever something changed here; False when the limit came first."""
        return await self._changed.until(holds, limit_s)

    def look_again(self) -> None:
        """Something changed that this session does not know of."""
        self._changed.notify()

    def event(self, kind: str, at_sample: int | None = None, **fields: Any) -> None:
        at_ms = self.now_ms() if at_sample is None else ms_of(at_sample)
        self._journal.event(kind, at_ms, **fields)
        self.world.bus.publish(e.Noted(self.session_id, kind, at_ms, fields))
        self.log.state(
            kind, at_ms=at_ms, **{name: value for name, value in fields.items() if name not in ("timings", "play")}
        )

    def now_ms(self) -> int:
        """About where the session's clock is; events of the media plane bring their exact place."""
        return max(0, round(1000 * (self._loop.time() - self._began_s)))

    def turns_after(self, sequence: int) -> list[Turn]:
        """The final turns with a higher number, in order."""
        turns = self._journal.turns
        return [turns[number] for number in sorted(turns) if number > sequence]

    # ── what the media plane says ────────────────────────────────────────────────

    def on_media(self, event: m.FromMedia) -> None:
        """Take one of the media plane's events about this session."""
        self.attendant(event)
        self._media_events.take(event)

    def media_died(self) -> None:
        """The media process is gone: nobody hears anything any more."""
        self.sound.is_dead = True
        self.end(EndReason.ERROR, "the media process died")
        self._changed.notify()

    # ── beginning and end ────────────────────────────────────────────────────────

    def open(self) -> None:
        """Start the session's clock and, if it is kept, its recording."""
        folder = str(self._journal.folder.resolve()) if self.facts.keep else None
        self.world.media.send(m.OpenSession(self.session_id, folder, RATE_HZ))
        self._began_s = self._loop.time()

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
        await self._changed.until(lambda: self.sound.is_dead or not self.parties.text_waits(), SHOW_TEXT_DEADLINE_S)
        for leg in self.parties.every:
            leg.hang_up(detail)
            leg.close_media()
        await self._changed.until(self._legs_closed, CLOSE_LEG_DEADLINE_S)
        self.interpreting.close()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=LAST_WORDS_DEADLINE_S)
        for task in set(self._tasks):
            task.cancel()
        closed = await self._close_recording()
        self._write_end(reason, detail, closed)

    def _legs_closed(self) -> bool:
        return self.sound.is_dead or self.parties.all_media_closed()

    async def _close_recording(self) -> m.SessionClosed | None:
        if self.sound.is_dead:
            return None
        self.world.media.send(m.CloseSession(self.session_id))
        try:
            async with asyncio.timeout(CLOSE_SESSION_DEADLINE_S):
                return await self._media_events.closed
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
                self.session_id, str(reason), detail, self.started, ms_of(samples), closed.files if closed else ()
            )
        )
