"""Dialling one party of a session, so that it takes the place of whoever stood there before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from kallglot_media.call.leg import Leg
from kallglot_media.call.ports import DialError, SipHeaders
from kallglot_media.call.session import Session
from kallglot_media.media.link import MediaError
from kallglot_media.modes.plan import Party
from kallglot_media.sip.events import CallFailed, CallProgress
from kallglot_media.sip.settings import Credentials

NO_ANSWER = 408


class DialFailed(Exception):
    """The party could not be had. status: the SIP status that says why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason


class PartyBusy(Exception):
    """The party's place is taken, or is being taken; the message says by what."""


async def dial_party(
    session: Session,
    party: Party,
    to: str,
    from_: str,
    *,
    headers: SipHeaders = (),
    credentials: Credentials | None = None,
    ring_s: float,
    on_progress: Callable[[CallProgress], None] | None = None,
) -> Leg:
    """Dial, and wait until it is answered; meanwhile the other party hears it ring.

    Whoever had the place before has it again when this comes to nothing. Raises DialFailed, PartyBusy.
    """
    parties = session.parties
    if party in parties.dialling:
        raise PartyBusy(f"the {party} is being dialled already")
    before = parties.legs.get(party)
    leg = session.new_leg(party)
    if on_progress is not None:
        leg.on_progress = on_progress
    parties.dialling.add(party)
    session.sound.tone(other(party), "ringback")
    try:
        await _reach(session, leg, to, from_, headers, credentials, ring_s)
    except BaseException as error:
        leg.hang_up(str(error))
        leg.close_media()
        parties.forget(leg, before)
        raise
    finally:
        parties.dialling.discard(party)
        session.sound.tone(other(party), None)
        session.look_again()
    session.interpreting.listen_to(party)
    return leg


async def transfer_party(
    session: Session,
    party: Party,
    to: str,
    from_: str,
    *,
    headers: SipHeaders = (),
    credentials: Credentials | None = None,
    ring_s: float,
) -> Leg:
    """Dial somebody else for a party, and drop the one that was there once the new one has answered."""
    before = session.legs.get(party)
    leg = await dial_party(session, party, to, from_, headers=headers, credentials=credentials, ring_s=ring_s)
    if before is not None:
        before.hang_up("transferred")
        before.close_media()
    return leg


async def _reach(
    session: Session,
    leg: Leg,
    to: str,
    from_: str,
    headers: SipHeaders,
    credentials: Credentials | None,
    ring_s: float,
) -> None:
    try:
        await leg.open()
        await leg.dial(to, from_, headers=headers, credentials=credentials)
    except MediaError as error:
        raise DialFailed(503, str(error)) from None
    except DialError as error:
        raise DialFailed(error.status, str(error)) from None
    waiting: set[asyncio.Future[Any]] = {leg.outcome, session.stop}
    await asyncio.wait(waiting, timeout=ring_s, return_when=asyncio.FIRST_COMPLETED)
    if not leg.outcome.done():
        if session.stop.done():
            raise DialFailed(487, "the session was ended")
        raise DialFailed(NO_ANSWER, f"no answer within {ring_s:g} s")
    outcome = leg.outcome.result()
    if isinstance(outcome, CallFailed):
        raise DialFailed(outcome.status, outcome.reason)


def other(party: Party) -> Party:
    """The one that this party talks with."""
    return Party.CUSTOMER if party is Party.AGENT else Party.AGENT
