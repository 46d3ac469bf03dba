"""The jitter buffer: arrival fills it, the clock empties it.

insert() never returns sound and pop() never looks at a socket or a clock, so a burst of
packets cannot make a burst of speech: only the 20 ms tick moves time on.

The buffer is a line of packets sorted by RTP timestamp and a position in it, `_play`, the
timestamp of the next frame. One payload byte is one tick of the RTP clock (G.711, RFC 3551
section 4.5.14), so packets of 10 to 60 ms, even mixed, come out as frames of 20 ms.

- A hole with later packets behind it is a loss: the frame is made up and `_play` moves on.
- Nothing at all means that the packets are late or that the sender pauses: `_play` stays
  where it is and the ticks are counted in `_held`. Sound that then continues at `_play` was
  late, and the delay has grown by just that; sound that starts further on (RFC 3551
  section 4.1: timestamps run on in a pause) takes the held time off again, so that neither a
  loss nor a pause adds delay.
- After `idle_ms` of nothing the next packet starts anew at the target delay: RFC 3550
  section 6.4.1 calls the start of a talk spurt the place to change it.
- Clock skew shows as too many or too few samples in reserve; a frame is dropped or repeated
  where it is not heard, in silence.
"""

from __future__ import annotations

from bisect import insort

from kallglot_media.rtp.jitter_stats import JitterStats, Smooth
from kallglot_media.rtp.losses import MAX_MISORDER, Losses
from kallglot_media.rtp.packet import RtpPacket, unwrap
from kallglot_media.rtp.quality import Bursts
from kallglot_media.rtp.reserve import FRAME_MS, JitterRules, Reserve

__all__ = ["JitterBuffer", "JitterRules", "JitterStats", "Smooth"]

_LONGEST_PACKET_MS = 200
_FAR_AHEAD = 3000  # sequence numbers; RFC 3550 A.1 MAX_DROPOUT
_FAR_BEHIND = MAX_MISORDER


_Entry = tuple[int, int, bytes]  # timestamp, sequence (both unwrapped), payload


class JitterBuffer:
    """One packet in, exactly one frame per tick out.

    stats  counters to go on with, those of a buffer that this one follows; None: from 0
    """

    def __init__(
        self, rules: JitterRules | None = None, rate_hz: int = 8000, *, stats: JitterStats | None = None
    ) -> None:
        self.rules = rules or JitterRules()
        self.stats = stats or JitterStats()
        self.bursts = Bursts()
        self.pieces: list[tuple[int, bytes]] = []
        self.skipped = False  # between the last frame and the one before, one was dropped that was not silent
        self._frame = rate_hz * FRAME_MS // 1000  # ticks = bytes in a frame
        self._ticks_per_ms = rate_hz // 1000
        self._max = self.rules.max_ms * self._ticks_per_ms
        self._longest = _LONGEST_PACKET_MS * self._ticks_per_ms
        self._near = max(self._max, self._longest)  # further from the newest sound is another stream
        self._idle_ticks = max(1, self.rules.idle_ms // FRAME_MS) * self._frame
        self._reserve = Reserve(self.rules, rate_hz)
        self._losses = Losses(self.stats, self.bursts)
        self._line: list[_Entry] = []
        self._ssrc: int | None = None
        self._play = 0
        self._end = 0  # of the newest packet
        self._newest_sequence = 0
        self._packet_ticks = self._frame
        self._filling = True
        self._new = True  # nothing of this stream has been played yet
        self._waited_frames = 0  # while filling, since the first packet
        self._held = 0  # ticks of the clock that passed with nothing there
        self._stranger: RtpPacket | None = None

    @property
    def depth_ms(self) -> int:
        """Sound in reserve, from the next frame to the end of the newest packet."""
        return max(0, self._end - self._play) // self._ticks_per_ms if self._line else 0

    @property
    def target_ms(self) -> int:
        """The present target, between rules.min_ms and rules.max_ms."""
        return self._reserve.target_ms

    @property
    def waiting(self) -> int:
        """Packets in the line, and one that may be the first of another stream."""
        return len(self._line) + (self._stranger is not None)

    @property
    def following(self) -> bytes | None:
        """The payload that begins where the next frame does, if it is there: it may tell of what was lost before it."""
        return self._line[0][2] if self._line and self._line[0][0] == self._play else None

    # ── somebody goes on for it ──────────────────────────────────────────────────

    def smooth(self) -> Smooth | None:
        """The state, when each packet waiting is a frame that follows the one before; else None."""
        if self._filling or self._held or self._stranger is not None or self.pieces or self.skipped:
            return None
        reserve, frame, play, number = self._reserve, self._frame, self._play, self._losses.newest
        if self._ssrc is None or self._packet_ticks != frame:
            return None
        if (waits := reserve.adjust_frames != 0) and reserve.may_adjust(quiet=False):
            return None
        for timestamp, sequence, payload in self._line:
            number += 1
            if timestamp != play or sequence != number or len(payload) != frame:
                return None
            play += frame
        if play != self._end or number != self._newest_sequence:
            return None
        waiting = [payload for _, _, payload in self._line]
        return Smooth(self._ssrc, number, self._play, self._end, waiting, waits, reserve.window)

    def go_on(self, came: int, played: int, waiting: list[bytes], window: tuple[int, int, int]) -> None:
        """Since `smooth` so many packets came and frames were played, all of them in order."""
        self.stats.received += came
        self.stats.played += played
        frame = self._frame
        self._play += played * frame
        self._end += came * frame
        self._losses.newest += played
        self._newest_sequence += came
        first = self._losses.newest + 1
        self._line = [(self._play + n * frame, first + n, payload) for n, payload in enumerate(waiting)]
        if played:
            self._reserve.resume(window, frame)

    def judge(self, window: tuple[int, int, int]) -> Reserve:
        """Somebody else's window is full: what the reserve is to be now."""
        self._reserve.resume(window, self._frame)
        return self._reserve

    # ── arrival ──────────────────────────────────────────────────────────────────

    def insert(self, packet: RtpPacket) -> None:
        """Take in one packet of sound, in any order."""
        stats = self.stats
        stats.received += 1
        size = len(packet.payload)
        if not 0 < size <= self._longest:
            stats.discarded += 1
            return
        if packet.ssrc != self._ssrc:
            self._meet_stranger(packet)
            return
        end, sequence = self._end, self._newest_sequence + 1
        if (
            packet.sequence == sequence & 0xFFFF
            and packet.timestamp == end & 0xFFFFFFFF
            and self._play <= end <= self._play + self._max
            and not self._held
            and self._stranger is None
        ):  # nearly every packet: the rest of this method would come to the same, in twice the time
            self._line.append((end, sequence, packet.payload))
            self._packet_ticks = size
            self._end = end + size
            self._newest_sequence = sequence
            return
        sequence = unwrap(packet.sequence, self._newest_sequence, 16)
        timestamp = unwrap(packet.timestamp, end, 32)
        ahead = sequence - self._newest_sequence
        in_stream = -_FAR_BEHIND <= ahead <= _FAR_AHEAD and -self._near <= timestamp - self._end <= self._near
        spurt = self._held >= self._idle_ticks and 0 < ahead <= _FAR_AHEAD
        # RFC 3550 A.1: so few numbers behind it is late or a repeat. Two such in a row are no new stream to go back to.
        past = -_FAR_BEHIND <= ahead <= 0 and -_FAR_BEHIND * self._longest <= timestamp - self._end <= 0
        if not in_stream and not spurt and not past:
            self._meet_stranger(packet)
            return
        if self._stranger is not None:
            self._forget_stranger()
        if spurt:
            goes_on = sequence == self._newest_sequence + 1 and timestamp == end and not packet.marker
            self._start_at((timestamp, sequence, packet.payload))
            if goes_on:
                self._reserve.late()  # no pause, for no time has passed at the sender: the network stood still
        elif ahead > 0 and timestamp >= self._end and timestamp + size > self._play:
            self._line.append((timestamp, sequence, packet.payload))
            self._packet_ticks = size
            self._end = timestamp + size
            self._newest_sequence = sequence
            if self._end - self._play - self._held > self._max + size:
                self._push_out()
        else:
            self._insert_old((timestamp, sequence, packet.payload))

    def pass_by(self, packet: RtpPacket) -> None:
        """A packet of the same stream that is no sound (DTMF, comfort noise): its number is no loss."""
        if packet.ssrc == self._ssrc:
            self._losses.pass_by(unwrap(packet.sequence, self._newest_sequence, 16), self._newest_sequence)

    def _insert_old(self, entry: _Entry) -> None:
        """A packet that is not the newest: in time, too late, or there already."""
        timestamp, sequence, payload = entry
        if any(there[1] == sequence or there[0] == timestamp for there in self._line):
            self.stats.duplicate += 1
            return
        if self._may_start_earlier(timestamp, sequence):
            self._play = timestamp
            self._losses.newest = min(self._losses.newest, sequence - 1)
        elif timestamp + len(payload) <= self._play or sequence <= self._losses.newest:
            if self._losses.came_after_its_turn(sequence):
                self._reserve.late()
            return
        self.stats.reordered += 1
        insort(self._line, entry)
        self._end = max(self._end, timestamp + len(payload))
        self._newest_sequence = max(self._newest_sequence, sequence)

    def _may_start_earlier(self, timestamp: int, sequence: int) -> bool:
        """While filling nothing of the stream, or of the talk spurt, has been played yet."""
        if not self._filling or not self._end - self._near <= timestamp < self._play:
            return False
        return self._new or sequence > self._losses.newest

    def _push_out(self) -> None:
        """Too much in reserve: skip the oldest, holes first."""
        if self._held:
            self._take_off_held()
        enough = max(self._max, self._packet_ticks)
        while self._end - self._play > enough:
            timestamp, sequence, payload = self._line[0]
            if timestamp > self._play:
                self._play = min(timestamp, self._end - enough)
                continue
            del self._line[0]
            self.stats.overflow += 1
            self._losses.turn_of(sequence)
            self._play = max(self._play, timestamp + len(payload))

    def _meet_stranger(self, packet: RtpPacket) -> None:
        """A packet that does not fit the stream: another SSRC, or a jump of its numbers.

        One alone may be a stray or an attack, so the stream changes over at the second in a row
        (RFC 3550 A.1 does the same), or at once when nothing is being played.
        """
        first = self._stranger
        if first is not None and packet.ssrc == first.ssrc and _follows(packet, first, self._near):
            self._stranger = None
            self._resync(first)
            self.stats.received -= 1  # insert() counts it again
            self.insert(packet)
            return
        self._forget_stranger()
        behind = (self._newest_sequence - packet.sequence) & 0xFFFF
        straggler = packet.ssrc == self._ssrc and behind <= _FAR_BEHIND  # of before the pause
        if self._ssrc is None or (self._held >= self._idle_ticks and not straggler):
            self._resync(packet)
        else:
            self._stranger = packet

    def _forget_stranger(self) -> None:
        if self._stranger is not None:
            self._stranger = None
            self.stats.discarded += 1

    def _resync(self, packet: RtpPacket) -> None:
        """Go over to the stream that starts with `packet`."""
        self.stats.resyncs += self._ssrc is not None
        self._new = True
        self._ssrc = packet.ssrc
        self._losses.restart(packet.sequence)
        self._start_at((packet.timestamp, packet.sequence, packet.payload))

    def _start_at(self, entry: _Entry) -> None:
        """Fill to the target again, then play from this packet on."""
        timestamp, sequence, payload = entry
        self.stats.discarded += len(self._line)
        self._line = [entry]
        self._play = timestamp
        self._end = timestamp + len(payload)
        self._newest_sequence = sequence
        self._packet_ticks = len(payload)
        self._filling = True
        self._waited_frames = 0
        self._held = 0
        self._reserve.restart()

    # ── the clock ────────────────────────────────────────────────────────────────

    def pop(self, quiet: bool = False) -> bytes | None:
        """The 20 ms of payload whose turn it is; None means make up 20 ms.

        quiet  the last frame was silence: now a frame may be dropped or added unheard

        When packets are shorter or longer than 20 ms, a loss may leave a part of the frame:
        then pop() gives None and `pieces` holds (offset in the frame, payload) of what there is.
        """
        if self.pieces:
            self.pieces = []
        self.skipped = False
        if self._filling:
            if not self._ready():
                return None
            self._filling = self._new = False
        if self._line:
            if self._held:
                self._take_off_held()
            if self._reserve.adjust_frames and self._reserve.may_adjust(quiet) and self._stretch_or_shrink(quiet):
                return None
        if not self._line:
            self._held += self._frame
            self.stats.empty_frames += 1
            return None
        frame = self._take_frame()
        self._reserve.watch(self._end - self._play, self._packet_ticks)
        return frame

    def _ready(self) -> bool:
        """Whether the target is reached, in sound or in time since the first packet."""
        if not self._line:
            return False
        spare_ms = self._reserve.target_ms - FRAME_MS
        if self._waited_frames * FRAME_MS >= spare_ms:
            return True
        self._waited_frames += 1
        return self._end - self._play >= spare_ms * self._ticks_per_ms + self._packet_ticks

    def _take_off_held(self) -> None:
        """Sound is there again: what was held counts for the gap in front of it."""
        gap = max(0, self._line[0][0] - self._play)
        if gap < self._held:
            self._reserve.late()  # not lost, late: a larger target would have had it in time
        self._play += min(gap, self._held)
        self._held = 0

    def _stretch_or_shrink(self, quiet: bool) -> bool:
        """Bring the reserve one frame nearer to the target. True: this tick waits."""
        if self._reserve.take_step() > 0:
            self.stats.stretched_frames += 1
            return True
        self.stats.shrunk_frames += 1
        self.skipped = not quiet
        self._take_frame()
        self.pieces = []
        return False

    def _take_frame(self) -> bytes | None:
        """The frame at _play; moves _play on."""
        timestamp, sequence, payload = self._line[0]
        play = self._play
        self._play = play + self._frame
        if timestamp == play and len(payload) == self._frame:
            del self._line[0]
            self.stats.played += 1
            self._losses.turn_of(sequence)
            return payload
        return self._assemble(play)

    def _assemble(self, play: int) -> bytes | None:
        """The frame from parts of several packets; the last of them stays for the next frame."""
        frame_end = play + self._frame
        position = play
        while self._line and self._line[0][0] < frame_end:
            timestamp, sequence, payload = self._line[0]
            end = timestamp + len(payload)
            start = max(timestamp, position)
            if start < end:
                position = min(end, frame_end)
                self.pieces.append((start - play, payload[start - timestamp : position - timestamp]))
                self._losses.turn_of(sequence)
            if end > frame_end:
                break
            del self._line[0]
            if start < end:
                self.stats.played += 1
            else:
                self.stats.late += 1  # lies wholly under another packet
        if sum(len(piece) for _, piece in self.pieces) == self._frame:
            frame = b"".join(piece for _, piece in self.pieces)
            self.pieces = []
            return frame
        self.stats.concealed_frames += 1
        return None


def _follows(packet: RtpPacket, first: RtpPacket, max_ticks: int) -> bool:
    """Whether `packet` comes soon after `first` in the same stream."""
    steps = (packet.sequence - first.sequence) & 0xFFFF
    ticks = (packet.timestamp - first.timestamp) & 0xFFFFFFFF
    return 0 < steps <= 10 and 0 < ticks <= max_ticks
