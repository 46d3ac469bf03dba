"""Hold: what one party hears while the other has put the call on hold.

The party that holds neither listens nor has to send, so that its silence is no fault; its voice, which may be
music of its own, is not cut into utterances meanwhile. The other one hears our music or silence, or, when
`pass_on` says so, is put on hold by us, so that its own phone shows it.
"""

from __future__ import annotations

from dataclasses import dataclass

from kallglot_media.call.dialling import other
from kallglot_media.call.leg import Leg
from kallglot_media.call.session import Session
from kallglot_media.media.messages import Listen
from kallglot_media.speech.types import Pcm16


@dataclass(frozen=True, slots=True)
class HoldRules:
    """pass_on: hold the other party, too. music: what it hears, at `rate_hz`; None: silence."""

    pass_on: bool = False
    music: Pcm16 | None = None
    rate_hz: int = 8000


SILENCE = HoldRules()


class Holding:
    """Watches the legs of one session."""

    def __init__(self, session: Session, rules: HoldRules) -> None:
        self._session = session
        self._rules = rules

    def watch(self, leg: Leg) -> None:
        """From now on, what this leg's peer holds is passed on."""
        leg.on_hold = self._changed

    def _changed(self, leg: Leg) -> None:
        session, waits = self._session, self._session.legs.get(other(leg.party))
        session.event("hold" if leg.peer_holds else "resume", speaker=leg.party)
        if leg.peer_holds:
            session.world.media.send(Listen(leg.leg_id, None))
        else:
            session.interpreting.listen_to(leg.party)
        session.sound.music(other(leg.party), self._rules.music if leg.peer_holds else None, self._rules.rate_hz)
        if self._rules.pass_on and isinstance(waits, Leg):
            (waits.hold if leg.peer_holds else waits.resume)()
