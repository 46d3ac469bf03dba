"""The media plane: all legs of a process, twenty milliseconds at a time.

No socket, clock or thread: datagrams, messages and `now_s` come in, datagrams and messages go
out. `process.py` gives it sockets and a clock; tests drive it by hand:

    plane.apply(OpenSession("s1"), now_s)
    plane.apply(OpenLeg("s1", "l1", Party.CUSTOMER, "192.0.2.1"), now_s)
    plane.apply(SetRemote("l1", "192.0.2.9", 4000, "PCMU", 0, 0), now_s)
    plane.receive(plane.slot_of("l1"), datagram, ("192.0.2.9", 4000), now_s)
    packets = plane.tick(now_s)                     # [(slot, datagram), …]
    events = plane.take_events()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kallglot_media.ids import Ids
from kallglot_media.media.ears import Ears
from kallglot_media.media.house import House
from kallglot_media.media.lanes import Arrivals, Lanes
from kallglot_media.media.leg import Leg, Report
from kallglot_media.media.locks import Locks
from kallglot_media.media.messages import (
    Clear,
    CloseLeg,
    CloseSession,
    FromMedia,
    LegClosed,
    Listen,
    OpenLeg,
    OpenSession,
    OpenStreamLeg,
    Play,
    PlayLoop,
    PlayTone,
    SendDtmf,
    SessionClosed,
    SetPlan,
    SetRemote,
    StopTone,
    StreamAudioIn,
    StreamCleared,
    ToMedia,
)
from kallglot_media.media.mixing import Mixer, edges_of
from kallglot_media.media.mouths import Mouths
from kallglot_media.media.outgoing import Outgoing, Packet, Sending
from kallglot_media.media.roster import Roster
from kallglot_media.media.rows import FRAME_SAMPLES, Rows
from kallglot_media.media.session import Session
from kallglot_media.media.settings import MediaSettings
from kallglot_media.media.source_lock import Address
from kallglot_media.media.stream_leg import StreamLeg
from kallglot_media.media.tone_ears import PressedKeys, ToneEars
from kallglot_media.media.tracks import NOBODY, RecordingSink, Tracks, right_tracks
from kallglot_media.modes.plan import Party


class MediaPlane:
    """Sessions and legs, and the tick.

    recorder  where recordings go; called twice a second for each recorded session
    epoch_s   Unix time when now_s was 0, for RTCP sender reports
    """

    def __init__(self, settings: MediaSettings, ids: Ids, recorder: RecordingSink, *, epoch_s: float = 0.0) -> None:
        self._rows = Rows()
        self._roster = Roster(self._rows, settings, ids, epoch_s)
        self._lanes = Lanes(settings.jitter.max_ms)
        self._ears = Ears(self._rows, self._lanes, own_voice_guard=settings.own_voice_guard)
        self._tone_ears = ToneEars()
        self._locks = Locks()
        self._outgoing = Outgoing(self._rows, settings, self._locks)
        self._house = House(self._rows, settings.rtp_timeout_s, epoch_s)
        self._mouths = Mouths(self._rows)
        self._mixer = Mixer()
        self._tracks = Tracks(recorder, FRAME_SAMPLES)
        self._tick = 0
        self._now_s = 0.0
        self._events: list[FromMedia] = []
        self._keys = PressedKeys()
        self._rtcp: list[Report] = []
        self._freed: list[int] = []
        self._moved: list[int] = []
        self._arrange()

    # ── for the shell ────────────────────────────────────────────────────────────

    @property
    def session_count(self) -> int:
        """Sessions open now."""
        return len(self._roster.sessions)

    @property
    def leg_count(self) -> int:
        """Legs open now."""
        return len(self._roster.legs)

    def slot_of(self, leg_id: str) -> int:
        """The leg's slot, as `receive` wants it. KeyError when there is no such leg."""
        return self._roster.legs[leg_id].slot

    def remote_of(self, slot: int) -> Address:
        """Where the RTP of this slot goes now."""
        leg = self._roster.by_slot[slot]
        assert leg is not None
        assert leg.lock.remote is not None
        return leg.lock.remote

    def take_moved(self) -> list[int]:
        """Slots whose RTP goes elsewhere since the last call."""
        moved, self._moved = self._moved, []
        return moved

    def count(self, slot: int, name: str) -> None:
        """Count something that happened to a leg outside of the plane, e.g. "send_failed"."""
        leg = self._roster.by_slot[slot]
        if leg is not None:
            leg.counters[name] += 1

    def take_events(self) -> list[FromMedia]:
        """What happened since the last call, in order."""
        events, self._events = self._events, []
        return events

    def take_rtcp(self) -> list[Report]:
        """Reports to send."""
        reports, self._rtcp = self._rtcp, []
        return reports

    def take_freed(self) -> list[int]:
        """Slots whose legs were closed: their ports may go."""
        freed, self._freed = self._freed, []
        return freed

    # ── control's messages ───────────────────────────────────────────────────────

    def apply(self, message: ToMedia, now_s: float) -> None:
        """Do what control says. A leg or session that has just gone is no mistake: the message is dropped.

        Raises PlaneError for what cannot be opened.
        """
        self._now_s = now_s
        do = self._HANDLERS[type(message)]
        if isinstance(message, OpenSession | OpenLeg | OpenStreamLeg | SetPlan | CloseSession):
            do(self, message)
        elif message.leg_id in self._roster.legs:
            do(self, message, self._roster.legs[message.leg_id])

    def close_all(self, now_s: float) -> None:
        """Close every session; the recordings are finished."""
        for session_id in list(self._roster.sessions):
            self.apply(CloseSession(session_id), now_s)

    def _open_session(self, message: OpenSession) -> None:
        session = self._roster.open_session(message, self._tick)
        if message.folder is not None:
            session.row = self._tracks.open(message.session_id, message.folder, message.rate_hz)

    def _open_leg(self, message: OpenLeg | OpenStreamLeg) -> None:
        leg = self._roster.open_leg(message)
        self._arrange()
        self._connect(leg.session)

    def _stream_audio_in(self, message: StreamAudioIn, leg: Leg) -> None:
        if isinstance(leg, StreamLeg):
            leg.buffer.put(message.sound)

    def _set_remote(self, message: SetRemote, leg: Leg) -> None:
        self._lanes.leave(leg.slot)
        leg.set_remote(message, self._now_s)
        self._moved.append(leg.slot)
        self._rows.set_coding(leg.slot, leg.law, message.send_payload_type)
        self._arrange()

    def _set_plan(self, message: SetPlan) -> None:
        session = self._roster.sessions.get(message.session_id)
        if session is not None:
            session.plan, session.gains, session.through = message.plan, message.gains, message.through
            self._connect(session)

    def _listen_to(self, message: Listen, leg: Leg) -> None:
        self._events += self._ears.flush(leg)
        leg.listen(message.rules)
        self._arrange()

    def _play(self, message: Play, leg: Leg) -> None:
        self._events += self._mouths.play(leg, message, self._tick)

    def _play_tone(self, message: PlayTone, leg: Leg) -> None:
        self._mouths.play_tone(leg, message.tone)

    def _play_loop(self, message: PlayLoop, leg: Leg) -> None:
        self._mouths.play_loop(leg, message)

    def _stop_tone(self, _message: StopTone, leg: Leg) -> None:
        leg.tone = None

    def _send_dtmf(self, message: SendDtmf, leg: Leg) -> None:
        leg.press(message.digits, message.duration_ms)
        self._arrange()

    def _clear(self, _message: Clear, leg: Leg) -> None:
        self._events += self._mouths.clear(leg, self._tick)
        if isinstance(leg, StreamLeg):
            leg.forget()
            self._events.append(StreamCleared(leg.leg_id))

    def _close_leg(self, _message: CloseLeg, leg: Leg) -> None:
        self._lanes.leave(leg.slot)
        self._events += self._ears.flush(leg)
        self._events += self._mouths.close(leg, self._tick)
        self._keys.forget(leg)
        if leg.lock.remote is not None:
            self._report(leg, leg.reports.bye(self._now_s))
        self._roster.close_leg(leg)
        if not isinstance(leg, StreamLeg):
            self._freed.append(leg.slot)
        else:
            self._events += leg.flush()
        self._arrange()
        self._connect(leg.session)
        self._events.append(LegClosed(leg.leg_id, leg.stats()))

    def _close_session(self, message: CloseSession) -> None:
        session = self._roster.sessions.get(message.session_id)
        if session is None:
            return
        for leg in list(session.legs):
            self._close_leg(CloseLeg(leg.leg_id), leg)
        self._mixer.set_edges(session.session_id, [])
        self._roster.close_session(session)
        if session.row is None:
            samples = (self._tick - session.first_tick) * FRAME_SAMPLES
            self._events.append(SessionClosed(session.session_id, samples))
        else:
            self._tracks.close(session.row)  # the recorder says SessionClosed when the files are done

    _HANDLERS: Mapping[type, Callable[..., None]] = {
        OpenSession: _open_session,
        OpenLeg: _open_leg,
        OpenStreamLeg: _open_leg,
        StreamAudioIn: _stream_audio_in,
        SetRemote: _set_remote,
        SetPlan: _set_plan,
        Listen: _listen_to,
        Play: _play,
        PlayTone: _play_tone,
        PlayLoop: _play_loop,
        StopTone: _stop_tone,
        SendDtmf: _send_dtmf,
        Clear: _clear,
        CloseLeg: _close_leg,
        CloseSession: _close_session,
    }

    # ── arrival ──────────────────────────────────────────────────────────────────

    def receive(self, slot: int, data: bytes, source: tuple[Any, ...], now_s: float, *, opened: bool = False) -> None:
        """A datagram came to the slot's RTP port. Never raises for what is in it. opened: it is decrypted already."""
        leg = self._roster.by_slot[slot]
        if leg is None:
            return
        self._lanes.leave(slot)
        remote = leg.lock.remote
        if leg.receive(data, source if len(source) == 2 else source[:2], now_s, opened=opened):
            self._keys.pressed(leg)
        if leg.lock.remote is not remote:
            self._moved.append(slot)

    def arrive(self, arrivals: Arrivals) -> None:
        """`receive` for many at once: one datagram each of as many RTP ports. What is encrypted is opened in there."""
        unlocked = self._locks.unlock(arrivals)
        taken = self._lanes.arrive(arrivals, unlocked.plain)
        for n in np.flatnonzero(~taken & ~unlocked.refused).tolist():
            opened = bool(unlocked.opened[n])
            data = arrivals.datagrams[n, : arrivals.sizes[n]].tobytes() if opened else arrivals.whole(n)
            self.receive(int(arrivals.slots[n]), data, arrivals.source(n), float(arrivals.at_s[n]), opened=opened)

    def receive_rtcp(self, slot: int, datagram: bytes, source: tuple[Any, ...], now_s: float) -> None:
        """A datagram came to the slot's RTCP port: believed from the RTP peer's host only."""
        leg = self._roster.by_slot[slot]
        if leg is not None:
            leg.receive_rtcp(datagram, source if len(source) == 2 else source[:2], now_s)

    # ── the tick ─────────────────────────────────────────────────────────────────

    def tick(self, now_s: float) -> list[Packet]:
        """`step`, its packets one by one."""
        return self.step(now_s).all()

    def step(self, now_s: float) -> Sending:
        """One frame of every leg: heard, cut, mixed, recorded, coded. Returns what is to be sent."""
        self._now_s = now_s
        rows, tick = self._rows, self._tick
        heard = self._ears.hear(tick)
        self._events += self._ears.cut(heard, tick)
        self._events += self._tone_ears.hear(heard, self._position)
        self._events += self._mouths.pull(tick)
        self._events += self._keys.take(self._position)
        said = rows.made[: rows.high].astype(np.float32)
        self._mixer.mix(heard, rows.playing, said)
        self._tracks.tick(heard, rows.made)
        sending = self._outgoing.send(said)
        if self._ears.compares:
            rows.keep_told(tick)
        if self._outgoing.has_changed:
            self._arrange()
        if self._roster.streaming:
            self._stream()
        self._keep_house()
        self._lanes.settle()
        self._tick = tick + 1
        return sending

    def _stream(self) -> None:
        """What the legs without RTP hear in this tick."""
        for leg in self._roster.streaming:
            self._events += leg.say(self._rows.said(leg.slot), leg.session.position(self._tick))

    def skip(self, frames: int) -> None:
        """The process stood still for so long: these frames are given up, on every clock."""
        self._rows.timestamp += frames * FRAME_SAMPLES
        self._tracks.skip(frames)
        self._events += self._ears.skip(frames)
        self._tick += frames

    def _keep_house(self) -> None:
        for slot in self._house.turn(self._tick):
            leg = self._roster.by_slot[slot]
            if leg is not None and leg.lock.remote is not None:
                if self._lanes.has(slot) and self._house.may_wait(leg, self._tick, self._now_s):
                    continue  # its sound comes, and there is nothing to be said of it
                self._lanes.tell(slot)
                events, report = self._house.keep(leg, self._tick, self._now_s)
                self._events += events
                if report is not None:
                    self._report(leg, report)

    def _report(self, leg: Leg, datagram: bytes) -> None:
        report = leg.seal_report(datagram)
        if report is not None:
            self._rtcp.append(report)

    # ── who is where ─────────────────────────────────────────────────────────────

    def _position(self, leg: Leg) -> int:
        return leg.session.position(self._tick)

    def _arrange(self) -> None:
        """Legs came, went or changed: make the lists that the tick walks along."""
        legs = self._roster.arrange()
        self._ears.arrange(legs)
        self._tone_ears.arrange(legs)
        self._locks.arrange(legs, self._rows.high)
        self._outgoing.arrange(legs)

    def _connect(self, session: Session) -> None:
        """Who hears whom and who stands in which file, from the session's plan and legs."""
        slots = session.slots()
        self._mixer.set_edges(session.session_id, edges_of(session.plan, session.gains, session.through, slots))
        if session.row is not None:
            left = (slots.get(Party.CUSTOMER, NOBODY), slots.get(Party.AGENT, NOBODY))
            self._tracks.set_sources(session.row, left, right_tracks(session.plan, slots))
