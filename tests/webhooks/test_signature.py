"""The signature that receivers check, and the schedule of attempts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.webhooks.schedule import HOUR_MS, MINUTE_MS, next_due_ms
from kallglot_media.webhooks.signature import sign, verify

SECRET = "whsec_test"


def test_the_signature_is_what_the_documentation_says() -> None:
    """Computed with: printf '1780000000.{"a":1}' | openssl dgst -sha256 -hmac whsec_test"""
    assert sign(SECRET, 1_780_000_000, b'{"a":1}') == (
        "t=1780000000,v1=700c60b8f205399083ecf27f87a596a7e0e9e3e24df342efa14010dbfa48faae"
    )


def test_a_receiver_takes_it_for_five_minutes() -> None:
    header = sign(SECRET, 1000, b"body")
    assert verify(SECRET, header, b"body", 1300.0)
    assert verify(SECRET, header, b"body", 700.0)
    assert not verify(SECRET, header, b"body", 1300.1)
    assert not verify(SECRET, header, b"body", 699.9)


@pytest.mark.parametrize(
    ("secret", "header", "body"),
    [
        ("whsec_other", sign(SECRET, 1000, b"body"), b"body"),
        (SECRET, sign(SECRET, 1000, b"body"), b"Body"),
        (SECRET, sign(SECRET, 1000, b"body").replace("t=1000", "t=1001"), b"body"),
        (SECRET, "t=1000", b"body"),
        (SECRET, "v1=" + "0" * 64, b"body"),
        (SECRET, "t=١٠٠٠,v1=ü", b"body"),
        (SECRET, "t=" + "9" * 5000 + ",v1=0", b"body"),
    ],
)
def test_anything_else_is_refused(secret: str, header: str, body: bytes) -> None:
    assert not verify(secret, header, body, 1000.0)


@given(some.text())
def test_no_header_can_raise(header: str) -> None:
    assert not verify(SECRET, header, b"body", 1000.0)


def test_eight_attempts_in_a_day_and_seventeen_hours() -> None:
    waits = [next_due_ms(attempts, 0, chance=0.0) for attempts in range(9)]
    assert waits == [
        0,
        MINUTE_MS,
        5 * MINUTE_MS,
        30 * MINUTE_MS,
        2 * HOUR_MS,
        5 * HOUR_MS,
        10 * HOUR_MS,
        24 * HOUR_MS,
        None,
    ]


def test_jitter_only_ever_waits_longer_and_by_a_tenth_at_most() -> None:
    assert next_due_ms(1, 1000, chance=1.0) == 1000 + MINUTE_MS + MINUTE_MS // 10
    assert next_due_ms(0, 1000, chance=1.0) == 1000
