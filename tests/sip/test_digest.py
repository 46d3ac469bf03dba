"""Digest: RFC 3261 section 22, RFC 7616, RFC 8760; both roles joined in memory."""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.sip import digest
from kallglot_media.sip.digest import (
    NONCE_LIFE_S,
    DigestClient,
    DigestServer,
    Refused,
    Verified,
    read_challenges,
)
from kallglot_media.sip.digest_scheme import SUPPORTED, digest_hash, digest_response, parse_digest
from kallglot_media.sip.message import Request, Response, make_response
from kallglot_media.sip.uri import Uri
from tests.support.ids import CountingIds
from tests.support.ladder import make_request

PASSWORDS = {"alice": "wönder:land", "bob": ""}


def make_server(*algorithms: str, is_proxy: bool = False, ids: CountingIds | None = None) -> DigestServer:
    chosen = algorithms or ("SHA-256", "MD5")
    return DigestServer(ids or CountingIds(), "k.example", PASSWORDS.get, algorithms=chosen, is_proxy=is_proxy)


def refuse(server: DigestServer, request: Request, now_s: float, *, stale: bool = False) -> Response:
    headers = server.challenge_headers(now_s, stale=stale)
    return make_response(request, server.status, to_tag="t", headers=headers)


def signed(
    server: DigestServer, *, now_s: float = 0.0, username: str = "alice", password: str = "wönder:land"
) -> Request:
    request = make_request("INVITE")
    client = DigestClient(username, password)
    assert client.challenged(refuse(server, request, now_s), "cnonce")
    client.sign(request)
    return request


def edit(request: Request, old: str, new: str) -> Request:
    value = request.headers.first("Authorization") or ""
    assert old in value
    request.headers.set("Authorization", value.replace(old, new))
    return request


# -- the computation --

MUFASA = {
    "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    "nonce_count": "00000001",
    "qop": "auth",
    "method": "GET",
    "uri": "/dir/index.html",
}


@pytest.mark.parametrize(
    ("algorithm", "answer"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_rfc_7616_section_3_9_1(algorithm: str, answer: str) -> None:
    secret = digest_hash(algorithm, "Mufasa:http-auth@example.org:Circle of Life")
    assert digest_response(algorithm=algorithm, ha1=secret, body=b"", **MUFASA) == answer


def test_the_example_of_rfc_7616_section_3_9_2_with_a_hashed_name() -> None:
    """With the values of erratum 4897: those of the RFC are of a SHA-512 cut short."""
    asked = challenge_with(
        'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, charset=UTF-8, userhash=true, '
        'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS"'
    )
    client, request = DigestClient("Jäsøn Doe", "Secret, or not?"), make_request("GET")
    request.uri = cast(Uri, "/doe.json")  # of HTTP
    assert client.challenged(asked, "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v")
    client.sign(request)
    signed = parse_digest(request.headers.first("Authorization") or "") or {}
    assert signed["username"] == "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
    assert signed["userhash"] == "true"
    assert signed["response"] == "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"


def test_the_example_of_rfc_2617_and_that_of_2069() -> None:
    common = {
        "algorithm": "MD5",
        "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093",
        "cnonce": "0a4f113b",
        "nonce_count": "00000001",
        "method": "GET",
        "uri": "/dir/index.html",
        "body": b"",
    }
    secret = digest_hash("MD5", "Mufasa:testrealm@host.com:Circle Of Life")
    answer = digest_response(**common, ha1=secret, qop="auth")  # type: ignore[arg-type]
    assert answer == "6629fae49393a05397450978507c4ef1"
    secret = digest_hash("MD5", "Mufasa:testrealm@host.com:CircleOfLife")
    answer = digest_response(**common, ha1=secret, qop=None)  # type: ignore[arg-type]
    assert answer == "1949323746fe6a43ef61f9606e7febea"  # as corrected by erratum 749 of RFC 2069


@pytest.mark.parametrize("algorithm", SUPPORTED)
@pytest.mark.parametrize("session", ["", "-sess", "-SESS"])
def test_every_algorithm_and_its_session_form_differ_and_can_be_computed(algorithm: str, session: str) -> None:
    plain = digest_response(algorithm=algorithm, ha1="1", body=b"", **MUFASA)
    other = digest_response(algorithm=algorithm.lower() + session, ha1="1", body=b"", **MUFASA)
    assert (plain == other) == (not session)


# -- header values --


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ('Digest realm="a", nonce="b"', {"realm": "a", "nonce": "b"}),
        ('digest  REALM = "a, \\"b\\"" ,nonce=b,', {"realm": 'a, "b"', "nonce": "b"}),
        ('Digest a="", b=c', {"a": "", "b": "c"}),
        ("Digest ,,", {}),
        ("NoOneKnowsThisScheme opaque-data=here", None),
        ("Digest", None),
        ("", None),
        ('Digest realm="a', None),
        ('Digest realm="a" nonce="b"', None),
        ("Digest realm=a, realm=b", None),
        ("Digest realm", None),
    ],
)
def test_header_values(text: str, params: dict[str, str] | None) -> None:
    assert parse_digest(text) == params


@given(some.text(alphabet='Digest =,"\\a;\t', max_size=80))
def test_no_header_value_raises(text: str) -> None:
    parse_digest("Digest " + text)
    request = make_request("INVITE")
    request.headers.add("Authorization", "Digest " + text.replace("\n", ""))
    assert isinstance(make_server().check(request, 0.0), Refused)


# -- both ends --


@pytest.mark.parametrize("is_proxy", [False, True])
@pytest.mark.parametrize("algorithm", SUPPORTED)
def test_a_right_answer_is_verified(algorithm: str, is_proxy: bool) -> None:
    server = make_server(algorithm, is_proxy=is_proxy)
    request = signed(server)
    assert server.check(request, 1.0) == Verified("alice")
    assert ("Proxy-Authorization" in request.headers) == is_proxy


def test_an_empty_password_is_a_password() -> None:
    server = make_server()
    assert server.check(signed(server, username="bob", password=""), 0.0) == Verified("bob")


@pytest.mark.parametrize(("username", "password"), [("alice", "x"), ("nobody", ""), ("bob", "x"), ("alice", "")])
def test_wrong_passwords_and_strangers_look_alike(username: str, password: str) -> None:
    server = make_server()
    assert server.check(signed(server, username=username, password=password), 0.0) is Refused.WRONG_PASSWORD


def test_quotes_in_names_survive() -> None:
    server = DigestServer(CountingIds(), 'a "b" \\c', {'d "e" \\f': "p"}.get)
    assert server.check(signed(server, username='d "e" \\f', password="p"), 0.0) == Verified('d "e" \\f')


def test_the_method_the_uri_and_with_auth_int_the_body_are_signed() -> None:
    server = make_server()
    request = signed(server)
    request.method = "BYE"
    assert server.check(request, 0.0) is Refused.WRONG_PASSWORD
    assert server.check(edit(signed(server), "biloxi", "other"), 0.0) is Refused.WRONG_PASSWORD
    request = make_request("INVITE")
    request.body = b"v=0"
    response = refuse(server, request, 0.0)
    only_int = [(n, v.replace("auth,auth-int", "auth-int")) for n, v in response.headers if n == "WWW-Authenticate"]
    client = DigestClient("alice", "wönder:land")
    assert client.challenged(make_response(request, 401, to_tag="t", headers=only_int), "cnonce")
    client.sign(request)
    request.body = b"v=1"
    assert server.check(request, 0.0) is Refused.WRONG_PASSWORD
    request.body = b"v=0"
    assert server.check(request, 0.0) == Verified("alice")


def test_a_rewritten_request_uri_does_not_matter() -> None:
    server = make_server()
    request = signed(server)
    request.uri = Uri.parse("sip:inside@10.0.0.1")
    assert server.check(request, 0.0) == Verified("alice")


def test_a_replay_is_stale() -> None:
    server = make_server()
    request = signed(server)
    assert server.check(request, 0.0) == Verified("alice")
    assert server.check(request, 0.0) is Refused.STALE


def test_the_count_goes_up_with_every_request() -> None:
    server, client = make_server(), DigestClient("alice", "wönder:land")
    request = make_request("INVITE")
    assert client.challenged(refuse(server, request, 0.0), "cnonce")
    for _ in range(20):
        client.sign(request)
        assert server.check(request, 1.0) == Verified("alice")
    assert "nc=00000014" in (request.headers.first("Authorization") or "")
    assert len(request.headers.all("Authorization")) == 1


def test_an_old_nonce_is_stale_only_for_who_knows_the_password() -> None:
    server = make_server()
    assert server.check(signed(server), NONCE_LIFE_S) == Verified("alice")
    assert server.check(signed(server), NONCE_LIFE_S + 0.1) is Refused.STALE
    assert server.check(signed(server, password="x"), NONCE_LIFE_S + 0.1) is Refused.WRONG_PASSWORD


def test_a_client_signs_again_after_stale_and_gives_up_after_two() -> None:
    server, client = make_server(), DigestClient("alice", "wönder:land")
    request = make_request("INVITE")
    assert client.challenged(refuse(server, request, 0.0), "c1")
    client.sign(request)
    assert client.challenged(refuse(server, request, 400.0, stale=True), "c2")
    client.sign(request)
    assert server.check(request, 400.0) == Verified("alice")
    assert not client.challenged(refuse(server, request, 400.0, stale=True), "c3")


def test_a_client_does_not_repeat_a_wrong_password() -> None:
    server, client = make_server(), DigestClient("alice", "wrong")
    request = make_request("INVITE")
    assert client.challenged(refuse(server, request, 0.0), "c1")
    client.sign(request)
    assert not client.challenged(refuse(server, request, 0.0), "c2")


def test_a_nonce_that_has_worked_before_is_renewed_without_the_word_stale() -> None:
    server, client = make_server(), DigestClient("alice", "wönder:land")
    request = make_request("INVITE")
    assert client.challenged(refuse(server, request, 0.0), "c1")
    client.sign(request)
    client.sign(request)
    assert client.challenged(refuse(server, request, 400.0), "c2")


def test_a_nonce_of_another_server_or_an_edited_one_is_foreign() -> None:
    here, there_ids = make_server(), CountingIds()
    there_ids.nonce()
    there = make_server(ids=there_ids)
    assert here.check(signed(there), 0.0) is Refused.FOREIGN_NONCE
    assert here.check(edit(signed(here), 'nonce="0.', 'nonce="1.'), 0.0) is Refused.FOREIGN_NONCE
    assert here.check(edit(signed(here), 'nonce="0.', 'nonce="é.'), 0.0) is Refused.FOREIGN_NONCE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("algorithm=SHA-256", "algorithm=SHA-512-256"),
        ("algorithm=SHA-256", "algorithm=SHA-256-sess"),
        ("qop=auth", "qop=auth-conf"),
        ("nc=00000001", "nc=1"),
        ("nc=00000001", "nc=0000000g"),
        ("cnonce=", "x="),
        ("uri=", "x="),
        ("username=", "x="),
        ("response=", "x="),
        ("Digest ", "Basic "),
    ],
)
def test_credentials_that_were_not_asked_for_are_bad(old: str, new: str) -> None:
    server = make_server()
    assert server.check(edit(signed(server), old, new), 0.0) is Refused.BAD_CREDENTIALS


def test_no_credentials_or_those_for_another_realm() -> None:
    server = make_server()
    assert server.check(make_request("INVITE"), 0.0) is Refused.NO_CREDENTIALS
    assert server.check(edit(signed(server), "k.example", "other"), 0.0) is Refused.NO_CREDENTIALS


def test_a_client_of_rfc_2069_may_use_a_nonce_once() -> None:
    server, client = make_server("MD5"), DigestClient("alice", "wönder:land")
    request = make_request("INVITE")
    old = [(n, v.replace(', qop="auth,auth-int"', "")) for n, v in server.challenge_headers(0.0)]
    assert client.challenged(make_response(request, 401, to_tag="t", headers=old), "c")
    client.sign(request)
    assert "qop" not in (request.headers.first("Authorization") or "")
    assert server.check(request, 0.0) == Verified("alice")
    assert server.check(request, 0.0) is Refused.STALE


def test_used_nonces_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "MAX_USED_NONCES", 3)
    server = make_server()
    for _ in range(10):
        assert server.check(signed(server), 0.0) == Verified("alice")
    assert len(server._used) == 3


def test_a_server_without_an_algorithm_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="expected some of MD5"):
        make_server("MD4")


# -- what clients choose --


def challenge_with(*values: str, proxy: tuple[str, ...] = ()) -> Response:
    headers = [("WWW-Authenticate", value) for value in values] + [("Proxy-Authenticate", value) for value in proxy]
    return make_response(make_request("INVITE"), 401, to_tag="t", headers=headers)


def test_the_strongest_algorithm_of_a_realm_is_taken() -> None:
    response = challenge_with(
        'Digest realm="a", nonce="1", algorithm=MD5, qop="auth"',
        'Digest realm="a", nonce="2", algorithm=sha-256, qop="auth-int,auth"',
        'Digest realm="a", nonce="3", algorithm=SHA-256, qop="auth"',
        'Digest realm="a", nonce="4", algorithm=SHA3-512, qop="auth"',
        'Digest realm="b", nonce="5", opaque="o"',
        'Digest realm="c", nonce="6", qop="auth-conf"',
        'Digest realm="d"',
        "Bearer realm=e",
        proxy=('Digest realm="a", nonce="7", stale=TRUE, qop="auth-int"',),
    )
    found = {(c.is_proxy, c.realm): c for c in read_challenges(response)}
    assert {key: c.nonce for key, c in found.items()} == {(False, "a"): "2", (False, "b"): "5", (True, "a"): "7"}
    assert found[False, "a"].qop == "auth"
    assert found[False, "b"].opaque == "o"
    assert found[True, "a"].stale
    assert found[True, "a"].qop == "auth-int"


def test_several_realms_are_all_answered() -> None:
    client, request = DigestClient("alice", "p"), make_request("INVITE")
    assert client.challenged(
        challenge_with('Digest realm="a", nonce="1"', proxy=('Digest realm="b", nonce="2", opaque="x\\"y"',)), "c"
    )
    client.sign(request)
    assert (parse_digest(request.headers.first("Authorization") or "") or {})["realm"] == "a"
    assert (parse_digest(request.headers.first("Proxy-Authorization") or "") or {})["opaque"] == 'x"y'


def test_nothing_to_answer_is_said() -> None:
    assert not DigestClient("alice", "p").challenged(challenge_with("Bearer realm=e"), "c")
    assert not DigestClient("alice", "p").challenged(challenge_with(), "c")
