"""Redundant data in RTP payloads, RFC 2198: what earlier packets said, in front of what this one says.

 0                   1                    2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3  4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
|1|   block PT  |  timestamp offset         |   block length    |   for each older block
|0|   block PT  |                                                 for the last, the primary one
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

LONGEST_OFFSET_TICKS = (1 << 14) - 1
LONGEST_BLOCK_BYTES = (1 << 10) - 1
_HEADER_BYTES = 4
_MOST_BLOCKS = 32


class RedError(ValueError):
    """The payload is not what RFC 2198 says; the message has the numbers."""


class RedBlock(NamedTuple):
    """One block. offset_ticks: how much older than the packet's timestamp; 0 for the primary one."""

    payload_type: int
    offset_ticks: int
    data: bytes


def pack_red(older: Sequence[RedBlock], payload_type: int, primary: bytes) -> bytes:
    """The payload of a packet, oldest block first. ValueError for an offset or a length that has no room: ours."""
    heads = []
    for block in older:
        if not 0 <= block.offset_ticks <= LONGEST_OFFSET_TICKS or len(block.data) > LONGEST_BLOCK_BYTES:
            raise ValueError(
                f"a redundant block of {len(block.data)} bytes, {block.offset_ticks} ticks old; "
                f"there is room for {LONGEST_BLOCK_BYTES} and {LONGEST_OFFSET_TICKS}"
            )
        word = (0x80 | block.payload_type) << 24 | block.offset_ticks << 10 | len(block.data)
        heads.append(word.to_bytes(_HEADER_BYTES, "big"))
    return b"".join([*heads, bytes([payload_type]), *(block.data for block in older), primary])


def parse_red(payload: bytes) -> tuple[RedBlock, ...]:
    """The blocks of a payload in its order; the last one is the primary. Raises RedError."""
    heads: list[tuple[int, int, int]] = []
    at = 0
    while at < len(payload) and payload[at] & 0x80:
        if len(heads) == _MOST_BLOCKS:
            raise RedError(f"more than {_MOST_BLOCKS} redundant blocks")
        if at + _HEADER_BYTES > len(payload):
            raise RedError(f"the block header at byte {at} is cut off at {len(payload)}")
        word = int.from_bytes(payload[at : at + _HEADER_BYTES], "big")
        heads.append((word >> 24 & 0x7F, word >> 10 & LONGEST_OFFSET_TICKS, word & LONGEST_BLOCK_BYTES))
        at += _HEADER_BYTES
    if at >= len(payload):
        raise RedError(f"no primary block after {len(heads)} redundant ones in {len(payload)} bytes")
    primary_type, at = payload[at], at + 1
    blocks = []
    for payload_type, offset_ticks, length in heads:
        if at + length > len(payload):
            raise RedError(f"a redundant block of {length} bytes starts at byte {at} of {len(payload)}")
        blocks.append(RedBlock(payload_type, offset_ticks, payload[at : at + length]))
        at += length
    return (*blocks, RedBlock(primary_type, 0, payload[at:]))
