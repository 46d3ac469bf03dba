"""Any datagram on any RTP port changes a counter and nothing else; `make fuzz-media` sends a million."""

from __future__ import annotations

import pytest

from tests.support.fuzz_media import Storm


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_storm_on_some_ports_is_not_heard_on_others(seed: int) -> None:
    counted = Storm(seed).run(6000)
    for name in ("malformed", "stun", "dtls", "source", "payload_type", "srtp_refused", "rtcp_malformed", "received"):
        assert counted[name] > 0, name


def test_one_leg_that_is_flooded_keeps_no_more_than_it_may() -> None:
    storm = Storm(4)
    leg = storm.plane._roster.by_slot[storm.hit[0]]
    assert leg is not None
    for n in range(5000):
        storm.plane.receive(leg.slot, storm.seeds[0][:2] + n.to_bytes(2) + (n * 160).to_bytes(4) + storm.seeds[0][8:],
                            ("192.0.2.9", 4000), storm.now_s)  # fmt: skip
    assert leg.jitter.depth_ms <= leg.jitter.rules.max_ms + 20
    assert leg.jitter.waiting <= leg.jitter.rules.max_ms // 20 + 2
    assert leg.jitter.stats.overflow > 4900
