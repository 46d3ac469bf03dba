"""One session: its clock, its legs, and who hears whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kallglot_media.media.leg import Leg
from kallglot_media.media.messages import Gains
from kallglot_media.media.rows import FRAME_SAMPLES
from kallglot_media.modes.plan import SILENT, Party, Plan


@dataclass(slots=True)
class Session:
    """
    first_tick  the plane's tick at which the session's clock stands at 0
    row         its row in the tracks; None when it is not recorded
    legs        in the order they came; a party's newest leg is its voice
    """

    session_id: str
    first_tick: int
    row: int | None = None
    plan: Plan = SILENT
    gains: Gains = field(default_factory=Gains)
    through: Sequence[Party] = ()
    legs: list[Leg] = field(default_factory=list)

    def position(self, tick: int) -> int:
        """The sample on the session's clock at which the frame of `tick` starts."""
        return (tick - self.first_tick) * FRAME_SAMPLES

    def slots(self) -> dict[Party, int]:
        """The slot of each party's newest leg."""
        return {leg.party: leg.slot for leg in self.legs}
