"""What each party of a session hears: whom, which tones and music, and what is said to it.

The media plane plays it; here is who was let through, and what nobody has heard to its end yet.
"""

from __future__ import annotations

import asyncio

from kallglot_media.call import events as e
from kallglot_media.call.changed import Changed
from kallglot_media.call.parties import Parties
from kallglot_media.call.world import EndReason, World
from kallglot_media.media import messages as m
from kallglot_media.modes.plan import SILENT, Party, Plan
from kallglot_media.speech.types import Pcm16, Speech

_SLACK_S = 5.0
"""Speech that is not reported as heard so long after it must have been is waited for no longer."""


class Sound:
    """One session's.

    is_dead  the media process is gone: nobody hears anything any more
    """

    def __init__(
        self,
        world: World,
        session_id: str,
        parties: Parties,
        changed: Changed,
        stop: asyncio.Future[tuple[EndReason, str]],
    ) -> None:
        self.is_dead = False
        self._world = world
        self._session_id = session_id
        self._legs = parties.legs
        self._changed = changed
        self._stop = stop
        self._plan = SILENT
        self._gains = m.Gains()
        self._through: set[Party] = set()
        self._open_plays: dict[str, set[str]] = {}

    # ── who hears whom ───────────────────────────────────────────────────────────

    def set_plan(self, plan: Plan, gains: m.Gains | None = None) -> None:
        """Who hears whom from the next tick on."""
        self._plan = plan
        self._gains = gains or self._gains
        self._send_plan()

    def let_through(self, talker: Party, on: bool) -> None:
        """Let the talker's own voice be heard at full level, or stop doing so."""
        (self._through.add if on else self._through.discard)(talker)
        self._send_plan()

    def forget_through(self) -> None:
        """Nobody is let through any more, as soon as there is another plan."""
        self._through.clear()

    def _send_plan(self) -> None:
        through = tuple(sorted(self._through))
        self._world.media.send(m.SetPlan(self._session_id, self._plan, self._gains, through))

    # ── what is played ───────────────────────────────────────────────────────────

    def tone(self, party: Party, name: str | None) -> None:
        """Loop a call-progress tone to a party, or stop it (None)."""
        if (leg := self._legs.get(party)) is not None:
            self._world.media.send(m.PlayTone(leg.leg_id, name) if name else m.StopTone(leg.leg_id))

    def music(self, party: Party, pcm: Pcm16 | None, rate_hz: int) -> None:
        """Loop music to a party, or stop it (None)."""
        if (leg := self._legs.get(party)) is not None:
            say = m.StopTone(leg.leg_id) if pcm is None else m.PlayLoop(leg.leg_id, pcm.tobytes(), rate_hz)
            self._world.media.send(say)

    def hush(self, party: Party) -> None:
        """Throw away what a party has not yet heard."""
        if (leg := self._legs.get(party)) is not None:
            self._world.media.send(m.Clear(leg.leg_id))
            self._world.bus.publish(e.Cleared(self._session_id, party))

    def play(self, listener: Party, play_id: str, pcm: Pcm16, rate_hz: int) -> None:
        """Put made speech into the listener's playout; nothing when they are gone."""
        leg = self._legs.get(listener)
        if leg is None or leg.ended.done() or self.is_dead or not len(pcm):
            return
        self._open_plays.setdefault(leg.leg_id, set()).add(play_id)
        self._world.media.send(m.Play(leg.leg_id, play_id, pcm.tobytes(), rate_hz))

    async def say(self, party: Party, speech: Speech | None) -> None:
        """Play an announcement to a party and wait until it was heard; returns early when the party is gone."""
        if speech is None or party not in self._legs:
            return
        play_id = self._world.ids.object_id("say")
        self.play(party, play_id, speech.pcm, speech.rate_hz)
        leg = self._legs[party]
        longest_s = len(speech.pcm) / speech.rate_hz + _SLACK_S
        await self._changed.until(
            lambda: play_id not in self._open_plays.get(leg.leg_id, ()) or leg.ended.done() or self._stop.done(),
            longest_s,
        )

    # ── what was heard ───────────────────────────────────────────────────────────

    def play_finished(self, leg_id: str, play_id: str) -> None:
        """A play is over, heard or thrown away."""
        self._open_plays.get(leg_id, set()).discard(play_id)

    def leg_closed(self, leg_id: str) -> None:
        """Nothing is played on this leg any more."""
        self._open_plays.pop(leg_id, None)

    def is_all_heard(self, leg_id: str) -> bool:
        """Whether all that was played on a leg is over."""
        return not self._open_plays.get(leg_id)
