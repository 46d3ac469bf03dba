"""What a receiver reports about a source: RFC 3550 appendices A.1 (sequence), A.3 (loss), A.8 (jitter)."""

from __future__ import annotations

from kallglot_media.rtp.rtcp import ReportBlock

_MIN_SEQUENTIAL = 2
_MAX_DROPOUT = 3000
_MAX_MISORDER = 100
_SEQUENCES = 1 << 16
_NO_BAD = _SEQUENCES + 1  # no sequence number is this


class ReceiverStats:
    """One source. push() every packet, sound or not, in order of arrival.

    received   packets counted as valid
    too_wild   dropped: a jump that no second packet confirmed, or the source's first packet
    """

    __slots__ = (
        "_bad_sequence",
        "_base",
        "_cycles",
        "_expected_before",
        "_jitter_16",
        "_max",
        "_probation",
        "_received_before",
        "_transit",
        "received",
        "ssrc",
        "too_wild",
    )

    def __init__(self, ssrc: int, first_sequence: int) -> None:
        """first_sequence: of the packet that made the source known; push() it as well."""
        self.ssrc = ssrc
        self.too_wild = 0
        self.received = self._received_before = self._expected_before = 0
        self._restart(first_sequence)
        self._max = (first_sequence - 1) & 0xFFFF
        self._probation = _MIN_SEQUENTIAL
        self._jitter_16 = 0  # 16 times the jitter, as A.8 keeps it
        self._transit: int | None = None

    @property
    def valid(self) -> bool:
        """Whether two packets came in sequence: only then is it a source, not a stray."""
        return self._probation == 0

    @property
    def jitter_ticks(self) -> int:
        """Interarrival jitter, in ticks of the RTP clock."""
        return self._jitter_16 >> 4

    @property
    def highest_sequence(self) -> int:
        """Extended with the cycles, as a report says it."""
        return self._cycles + self._max

    @property
    def expected(self) -> int:
        """Packets that the sequence numbers promise."""
        return self.highest_sequence - self._base + 1

    @property
    def lost(self) -> int:
        """expected - received; negative when there were duplicates."""
        return self.expected - self.received

    def push(self, sequence: int, rtp_timestamp: int, arrival_ticks: int) -> bool:
        """One packet, and when it came on a clock that runs at the RTP clock's rate. False: not counted."""
        if sequence == self._max + 1 and not self._probation:  # nearly always; the rule below says the same
            self._max = sequence
            self.received += 1
        elif not self._update_sequence(sequence):
            self.too_wild += 1
            return False
        transit = (arrival_ticks - rtp_timestamp) & 0xFFFFFFFF
        if self._transit is not None:
            difference = (transit - self._transit) & 0xFFFFFFFF
            if difference > 0x7FFFFFFF:
                difference = 0x100000000 - difference
            self._jitter_16 += difference - (self._jitter_16 + 8 >> 4)
        self._transit = transit
        return True

    def books(self, last_sequence: int) -> tuple[int, int] | None:
        """Transit and 16 times the jitter, when all is regular and `last_sequence` was the highest; else None."""
        if self._probation or self._max != last_sequence or self._transit is None:
            return None
        return self._transit, self._jitter_16

    def go_on(self, came: int, transit: int, jitter_16: int) -> None:
        """So many packets came in order, their numbers without a wrap; somebody else has kept the books."""
        self._max += came
        self.received += came
        self._transit, self._jitter_16 = transit, jitter_16

    def report(self, last_sr: int = 0, delay_since_sr: int = 0) -> ReportBlock:
        """The block for the next SR or RR; fraction_lost is since the last call. Appendix A.3."""
        expected, received = self.expected, self.received
        expected_now = expected - self._expected_before
        lost_now = expected_now - (received - self._received_before)
        self._expected_before, self._received_before = expected, received
        fraction = min(255, (lost_now << 8) // expected_now) if expected_now > 0 and lost_now > 0 else 0
        return ReportBlock(
            self.ssrc, fraction, expected - received, self.highest_sequence, self.jitter_ticks, last_sr, delay_since_sr
        )

    def _restart(self, sequence: int) -> None:
        """`init_seq`"""
        self._base = self._max = sequence
        self._bad_sequence = _NO_BAD
        self._cycles = 0
        self.received = self._received_before = self._expected_before = 0

    def _update_sequence(self, sequence: int) -> bool:
        """`update_seq`"""
        ahead = (sequence - self._max) & 0xFFFF
        if self._probation:
            # "Source is not valid until MIN_SEQUENTIAL packets with sequential sequence numbers have been received."
            self._probation = self._probation - 1 if ahead == 1 else _MIN_SEQUENTIAL - 1
            self._max = sequence
            if self._probation:
                return False
            self._restart(sequence)
        elif ahead < _MAX_DROPOUT:
            if sequence < self._max:
                self._cycles += _SEQUENCES
            self._max = sequence
        elif ahead <= _SEQUENCES - _MAX_MISORDER:
            if sequence != self._bad_sequence:
                self._bad_sequence = (sequence + 1) & 0xFFFF
                return False
            self._restart(sequence)  # "Two sequential packets -- assume that the other side restarted"
        self.received += 1
        return True
