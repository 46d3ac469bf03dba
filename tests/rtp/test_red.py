"""RFC 2198 payloads, byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.rtp.red import RedBlock, RedError, pack_red, parse_red

ONE_OLDER = bytes.fromhex("e2 04b005 62") + b"Hello!"  # 98, 300 ticks ago, 5 bytes; then 98


def test_known_bytes() -> None:
    assert pack_red([RedBlock(98, 300, b"Hello")], 98, b"!") == ONE_OLDER
    assert parse_red(ONE_OLDER) == (RedBlock(98, 300, b"Hello"), RedBlock(98, 0, b"!"))
    assert parse_red(b"\x62") == (RedBlock(98, 0, b""),)


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "no primary block after 0 redundant ones in 0 bytes"),
        (ONE_OLDER[:3], "the block header at byte 0 is cut off at 3"),
        (ONE_OLDER[:4], "no primary block after 1 redundant ones in 4 bytes"),
        (ONE_OLDER[:7], "a redundant block of 5 bytes starts at byte 5 of 7"),
        (bytes.fromhex("e2000000") * 33, "more than 32 redundant blocks"),
    ],
)
def test_what_is_no_redundancy_says_why(payload: bytes, why: str) -> None:
    with pytest.raises(RedError, match=f"^{why}$"):
        parse_red(payload)


@pytest.mark.parametrize("block", [RedBlock(98, 1 << 14, b""), RedBlock(98, 0, bytes(1024)), RedBlock(98, -1, b"")])
def test_what_has_no_room_in_a_header_is_our_mistake(block: RedBlock) -> None:
    with pytest.raises(ValueError, match="a redundant block of"):
        pack_red([block], 98, b"")


@given(some.binary(max_size=60))
def test_any_bytes_are_blocks_or_a_red_error(payload: bytes) -> None:
    try:
        *older, primary = parse_red(payload)
    except RedError:
        return
    assert pack_red(older, primary.payload_type, primary.data) == payload
