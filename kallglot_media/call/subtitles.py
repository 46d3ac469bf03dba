"""Subtitles on the agent's own phone: each final translation of the customer's words as a SIP MESSAGE (RFC 3428)."""

from __future__ import annotations

from dataclasses import dataclass

from kallglot_media.call.leg import Leg, LegState
from kallglot_media.call.session import Session
from kallglot_media.call.turn import Turn
from kallglot_media.modes.plan import Party


@dataclass(frozen=True, slots=True)
class SubtitleRules:
    """sip_message: send them; original: with the customer's own words below."""

    sip_message: bool = False
    original: bool = True


NO_SUBTITLES = SubtitleRules()


class Subtitles:
    """Watches one session's turns. A phone that does not take messages costs nothing but the attempt: it is counted."""

    def __init__(self, session: Session, rules: SubtitleRules) -> None:
        self._session = session
        self._rules = rules

    def watch(self) -> None:
        """From now on."""
        if self._rules.sip_message:
            self._session.on_turn = self._turn

    def _turn(self, turn: Turn) -> None:
        leg = self._session.legs.get(Party.AGENT)
        if turn.speaker != Party.CUSTOMER or not isinstance(leg, Leg):
            return
        if leg.sip_call is not None and leg.state is LegState.ANSWERED:
            self._session.world.signalling.message(leg.sip_call, subtitle(turn, original=self._rules.original))


def subtitle(turn: Turn, *, original: bool) -> str:
    """What is shown: the translation, and the words that were said below it.

    subtitle(turn, original=True) == "Hello.\\n(Guten Tag.)"
    """
    if turn.translation is None:
        return turn.text
    return f"{turn.translation.text}\n({turn.text})" if original else turn.translation.text
