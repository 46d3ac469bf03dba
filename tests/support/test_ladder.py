"""A ladder that is not kept fails, whichever way it is not kept."""

from __future__ import annotations

import pytest

from kallglot_media.sip.transaction_server import InviteServer
from tests.support.ladder import make_request, play


@pytest.mark.parametrize(
    ("ladder", "complaint"),
    [
        ("0.0 -- 486", "before the end: .* went out, and no line asked for it"),
        ("0.0 -- 486\n0.0 -> 486\n1.0 == COMPLETED", "before 1.0 == COMPLETED: .* went out"),
        ("0.0 -- 486\n0.0 -> 480", "480"),
        ("0.0 -- 486\n0.1 -> 486", "0.1 -> 486"),
        ("0.0 -> 486", "nothing went out"),
        ("0.0 ^^ ACK", "told nothing"),
        ("0.0 == COMPLETED", "the state is TRYING, expected COMPLETED"),
        ("0.0 -- 200\n0.0 -> 200\n0.1 <- ACK", "the user was told .*ACK"),
        ("0.0 ?? 200", "not a ladder line"),
    ],
)
def test_a_ladder_that_is_not_kept_fails(ladder: str, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        play(InviteServer(make_request("INVITE"), reliable=False), ladder)
