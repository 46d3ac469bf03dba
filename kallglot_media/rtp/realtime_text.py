"""Real-time text in RTP, RFC 4103: T.140 characters with two generations of redundancy.

Text is gathered for 300 ms, each block is sent three times (once new, twice as redundancy of the packets
after it), and then the stream is silent until there is more. The clock is 1000 Hz (section 6).
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

from kallglot_media.rtp.packet import RtpPacket
from kallglot_media.rtp.red import LONGEST_OFFSET_TICKS, RedBlock, RedError, pack_red, parse_red

CLOCK_HZ = 1000
BACKSPACE = "\b"
LINE_SEPARATOR = "\u2028"
"""T.140 section 7: the preferred new line."""
BYTE_ORDER_MARK = "\ufeff"
"""T.140 section 7: begins a session, means nothing inside of one; so it keeps ways through NAT open as well."""
MISSING_TEXT = "\ufffd"
"""RFC 4103 section 5.3: stands where text was lost for good."""

GATHER_S = 0.3
"""RFC 4103 section 5.1: new text is gathered for so long and sent in one block."""
KEEP_ALIVE_S = 15.0
"""RFC 6263 section 4: not more often than this."""
RATE_WINDOW_S = 10.0
"""RFC 4103 section 6: cps is an average over any ten seconds."""
LONGEST_BLOCK_CHARS = 60
"""240 bytes of UTF-8 at most, so that a packet with its redundancy stays below any MTU."""
LONGEST_LINE_CHARS = 4000
"""What may wait to be sent: two minutes at 30 characters a second."""


@dataclass(frozen=True, slots=True)
class TextFormat:
    """What was agreed. red_payload_type: None when the peer takes no redundancy; cps: characters a second."""

    text_payload_type: int
    red_payload_type: int | None = None
    generations: int = 2
    cps: int = 30


class TextSender:
    """What is put comes out as packets, when it is time.

    dropped_chars  put and not sent, because too much was waiting
    """

    def __init__(self, form: TextFormat, *, ssrc: int, sequence: int, first_ticks: int) -> None:
        self.dropped_chars = 0
        self._form = form
        self._ssrc = ssrc
        self._sequence = sequence
        self._first_ticks = first_ticks
        self._waiting = BYTE_ORDER_MARK
        self._next_s = 0.0
        self._last_s = 0.0
        self._idle = True
        self._sent: deque[tuple[float, int]] = deque()  # when, and how many characters, in the last ten seconds
        self._older: deque[tuple[int, bytes]] = deque()
        self.agree(form)

    def agree(self, form: TextFormat) -> None:
        """Another agreement: numbers go on, so that a receiver that stays notices nothing."""
        self._form = form
        count = form.generations if form.red_payload_type is not None else 0
        kept = list(self._older)[-count:] if count else []
        self._older = deque([(0, b"")] * (count - len(kept)) + kept, maxlen=count)

    def put(self, text: str) -> None:
        """More text. What would wait too long is dropped at the end, and counted."""
        room = max(0, LONGEST_LINE_CHARS - len(self._waiting))
        self._waiting += text[:room]
        self.dropped_chars += len(text[room:])

    @property
    def drained(self) -> bool:
        """Everything was sent, as often as its redundancy has it."""
        return not self._waiting and not any(data for _, data in self._older)

    def ticks(self, now_s: float) -> int:
        """The stream's clock."""
        return self._first_ticks + round(now_s * CLOCK_HZ) & 0xFFFFFFFF

    def take(self, now_s: float) -> bytes | None:
        """The packet that is due, or None. To be asked every few ms."""
        if now_s < self._next_s:
            return None
        text = self._cut(now_s)
        if not text and not any(data for _, data in self._older):
            self._idle = True
            if self._waiting or now_s - self._last_s < KEEP_ALIVE_S:
                return None  # the rate is used up, or there is nothing to say
            text = BYTE_ORDER_MARK
        packet = self._packet(text.encode(), now_s)
        self._next_s, self._last_s, self._idle = now_s + GATHER_S, now_s, False
        return packet

    def _cut(self, now_s: float) -> str:
        """What may go now: not more than cps on average, RFC 4103 section 6."""
        while self._sent and now_s - self._sent[0][0] >= RATE_WINDOW_S:
            self._sent.popleft()
        room = int(self._form.cps * RATE_WINDOW_S) - sum(count for _, count in self._sent)
        text = self._waiting[: max(0, min(room, LONGEST_BLOCK_CHARS))]
        self._waiting = self._waiting[len(text) :]
        if text:
            self._sent.append((now_s, len(text)))
        return text

    def _packet(self, primary: bytes, now_s: float) -> bytes:
        form = self._form
        ticks = self._first_ticks + round(now_s * CLOCK_HZ)
        payload_type, payload = form.text_payload_type, primary
        if form.red_payload_type is not None:
            blocks = [_older_block(form.text_payload_type, ticks - then, data) for then, data in self._older]
            payload_type, payload = form.red_payload_type, pack_red(blocks, form.text_payload_type, primary)
            self._older.append((ticks, primary))
        # the marker tells the first packet of the session, and the first one after an idle period
        packet = RtpPacket(
            payload_type, self._sequence & 0xFFFF, ticks & 0xFFFFFFFF, self._ssrc, payload, marker=self._idle
        )
        self._sequence += 1
        return packet.serialize()


def _older_block(payload_type: int, offset_ticks: int, data: bytes) -> RedBlock:
    """An empty block has no age; one that is too old for the header (the process stood still) is left empty."""
    if not data or offset_ticks > LONGEST_OFFSET_TICKS:
        return RedBlock(payload_type, 0, b"")
    return RedBlock(payload_type, offset_ticks, data)


class TextReceiver:
    """Packets in, text out, each character once and in order.

    counters  by name: "received", "late" (came again, or after what follows), "red" (no RFC 2198),
              "payload_type", "recovered" and "lost" (packets)
    """

    def __init__(self, form: TextFormat) -> None:
        self.counters: Counter[str] = Counter()
        self._form = form
        self._next: int | None = None

    def push(self, packet: RtpPacket) -> str:
        """The new text; MISSING_TEXT where some was lost for good."""
        blocks = self._blocks(packet)
        if blocks is None:
            return ""
        self.counters["received"] += 1
        missing = 0 if self._next is None else (packet.sequence - self._next) & 0xFFFF
        if missing >= 0x8000:
            self.counters["late"] += 1
            return ""
        known = blocks if self._next is None else blocks[max(0, len(blocks) - 1 - missing) :]
        self._next = packet.sequence + 1 & 0xFFFF
        recovered = 0 if missing == 0 else len(known) - 1
        lost = missing - recovered
        self.counters["recovered"] += recovered
        self.counters["lost"] += lost
        text = b"".join(known).decode("utf-8", "replace").replace(BYTE_ORDER_MARK, "")
        return MISSING_TEXT + text if lost else text

    def _blocks(self, packet: RtpPacket) -> list[bytes] | None:
        """The text of this packet and of those before it."""
        if packet.payload_type == self._form.text_payload_type:
            return [packet.payload]
        if packet.payload_type != self._form.red_payload_type:
            self.counters["payload_type"] += 1
            return None
        try:
            blocks = parse_red(packet.payload)
        except RedError:
            self.counters["red"] += 1
            return None
        if any(block.payload_type != self._form.text_payload_type for block in blocks):
            self.counters["payload_type"] += 1
            return None
        return [block.data for block in blocks]


class TextScreen:
    """What a person sees: text after backspaces and new lines, without any control character.

    lines  the finished ones; line: the one that is being written
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.line = ""

    def show(self, text: str) -> list[str]:
        """More text; returns the lines that it finished."""
        finished = []
        for char in text.replace("\r\n", LINE_SEPARATOR):
            if char in (LINE_SEPARATOR, "\n", "\r"):
                finished.append(self.line)
                self.line = ""
            elif char == BACKSPACE:
                self.line = self.line[:-1]
            elif char.isprintable() or char == MISSING_TEXT:
                self.line += char
        self.lines += finished
        return finished

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join([*self.lines, *([self.line] if self.line else [])])
