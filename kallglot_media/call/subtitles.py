"""What the agent reads while the customer speaks.

At the stream, on their phone as real-time text (RFC 4103), and there as MESSAGE (RFC 3428) when it is final.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kallglot_media.call.events import PartialTranscript
from kallglot_media.call.leg import Leg, LegState
from kallglot_media.call.session import Session
from kallglot_media.call.subtitle_line import SubtitleLine
from kallglot_media.call.turn import TranslatedText, Turn
from kallglot_media.config import mode as config
from kallglot_media.modes.plan import Party
from kallglot_media.speech.types import SpeechError


@dataclass(frozen=True, slots=True)
class SubtitleRules:
    """sip_message, real_time_text: how they are sent; original: with the customer's own words below."""

    sip_message: bool = False
    original: bool = True
    real_time_text: bool = False

    @classmethod
    def of(cls, settings: config.Subtitles) -> SubtitleRules:
        """As a mode file has them."""
        return cls(settings.sip_message, settings.original, settings.real_time_text)


NO_SUBTITLES = SubtitleRules()


class Subtitles:
    """Watches one session's turns. A phone that does not take messages costs nothing but the attempt: it is counted."""

    def __init__(self, session: Session, rules: SubtitleRules) -> None:
        self._session = session
        self._rules = rules
        self._line = SubtitleLine()
        self._told: Leg | None = None  # whose screen the line is on, or who has none

    def watch(self) -> None:
        """From now on."""
        if self._rules.sip_message or self._rules.real_time_text:
            self._session.on_turn = self._turn
        self._screen()

    @property
    def are_typed(self) -> bool:
        """Whether somebody reads words before they are final."""
        return self._screen() is not None

    def grow(self, event: PartialTranscript) -> None:
        """What the customer has said so far, translated."""
        if event.translation is not None and (screen := self._screen()) is not None:
            self._type(screen, self._line.grow(event.start_ms, event.translation.text))

    def _turn(self, turn: Turn) -> None:
        leg = self._agent()
        if turn.speaker != Party.CUSTOMER or leg is None:
            return
        if (screen := self._screen()) is not None:
            shown, original = (turn.translation.text, f"({turn.text})") if turn.translation else (turn.text, None)
            self._type(screen, self._line.finish(shown, original if self._rules.original else None))
        if self._rules.sip_message and leg.sip_call is not None:
            self._session.world.signalling.message(leg.sip_call, subtitle(turn, original=self._rules.original))

    def _type(self, screen: Leg, text: str) -> None:
        if text:
            screen.show(text)

    def _agent(self) -> Leg | None:
        leg = self._session.legs.get(Party.AGENT)
        return leg if isinstance(leg, Leg) and leg.state is LegState.ANSWERED else None

    def _screen(self) -> Leg | None:
        """The agent's phone, if it shows text. Another phone begins with an empty line; one without is said once."""
        leg = self._agent() if self._rules.real_time_text else None
        if leg is None:
            return None
        if leg is not self._told:
            self._told, self._line = leg, SubtitleLine()
            if (why := leg.why_no_text) is not None:
                self._session.event("subtitles.no_real_time_text", call_id=leg.call_id, why=why)
        return leg if leg.why_no_text is None else None


class LiveSubtitles:
    """What the customer has said so far, in the agent's language: each partial is told again with it.

    One translation at a time: while it is made, newer words replace those that wait.
    typed  who types them on the agent's phone
    """

    def __init__(self, session: Session, language: str, typed: Subtitles | None = None) -> None:
        self._session = session
        self._language = language
        self._typed = typed
        self._waiting: PartialTranscript | None = None
        self._working = False

    def watch(self) -> None:
        """From now on."""
        self._session.on_partial = self._partial
        if (typed := self._typed) is not None:
            self._session.partials_read = lambda: typed.are_typed

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
                translated = replace(event, translation=TranslatedText(self._language, made.text))
                world.bus.publish(translated)
                if self._typed is not None:
                    self._typed.grow(translated)
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
