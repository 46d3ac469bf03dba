"""How far the made speech of one direction is behind, and what is done about it. No clock: `now_s` comes in.

Backlog         what the listener has still to hear, measured on the playout
LagController   backlog in, how fast to speak out: smooth, with hysteresis
"""

from __future__ import annotations

from dataclasses import dataclass

from kallglot_media.audio.stretch import FASTEST


@dataclass(frozen=True, slots=True)
class LagRules:
    """When made speech is hurried, in seconds of backlog.

    calm_s     at or below this, it is spoken at its own pace again
    hurry_s    above this, it is spoken faster
    full_s     from here on, as fast as `fastest`
    step       speed changes by at most this from one piece to the next
    condense_s above this, words that carry nothing are left out
    skip_s     above this, a clause is written down and not spoken
    """

    calm_s: float = 0.4
    hurry_s: float = 1.2
    full_s: float = 4.0
    fastest: float = FASTEST
    step: float = 0.08
    condense_s: float = 6.0
    skip_s: float = 20.0


LAG_RULES = LagRules()


class Backlog:
    """Plays that were put in line and are not over yet."""

    def __init__(self) -> None:
        self._waiting: dict[str, float] = {}
        self._sounding: tuple[str, float] | None = None

    def put(self, play_id: str, seconds: float) -> None:
        """Made speech of this length joins the listener's line."""
        self._waiting[play_id] = seconds

    def started(self, play_id: str, now_s: float) -> None:
        """Its first sample is on the wire."""
        if play_id in self._waiting:
            self._sounding = (play_id, now_s)

    def finished(self, play_id: str) -> None:
        """It was heard to its end, or thrown away."""
        self._waiting.pop(play_id, None)
        if self._sounding is not None and self._sounding[0] == play_id:
            self._sounding = None

    def seconds(self, now_s: float) -> float:
        """What is still to be heard."""
        total_s = sum(self._waiting.values())
        if self._sounding is not None:
            play_id, began_s = self._sounding
            total_s -= min(self._waiting.get(play_id, 0.0), max(0.0, now_s - began_s))
        return max(0.0, total_s)


class LagController:
    """next_speed() for each piece in turn.

    Between calm_s and hurry_s it goes on as it was, so that it does not change its mind with every word.
    """

    def __init__(self, rules: LagRules) -> None:
        self.rules = rules
        self.speed = 1.0
        self._hurries = False

    def next_speed(self, backlog_s: float) -> float:
        """How fast the next piece is to be spoken, 1.0 to rules.fastest."""
        rules = self.rules
        if backlog_s > rules.hurry_s:
            self._hurries = True
        elif backlog_s <= rules.calm_s:
            self._hurries = False
        wanted = 1.0
        if self._hurries:
            share = (backlog_s - rules.calm_s) / (rules.full_s - rules.calm_s)
            wanted = 1.0 + (rules.fastest - 1.0) * min(1.0, max(0.0, share))
        self.speed += max(-rules.step, min(rules.step, wanted - self.speed))
        return self.speed
