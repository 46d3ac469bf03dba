"""What a stream has lost, by sequence number: a pause of the sender's is no loss. RFC 3550 sections 6.4.1 and A.1."""

from __future__ import annotations

from kallglot_media.rtp.jitter_stats import JitterStats
from kallglot_media.rtp.quality import Bursts

MAX_MISORDER = 100
"""So far behind a number may be late or a repeat; further off it is another stream. RFC 3550 A.1 has the name."""

_FAR_AHEAD = 100  # numbers; what is no sound comes hardly ever before its time
_MOST_PASSED_BY = 1000


class Losses:
    """Follows the numbers whose turn it is, and counts those that were not there.

    stats   counts lost, late and duplicate
    bursts  is told of each loss (RFC 3611)
    newest  the number that had its turn last, unwrapped: of the newest packet played or passed by
    """

    __slots__ = ("_bursts", "_missing", "_passed_by", "_stats", "newest")

    def __init__(self, stats: JitterStats, bursts: Bursts) -> None:
        self.newest = 0
        self._stats = stats
        self._bursts = bursts
        self._passed_by: set[int] = set()  # numbers after `newest` that were no sound
        self._missing: set[int] = set()  # numbers counted as lost, that may still come late

    def restart(self, first: int) -> None:
        """Another stream, which begins with the number `first`."""
        self._passed_by.clear()
        self._missing.clear()
        self.newest = first - 1

    def pass_by(self, sequence: int, newest_sequence: int) -> None:
        """This number was no sound, and is not missed. newest_sequence: the highest that has come with sound."""
        if self.newest < sequence < newest_sequence + _FAR_AHEAD and len(self._passed_by) < _MOST_PASSED_BY:
            self._passed_by.add(sequence)

    def came_after_its_turn(self, sequence: int) -> bool:
        """Counts it. True: it is late; False: it is a copy of one that was there."""
        if sequence <= self.newest and sequence not in self._missing:
            self._stats.duplicate += 1
            return False
        self._missing.discard(sequence)
        self._stats.late += 1
        return True

    def turn_of(self, sequence: int) -> None:
        """The packet `sequence` has its turn: those missing before it are lost."""
        missing = sequence - self.newest - 1
        if missing > 0:
            gone = set(range(max(self.newest + 1, sequence - MAX_MISORDER), sequence)) - self._passed_by
            lost = max(0, missing - sum(self.newest < n < sequence for n in self._passed_by))
            if lost:
                self._stats.lost += lost
                self._bursts.missing(sequence - lost, lost)
            self._missing = {n for n in self._missing if n > sequence - MAX_MISORDER} | gone
            self._passed_by = {n for n in self._passed_by if n > sequence}
        if sequence > self.newest:
            self.newest = sequence
