"""What the agent reads while the customer speaks: at the stream as it grows, on their phone as MESSAGE (RFC 3428)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kallglot_media.call.events import PartialTranscript
from kallglot_media.call.leg import Leg, LegState
from kallglot_media.call.session import Session
from kallglot_media.call.turn import TranslatedText, Turn
from kallglot_media.modes.plan import Party
from kallglot_media.speech.types import SpeechError


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


class LiveSubtitles:
    """What the customer has said so far, in the agent's language: each partial is told again with it.

    One translation at a time: while it is made, newer words replace those that wait.
    """

    def __init__(self, session: Session, language: str) -> None:
        self._session = session
        self._language = language
        self._waiting: PartialTranscript | None = None
        self._working = False

    def watch(self) -> None:
        """From now on."""
        self._session.on_partial = self._partial

    def _partial(self, event: PartialTranscript) -> None:
        if event.party is not Party.CUSTOMER or event.language in (None, self._language) or not event.text:
            return
        self._waiting = event
        if not self._working:
            self._working = True
            self._session.own(self._work(), "subtitles")

    async def _work(self) -> None:
        world = self._session.world
        try:
            while (event := self._waiting) is not None:
                self._waiting = None
                made = await world.engines.translate(
                    event.text, event.language or "", self._language, deadline_s=world.deadlines.translate_s
                )
                world.bus.publish(replace(event, translation=TranslatedText(self._language, made.text)))
        except SpeechError as error:
            self._session.event("subtitles.failed", why=type(error).__name__)
        finally:
            self._working = False


def subtitle(turn: Turn, *, original: bool) -> str:
    """What is shown: the translation, and the words that were said below it.

    subtitle(turn, original=True) == "Hello.\\n(Guten Tag.)"
    """
    if turn.translation is None:
        return turn.text
    return f"{turn.translation.text}\n({turn.text})" if original else turn.translation.text
