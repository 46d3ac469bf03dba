"""What the media plane says about a session: who is told, what is noted, and what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from kallglot_media.call import events as e
from kallglot_media.call.clock import ms_of
from kallglot_media.call.journal import stats_facts
from kallglot_media.call.leg import Leg, LegState
from kallglot_media.call.world import EndReason
from kallglot_media.media import messages as m

if TYPE_CHECKING:
    from kallglot_media.call.session import Session


class MediaEvents:
    """One session's.

    closed  the media plane has closed the session, its files too
    """

    def __init__(self, session: Session) -> None:
        self.closed: asyncio.Future[m.SessionClosed] = asyncio.get_running_loop().create_future()
        self._session = session
        self._parties = session.parties

    def take(self, event: m.FromMedia) -> None:
        """One event; what concerns only the attendant is none of ours."""
        handle = self._HANDLERS.get(type(event))
        if handle is not None:
            handle(self, event)

    # ── voices ───────────────────────────────────────────────────────────────────

    def _speech_started(self, event: m.SpeechStarted) -> None:
        session, party = self._session, self._parties.party_of(event.leg_id)
        session.event("speech.started", event.at_sample, speaker=party)
        session.world.bus.publish(e.SpeechStarted(session.session_id, party, ms_of(event.at_sample)))
        session.on_speech_started(party)

    def _speech_grew(self, event: m.SpeechGrew) -> None:
        self._session.interpreting.grow(self._parties.party_of(event.leg_id), event)

    def _utterance(self, event: m.Utterance) -> None:
        session, party = self._session, self._parties.party_of(event.leg_id)
        session.world.bus.publish(e.SpeechStopped(session.session_id, party, ms_of(event.speech_end_sample)))
        session.interpreting.hear(party, event)

    def _key(self, event: m.Dtmf) -> None:
        self._session.key_pressed(self._parties.party_of(event.leg_id), event.digit, ms_of(event.at_sample))

    # ── ears and eyes ────────────────────────────────────────────────────────────

    def _stream(self, event: m.StreamAudioOut | m.StreamCleared) -> None:
        self._parties.on_stream(event)

    def _playout_started(self, event: m.PlayoutStarted) -> None:
        self._session.interpreting.playout_started(event)

    def _playout_finished(self, event: m.PlayoutFinished) -> None:
        self._session.sound.play_finished(event.leg_id, event.play_id)
        self._session.interpreting.playout_finished(event.play_id)
        self._session.look_again()

    def _text_shown(self, event: m.TextShown) -> None:
        self._parties.text_shown(event)
        self._session.look_again()

    # ── the line, and the end ────────────────────────────────────────────────────

    def _rtp_lost(self, event: m.RtpLost) -> None:
        session, party = self._session, self._parties.party_of(event.leg_id)
        leg = session.legs.get(party)
        if leg is None or leg.leg_id != event.leg_id:
            return  # dropped or replaced while this was on its way
        if leg.state is not LegState.ANSWERED or (isinstance(leg, Leg) and leg.peer_holds):
            return  # a phone that rings, or holds us, need not send
        session.event("rtp.lost", speaker=party, silent_ms=event.silent_ms)
        session.end(EndReason.TIMEOUT, f"no RTP from the {party} for {event.silent_ms // 1000} s")

    def _recording_gap(self, event: m.RecordingGap) -> None:
        self._session.event("recording.gap", event.first_sample, samples=event.samples, why=event.why)

    def _leg_stats(self, stats: m.LegStats) -> None:
        """Where the network lost what a party said: it can be seen in the plot."""
        if stats.lost:
            spans = zip(*[iter(stats.lost)] * 2, strict=True)
            spans_ms = [[ms_of(first), ms_of(first + samples)] for first, samples in spans]
            speaker = self._parties.party_of(stats.leg_id)
            self._session.event("rtp.loss", stats.lost[0], speaker=speaker, spans_ms=spans_ms)

    def _leg_closed(self, event: m.LegClosed) -> None:
        session = self._session
        self._leg_stats(event.stats)
        self._parties.media_closed(event.leg_id)
        session.sound.leg_closed(event.leg_id)
        session.event("leg.stats", speaker=self._parties.party_of(event.leg_id), **stats_facts(event.stats))
        session.look_again()

    def _session_closed(self, event: m.SessionClosed) -> None:
        if not self.closed.done():
            self.closed.set_result(event)

    _HANDLERS: Mapping[type, Callable[..., None]] = {
        m.SpeechStarted: _speech_started,
        m.SpeechGrew: _speech_grew,
        m.Utterance: _utterance,
        m.Dtmf: _key,
        m.StreamAudioOut: _stream,
        m.StreamCleared: _stream,
        m.PlayoutStarted: _playout_started,
        m.PlayoutFinished: _playout_finished,
        m.TextShown: _text_shown,
        m.RtpLost: _rtp_lost,
        m.RecordingGap: _recording_gap,
        m.LegStats: _leg_stats,
        m.LegClosed: _leg_closed,
        m.SessionClosed: _session_closed,
    }
