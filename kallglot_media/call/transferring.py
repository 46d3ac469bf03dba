"""Transfers that a party's phone asks for: somebody else takes its place, or it has its place again.

REFER ──▶ allowed? ──▶ 202 ──▶ dialling (the other party hears it ring) ──▶ NOTIFY 200, the old leg is hung up
             │ no: 403                      └── busy, no answer: NOTIFY says so, the old leg talks on
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kallglot_media.call.dialling import DialFailed, PartyBusy, dial_party
from kallglot_media.call.leg import Leg
from kallglot_media.call.ports import SipHeaders
from kallglot_media.call.session import Session
from kallglot_media.sip.events import CallProgress, TransferAsked
from kallglot_media.sip.settings import Credentials


@dataclass(frozen=True, slots=True)
class AgentTarget:
    """Somebody to call. headers: of the INVITE."""

    to: str
    from_: str
    credentials: Credentials | None
    ring_s: float
    headers: SipHeaders = ()


Allow = Callable[[str], AgentTarget | None]
"""A SIP or tel URI, of anybody's choice → how it is called, or None when that is not allowed."""


def nobody(to: str) -> AgentTarget | None:
    """The dial plan when there is none."""
    return None


class Transferring:
    """Watches the legs of one session.

    on_leg  called with each leg that has taken another's place
    """

    def __init__(self, session: Session, allow: Allow, on_leg: Callable[[Leg], None] = lambda leg: None) -> None:
        self._session = session
        self._allow = allow
        self._on_leg = on_leg
        self._signalling = session.world.signalling

    def watch(self, leg: Leg) -> None:
        """From now on, this leg's peer may ask for a transfer."""
        leg.on_transfer = self._asked

    def _asked(self, leg: Leg, asked: TransferAsked) -> None:
        session = self._session
        target = self._allow(asked.to)
        if target is None or session.legs.get(leg.party) is not leg:
            session.event("transfer.refused", speaker=leg.party, why="not allowed")
            self._signalling.refuse_transfer(asked.call, 403)
            return
        if leg.party in session.parties.dialling:
            self._signalling.refuse_transfer(asked.call, 491)
            return
        self._signalling.accept_transfer(asked.call)
        session.event("transfer.asked", speaker=leg.party, attended=asked.replaces is not None)
        session.own(self._transfer(leg, asked, target), "transfer")

    async def _transfer(self, old: Leg, asked: TransferAsked, target: AgentTarget) -> None:
        """Dial, and tell the one who asked how it goes."""
        session, headers = self._session, list(target.headers)
        if asked.replaces is not None:
            headers.append(("Replaces", asked.replaces))
        if asked.referred_by is not None:
            headers.append(("Referred-By", asked.referred_by))
        try:
            leg = await dial_party(
                session,
                old.party,
                target.to,
                target.from_,
                headers=headers,
                credentials=target.credentials,
                ring_s=target.ring_s,
                on_progress=lambda progress: self._progressed(asked, progress),
            )
        except (DialFailed, PartyBusy) as failed:
            status = failed.status if isinstance(failed, DialFailed) else 491
            session.event("transfer.failed", speaker=old.party, status=status, why=str(failed))
            self._signalling.tell_transfer(asked.call, status)
            return
        session.event("transferred", speaker=old.party)
        self._signalling.tell_transfer(asked.call, 200)
        old.hang_up("transferred")
        old.close_media()
        self.watch(leg)
        self._on_leg(leg)

    def _progressed(self, asked: TransferAsked, progress: CallProgress) -> None:
        self._signalling.tell_transfer(asked.call, progress.response.status)
