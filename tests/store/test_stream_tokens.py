"""Stream tokens: five minutes, one session."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.store import secrets, stream_tokens
from kallglot_media.store.store import Store
from kallglot_media.store.stream_tokens import LIFETIME_MS, TokenState, check, issue

SECRET = b"s" * 32
NOW_MS = 1_780_000_000_000


def test_a_token_opens_its_session_for_five_minutes() -> None:
    token = issue(SECRET, "sess_1", NOW_MS)
    assert token.startswith("kst_")
    assert check(SECRET, "sess_1", token, NOW_MS + LIFETIME_MS - 1) is TokenState.GOOD
    assert check(SECRET, "sess_1", token, NOW_MS + LIFETIME_MS) is TokenState.EXPIRED


def test_no_two_are_alike() -> None:
    assert len({issue(SECRET, "sess_1", NOW_MS) for _ in range(100)}) == 100


def test_of_another_session_or_server_it_is_invalid_even_when_expired() -> None:
    token = issue(SECRET, "sess_1", NOW_MS)
    for late_ms in (0, LIFETIME_MS):
        assert check(SECRET, "sess_2", token, NOW_MS + late_ms) is TokenState.INVALID
        assert check(b"t" * 32, "sess_1", token, NOW_MS + late_ms) is TokenState.INVALID


@pytest.mark.parametrize("at", range(4, 52))
def test_a_changed_token_is_invalid(at: int) -> None:
    token = issue(SECRET, "sess_1", NOW_MS)
    changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
    assert check(SECRET, "sess_1", changed, NOW_MS) is TokenState.INVALID


@given(some.text() | some.text().map("kst_".__add__))
def test_nonsense_is_invalid(token: str) -> None:
    assert check(SECRET, "sess_1", token, NOW_MS) is TokenState.INVALID


async def test_the_secret_is_made_once_and_shared(store: Store) -> None:
    first = await store.write(secrets.secret, secrets.STREAM_TOKENS)
    assert len(first) == 32
    assert await store.write(secrets.secret, secrets.STREAM_TOKENS) == first
    assert await store.write(secrets.secret, secrets.TOOL_CALLS) != first
    assert stream_tokens.check(first, "s", issue(first, "s", NOW_MS), NOW_MS) is TokenState.GOOD
