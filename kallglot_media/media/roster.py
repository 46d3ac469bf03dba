"""Who is there: the sessions and legs of a plane, by name and by slot."""

from __future__ import annotations

from kallglot_media.ids import Ids
from kallglot_media.media.leg import Leg
from kallglot_media.media.messages import OpenLeg, OpenSession, OpenStreamLeg
from kallglot_media.media.rows import RATE_HZ, Rows
from kallglot_media.media.session import Session
from kallglot_media.media.settings import MediaSettings
from kallglot_media.media.stream_leg import StreamLeg
from kallglot_media.modes.plan import Party


class PlaneError(Exception):
    """Control asked for what cannot be; the message says what is there and what would do."""


class Roster:
    """Opens legs in rows of their own, and finds them. What is opened twice, or in no session, raises PlaneError.

    sessions  id -> session
    legs      id -> leg
    by_slot   slot -> its leg; None: nobody has it
    streaming the legs without RTP, by slot
    """

    def __init__(self, rows: Rows, settings: MediaSettings, ids: Ids, epoch_s: float) -> None:
        """epoch_s: Unix time when now_s was 0."""
        self.sessions: dict[str, Session] = {}
        self.legs: dict[str, Leg] = {}
        self.by_slot: list[Leg | None] = []
        self.streaming: list[StreamLeg] = []
        self._rows = rows
        self._settings = settings
        self._ids = ids
        self._epoch_s = epoch_s

    def open_session(self, message: OpenSession, tick: int) -> Session:
        """A session whose clock starts with this tick."""
        if message.session_id in self.sessions:
            raise PlaneError(f"session {message.session_id} is open already")
        if message.rate_hz != RATE_HZ:
            raise PlaneError(f"a session at {message.rate_hz} Hz; G.711 legs run at {RATE_HZ}")
        session = self.sessions[message.session_id] = Session(message.session_id, tick)
        return session

    def close_session(self, session: Session) -> None:
        """Its legs are closed before."""
        del self.sessions[session.session_id]

    def open_leg(self, message: OpenLeg | OpenStreamLeg) -> Leg:
        """A leg of the kind that is asked for, the newest of its party."""
        session = self._session_for(message)
        slot = self._rows.take()
        if isinstance(message, OpenLeg):
            leg = self._rtp_leg(message, session, slot)
        else:
            leg = StreamLeg(message.leg_id, session, message.party, slot, self._settings)
        self.legs[leg.leg_id] = leg
        session.legs.append(leg)
        return leg

    def close_leg(self, leg: Leg) -> None:
        """Its row is free again."""
        leg.session.legs.remove(leg)
        del self.legs[leg.leg_id]
        self._rows.give_back(leg.slot)

    def arrange(self) -> list[Leg]:
        """Legs came, went or changed: all of them by slot, ascending."""
        legs = sorted(self.legs.values(), key=lambda leg: leg.slot)
        self.by_slot = [None] * self._rows.high
        for leg in legs:
            self.by_slot[leg.slot] = leg
        self.streaming = [leg for leg in legs if isinstance(leg, StreamLeg)]
        return legs

    def _session_for(self, message: OpenLeg | OpenStreamLeg) -> Session:
        session = self.sessions.get(message.session_id)
        if session is None:
            raise PlaneError(f"session {message.session_id} is not open; send OpenSession first")
        if message.leg_id in self.legs:
            raise PlaneError(f"leg {message.leg_id} is open already")
        if message.party is Party.AI:
            raise PlaneError("the AI speaks by Play and needs no leg")
        return session

    def _rtp_leg(self, message: OpenLeg, session: Session, slot: int) -> Leg:
        leg = Leg(message.leg_id, session, message.party, slot, self._settings, self._ids.ssrc())
        leg.epoch_s = self._epoch_s
        leg.first_sequence = self._ids.rtp_sequence()
        self._rows.start_stream(
            slot, ssrc=leg.reports.ssrc, sequence=leg.first_sequence, timestamp=self._ids.rtp_timestamp()
        )
        return leg
