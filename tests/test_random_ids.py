"""Identifiers: never twice, of the form their RFC asks for, object ids in the order of their making."""

from __future__ import annotations

import re

import pytest

from kallglot_media.ids import Ids
from kallglot_media.random_ids import RandomIds

MANY = 500


def test_it_is_what_the_seam_asks_for() -> None:
    ids: Ids = RandomIds()
    assert ids.branch().startswith("z9hG4bK")  # RFC 3261 section 8.1.1.7
    assert re.fullmatch(r"sess_[0-7][0-9A-HJKMNP-TV-Z]{25}", ids.object_id("sess"))


@pytest.mark.parametrize("name", ["tag", "branch", "call_id", "nonce"])
def test_none_comes_twice(name: str) -> None:
    make = getattr(RandomIds(), name)
    assert len({make() for _ in range(MANY)}) == MANY


def test_numbers_fit_their_fields() -> None:
    ids = RandomIds()
    assert all(0 <= ids.ssrc() < 2**32 and 0 <= ids.rtp_timestamp() < 2**32 for _ in range(MANY))
    assert all(0 <= ids.rtp_sequence() < 2**15 for _ in range(MANY))


def test_object_ids_sort_as_they_were_made_even_when_the_clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = [1_800_000_000_000_000_000]
    monkeypatch.setattr("kallglot_media.random_ids.time.time_ns", lambda: now_ns[0])
    ids = RandomIds()
    made = []
    for step_ms in (0, 0, 0, 5, -3000, 0, 1, 4000):
        now_ns[0] += step_ms * 1_000_000
        made.append(ids.object_id("rec"))
    assert made == sorted(set(made))


def test_an_object_id_starts_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of the ULID specification: 1469918176385 ms is 01ARYZ6S41."""
    monkeypatch.setattr("kallglot_media.random_ids.time.time_ns", lambda: 1_469_918_176_385 * 1_000_000)
    assert RandomIds().object_id("evt").startswith("evt_01ARYZ6S41")
