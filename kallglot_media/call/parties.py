"""The legs of one session: which one each party has now, which ones were replaced, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable

from kallglot_media.call import events as e
from kallglot_media.call.leg import Leg, LegState
from kallglot_media.call.stream_leg import StreamLeg
from kallglot_media.call.world import World, now_text
from kallglot_media.media.messages import StreamAudioOut, StreamCleared, TextShown
from kallglot_media.modes.plan import Party

AnyLeg = Leg | StreamLeg


class Parties:
    """See the module.

    legs     party -> its leg; the newest one is its voice
    every    those that were replaced, too
    dialling parties for whom a new leg is being dialled: that theirs is gone is no end
    """

    def __init__(self, world: World, session_id: str, on_change: Callable[[], None]) -> None:
        self.legs: dict[Party, AnyLeg] = {}
        self.every: list[AnyLeg] = []
        self.dialling: set[Party] = set()
        self._world = world
        self._session_id = session_id
        self._on_change = on_change
        self._closed: set[str] = set()

    def new_leg(self, party: Party) -> Leg:
        """A leg for SIP, without a port yet."""
        leg = Leg(
            session_id=self._session_id,
            party=party,
            sdp_id=self._world.ids.rtp_timestamp(),
            home=self._world.home,
            signalling=self._world.signalling,
            media=self._world.media,
            bind=self._world.bind,
            call_id=self._world.ids.object_id("call"),
            number=self._number(party),
        )
        leg.on_change = self._changed
        self._keep(leg)
        return leg

    def new_stream_leg(self, party: Party) -> StreamLeg:
        """A leg for a WebSocket, not opened yet."""
        leg = StreamLeg(
            session_id=self._session_id,
            party=party,
            media=self._world.media,
            call_id=self._world.ids.object_id("call"),
            number=self._number(party),
        )
        leg.on_change = self._changed
        self._keep(leg)
        return leg

    def forget(self, leg: AnyLeg, before: AnyLeg | None) -> None:
        """A leg never came to be; whoever had the place before has it again."""
        self.legs.pop(leg.party, None)
        if before is not None:
            self.legs[leg.party] = before

    def drop(self, party: Party, reason: str) -> bool:
        """Hang up one party on purpose: that it is gone is no end. False when it is not there."""
        leg = self.legs.pop(party, None)
        if leg is None:
            return False
        leg.hang_up(reason)
        leg.close_media()
        return True

    def party_of(self, leg_id: str) -> Party:
        """Whose leg this is. StopIteration when it is none of ours: that would be a mistake of ours."""
        return next(leg.party for leg in self.every if leg.leg_id == leg_id)

    def on_stream(self, event: StreamAudioOut | StreamCleared) -> None:
        """Sound, or the end of it, for a party that is connected by a WebSocket."""
        for leg in self.every:
            if leg.leg_id == event.leg_id and isinstance(leg, StreamLeg):
                leg.say(event) if isinstance(event, StreamAudioOut) else leg.clear()

    def text_shown(self, event: TextShown) -> None:
        """A leg's real-time text has gone."""
        for leg in self.every:
            if leg.leg_id == event.leg_id and isinstance(leg, Leg):
                leg.texts.shown = event.count

    def text_waits(self) -> bool:
        """Whether somebody is there whose text is still on its way."""
        return any(
            isinstance(leg, Leg) and leg.texts.waiting and leg.state is LegState.ANSWERED and not leg.ended.done()
            for leg in self.every
        )

    def pass_on_key(self, talker: Party, key: str) -> None:
        """What one party presses the others get too: behind an agent's number may be a menu."""
        for party, leg in self.legs.items():
            if party is not talker and isinstance(leg, Leg):
                leg.press(key)

    def connected(self, party: Party) -> bool:
        """Whether this party is there now."""
        leg = self.legs.get(party)
        return leg is not None and leg.state is LegState.ANSWERED

    def gone(self) -> AnyLeg | None:
        """The leg of a party that is gone and is not being replaced."""
        legs = (leg for party, leg in self.legs.items() if party not in self.dialling)
        return next((leg for leg in legs if leg.ended.done()), None)

    def media_closed(self, leg_id: str) -> None:
        """The media plane has given this leg back."""
        self._closed.add(leg_id)

    def all_media_closed(self) -> bool:
        """Nothing is to be heard from the media plane about our legs any more."""
        return all(leg.leg_id in self._closed for leg in self.every if leg.had_media)

    def is_media_closed(self, leg_id: str) -> bool:
        """The same for one leg."""
        return leg_id in self._closed

    def _number(self, party: Party) -> int:
        return 1 + sum(leg.party is party for leg in self.every)

    def _keep(self, leg: AnyLeg) -> None:
        self.every.append(leg)
        self.legs[leg.party] = leg

    def _changed(self, leg: AnyLeg) -> None:
        """Tell it."""
        leg.since.setdefault(leg.state, now_text())
        this = (self._session_id, leg.call_id, leg.party, leg.provider)
        if leg.state is LegState.EARLY:
            self._world.bus.publish(e.LegOpened(*this, leg.direction, leg.to, leg.from_))
        elif leg.state is LegState.ANSWERED:
            self._world.bus.publish(e.LegConnected(*this))
        elif leg.state is LegState.ENDED:
            end = leg.ended.result()
            self._world.bus.publish(e.LegDisconnected(*this, leg.connected, end.status, end.reason))
        self._on_change()
