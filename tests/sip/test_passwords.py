"""Passwords that are stored as their digest hash. RFC 7616 section 3.4.2."""

from __future__ import annotations

import pytest

from kallglot_media.sip.digest import DigestClient, DigestServer, Refused, Verified
from kallglot_media.sip.digest_scheme import SUPPORTED
from kallglot_media.sip.message import Request, make_response
from kallglot_media.sip.passwords import HashedPassword, Password, ha1, read_password
from tests.support.ids import CountingIds
from tests.support.ladder import make_request

HASHED = HashedPassword.of("alice", "k.example", "wönder:land")


def serve(password: Password, *algorithms: str) -> DigestServer:
    return DigestServer(CountingIds(), "k.example", {"alice": password}.get, algorithms=algorithms or SUPPORTED)


def sign(server: DigestServer, password: Password) -> Request | None:
    request, client = make_request("REGISTER"), DigestClient("alice", password)
    challenge = make_response(request, 401, to_tag="t", headers=server.challenge_headers(0.0))
    if not client.challenged(challenge, "cnonce"):
        return None
    client.sign(request)
    return request


@pytest.mark.parametrize("algorithm", SUPPORTED)
@pytest.mark.parametrize("stored", ["wönder:land", HASHED])
@pytest.mark.parametrize("known", ["wönder:land", HASHED])
def test_a_hash_does_what_the_password_does_at_both_ends(algorithm: str, stored: Password, known: Password) -> None:
    server = serve(stored, algorithm)
    request = sign(server, known)
    assert request is not None
    assert server.check(request, 0.0) == Verified("alice")


def test_a_hash_of_another_password_or_realm_is_wrong() -> None:
    for wrong in (HashedPassword.of("alice", "k.example", "x"), HashedPassword.of("alice", "other", "wönder:land")):
        server = serve(wrong)
        request = sign(server, "wönder:land")
        assert request is not None
        assert server.check(request, 0.0) is Refused.WRONG_PASSWORD


def test_a_client_takes_the_strongest_algorithm_that_it_has_a_hash_for() -> None:
    server = serve("wönder:land")
    request = sign(server, HashedPassword.of("alice", "k.example", "wönder:land", ["MD5"]))
    assert request is not None
    assert "algorithm=MD5" in (request.headers.first("Authorization") or "")
    assert server.check(request, 0.0) == Verified("alice")
    assert sign(server, HashedPassword.of("alice", "other realm", "wönder:land")) is None


def test_the_text_form_comes_back_and_hides_nothing_in_repr() -> None:
    text = str(HASHED)
    assert text.startswith("$ha1$k.example$MD5=")
    assert read_password(text) == HASHED
    odd = HashedPassword.of("alice", "a $ realm/%", "p")
    assert read_password(str(odd)) == odd
    assert read_password("$ha2$x") == "$ha2$x"
    assert HASHED.hashes["MD5"] not in repr(HASHED)
    assert ha1(HASHED, "SHA-256", "alice", "k.example") == HASHED.hashes["SHA-256"]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("$ha1$", r"a hashed password is \$ha1\$REALM"),
        ("$ha1$realm", r"a hashed password is \$ha1\$REALM"),
        ("$ha1$realm$SHA-1=00", "'SHA-1' is none of the algorithms MD5, SHA-256, SHA-512-256"),
        ("$ha1$realm$MD5=00", "the MD5 hash is not 32 lower-case hexadecimal digits"),
        ("$ha1$realm$MD5=" + "G" * 32, "the MD5 hash is not 32"),
    ],
)
def test_a_broken_hash_says_what_is_wrong(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        read_password(text)
