"""One party's connection over a WebSocket: a leg without SIP and RTP.

Its sound comes and goes as messages of the media plane; whoever holds the socket puts frames in
with `hear` and gets what the party is to hear through `on_sound`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from kallglot_media.audio.segment import SegmentRules
from kallglot_media.call.leg import LegEnd, LegState
from kallglot_media.call.ports import Media
from kallglot_media.media.messages import CloseLeg, Listen, OpenStreamLeg, StreamAudioIn, StreamAudioOut
from kallglot_media.modes.plan import Party
from kallglot_media.sip.events import EndedBy


@dataclass(frozen=True, slots=True)
class StreamAudio:
    """How sound is coded on a session's stream. encoding: "mulaw" or "pcm_s16le"."""

    encoding: str = "mulaw"
    rate_hz: int = 8000


TELEPHONE = StreamAudio()


class StreamLeg:
    """Answered from the start. Offers what a session wants of a `Leg`.

    on_sound   called as on_sound(leg, first_sample, µ-law bytes) when there is something to hear
    on_clear   called when what was sent and has not been played yet shall not be heard
    was_heard  whether any sound of the party ever came
    """

    provider = "websocket"
    direction = "inbound"
    sip_call: str | None = None
    to: str | None = None
    from_: str | None = None

    def __init__(self, *, session_id: str, party: Party, media: Media, call_id: str, number: int) -> None:
        self.party = party
        self.call_id = call_id
        self.leg_id = f"{session_id}/{party}" if number == 1 else f"{session_id}/{party}.{number}"
        self.state = LegState.NEW
        self.connected = False
        self.was_heard = False
        self.had_media = False
        self.since: dict[LegState, str] = {}
        self.ended: asyncio.Future[LegEnd] = asyncio.get_running_loop().create_future()
        self.on_change: Callable[[StreamLeg], None] = lambda leg: None
        self.on_sound: Callable[[StreamLeg, int, bytes], None] = _nobody_hears
        self.on_clear: Callable[[StreamLeg], None] = _nobody_clears
        self._session_id = session_id
        self._media = media

    def open(self) -> None:
        """Sound can pass from now on."""
        self._media.send(OpenStreamLeg(self._session_id, self.leg_id, self.party))
        self.had_media = True
        for state in (LegState.EARLY, LegState.ANSWERED):
            self.state = state
            self.connected = state is LegState.ANSWERED
            self.on_change(self)

    def hear(self, sound: bytes) -> None:
        """Sound of the party, µ-law at 8 kHz, in the order it was spoken."""
        if self.state is LegState.ANSWERED:
            self.was_heard = True
            self._media.send(StreamAudioIn(self.leg_id, sound))

    def say(self, event: StreamAudioOut) -> None:
        """The media plane has something for the party to hear."""
        self.on_sound(self, event.first_sample, event.sound)

    def clear(self) -> None:
        """The media plane has thrown away what waited; no sound of before follows."""
        self.on_clear(self)

    def unbind(self) -> None:
        """Nobody holds the socket now."""
        self.on_sound, self.on_clear = _nobody_hears, _nobody_clears

    def listen(self, rules: SegmentRules | None) -> None:
        """Cut this party's voice into utterances, or stop doing so."""
        self._media.send(Listen(self.leg_id, rules))

    def close_media(self) -> None:
        """No more sound passes; what is being said is flushed as a last utterance."""
        if self.had_media:
            self._media.send(CloseLeg(self.leg_id))

    def hang_up(self, reason: str | None = None, *, by: EndedBy = EndedBy.LOCAL) -> None:
        """The party is gone; nothing when it was gone already."""
        if not self.ended.done():
            self.ended.set_result(LegEnd(by, 0, reason or "hung up by us"))
            self.state = LegState.ENDED
            self.on_change(self)


def _nobody_hears(leg: StreamLeg, first_sample: int, sound: bytes) -> None:
    """What is said while a client is away is not kept."""


def _nobody_clears(leg: StreamLeg) -> None:
    """Nothing was sent."""
