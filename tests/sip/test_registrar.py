"""The registrar, step by step through RFC 3261 section 10.3, and Path (RFC 3327)."""

from __future__ import annotations

import pytest

from kallglot_media.sip.digest import DigestClient
from kallglot_media.sip.events import Peer
from kallglot_media.sip.headers import Headers
from kallglot_media.sip.message import Request, make_response
from kallglot_media.sip.passwords import HashedPassword, Password
from kallglot_media.sip.registrar import Registrar, RegistrarRules, first_hop
from kallglot_media.sip.settings import Reply
from kallglot_media.sip.uri import Uri
from tests.support.counting_ids import CountingIds

HOME, ELSEWHERE = Peer("udp", "10.0.0.7", 5060), Peer("udp", "198.51.100.7", 40_000)
USERS: dict[str, Password] = {"anna": "secret", "ben": HashedPassword.of("ben", "kallglot", "geheim"), "ann a": "x"}
RULES = RegistrarRules(domains=frozenset({"k.example"}), max_contacts=2)


def registrar(rules: RegistrarRules = RULES) -> Registrar:
    return Registrar(CountingIds(), rules, USERS.get, freely=lambda source: source.host.startswith("10."))


def register(
    *contacts: str, user: str = "anna", cseq: int = 1, call: str = "c", uri: str = "sip:k.example", **more: str
) -> Request:
    headers = Headers(
        [
            ("Via", "SIP/2.0/UDP 10.0.0.7:5060;branch=z9hG4bK1"),
            ("From", f"<sip:{user}@k.example>;tag=t"),
            ("To", f"<sip:{user}@k.example>"),
            ("Call-ID", call),
            ("CSeq", f"{cseq} REGISTER"),
            *(("Contact", contact) for contact in contacts),
            *((name.replace("_", "-"), value) for name, value in more.items()),
        ]
    )
    return Request("REGISTER", Uri.parse(uri), headers)


def contacts_of(reply: Reply) -> list[str]:
    return [value for name, value in reply.headers if name == "Contact"]


PHONE = "<sip:anna@10.0.0.7:5060>"


def test_a_phone_is_found_until_its_time_is_over() -> None:
    server = registrar()
    reply = server.receive(register(f"{PHONE};expires=100"), HOME, 0.0)
    assert (reply.status, contacts_of(reply)) == (200, [f"{PHONE};expires=100"])
    (found,) = server.contacts("anna", 99.9)
    assert (str(found.uri), found.flow) == ("sip:anna@10.0.0.7:5060", None)
    assert server.contacts("anna", 100.0) == []
    assert server.registered(99.9) == {"anna": 1}
    assert contacts_of(server.receive(register(cseq=2), HOME, 40.0)) == [f"{PHONE};expires=60"]


def test_the_highest_q_is_first_and_among_equals_the_latest() -> None:
    server = registrar(RegistrarRules())
    for number, (name, q) in enumerate([("a", "0.5"), ("b", "0.9"), ("c", "0.5"), ("d", "nan")]):
        server.receive(register(f"<sip:{name}@10.0.0.1>;q={q}", cseq=number + 1), HOME, float(number))
    assert [found.uri.user for found in server.contacts("anna", 10.0)] == ["d", "b", "c", "a"]


@pytest.mark.parametrize(
    ("request_", "status", "header"),
    [
        (register(f"{PHONE};expires=59"), 423, ("Min-Expires", "60")),
        (register(PHONE, Expires="1"), 423, ("Min-Expires", "60")),
        (register("*", Expires="1"), 400, None),
        (register("*"), 400, None),
        (register("*", PHONE, Expires="0"), 400, None),
        (register("<mailto:anna@k.example>"), 400, None),
        (register(PHONE, user="nobody"), 404, None),
        (register(PHONE, uri="sip:other.example"), 404, None),
        (register(PHONE, Require="path, gruu, outbound"), 420, ("Unsupported", "gruu, outbound")),
    ],
)
def test_what_is_refused_changes_nothing(request_: Request, status: int, header: tuple[str, str] | None) -> None:
    server = registrar()
    reply = server.receive(request_, HOME, 0.0)
    assert reply.status == status
    assert header is None or header in reply.headers
    assert server.registered(0.0) == {}
    assert server.counters == {f"register_refused_{status}": 1}


def test_all_contacts_of_a_request_or_none() -> None:
    server = registrar()
    reply = server.receive(register(PHONE, "<sip:anna@10.0.0.8>;expires=3"), HOME, 0.0)
    assert reply.status == 423
    assert server.contacts("anna", 0.0) == []


@pytest.mark.parametrize(
    ("contact", "expires", "granted"),
    [
        (PHONE, None, 3600),
        (PHONE, "120", 120),
        (f"{PHONE};expires=180", "120", 180),
        (f"{PHONE};expires=soon", None, 3600),
        (PHONE, "99999999999999999999", 7200),
    ],
)
def test_how_long_a_binding_stands(contact: str, expires: str | None, granted: int) -> None:
    asked = register(contact, Expires=expires) if expires else register(contact)
    assert contacts_of(registrar().receive(asked, HOME, 0.0)) == [f"{PHONE};expires={granted}"]


def test_refresh_removal_and_order() -> None:
    server = registrar()
    assert server.receive(register(PHONE, cseq=5), HOME, 0.0).status == 200
    assert server.receive(register(f"{PHONE};expires=0", cseq=5), HOME, 1.0).status == 500
    assert server.receive(register("*", Expires="0", cseq=5), HOME, 1.0).status == 500
    assert len(server.contacts("anna", 1.0)) == 1
    # another Call-ID is a phone that was started anew: its numbers begin again
    assert server.receive(register(f"{PHONE};expires=0", cseq=1, call="new"), HOME, 2.0).status == 200
    assert server.registered(2.0) == {}
    server.receive(register(PHONE, "<sip:anna@10.0.0.8>", cseq=6), HOME, 3.0)
    reply = server.receive(register("*", Expires="0", cseq=7), HOME, 4.0)
    assert (reply.status, contacts_of(reply), server.registered(4.0)) == (200, [], {})
    assert server.counters["unregistered"] == 2


def test_a_phone_with_a_new_address_replaces_itself_and_too_many_push_out_the_oldest() -> None:
    server = registrar()
    server.receive(register('<sip:anna@10.0.0.7:1000>;+sip.instance="<urn:uuid:1>"'), HOME, 0.0)
    server.receive(register('<sip:anna@10.0.0.7:2000>;+sip.instance="<urn:uuid:1>"', cseq=2), HOME, 1.0)
    assert [found.uri.port for found in server.contacts("anna", 1.0)] == [2000]
    server.receive(register("<sip:anna@10.0.0.8>", cseq=3), HOME, 2.0)
    server.receive(register("<sip:anna@10.0.0.9>", cseq=4), HOME, 3.0)
    assert [found.uri.host for found in server.contacts("anna", 3.0)] == ["10.0.0.9", "10.0.0.8"]
    assert server.counters["registrations_over_limit"] == 1


def signed(server: Registrar, request: Request, user: str, password: str) -> Reply:
    """What comes of it after the challenge."""
    asked = server.receive(request, ELSEWHERE, 0.0)
    assert asked.status == 401
    client = DigestClient(user, password)
    assert client.challenged(make_response(request, 401, headers=asked.headers), "cnonce")
    again = Request("REGISTER", request.uri, request.headers.copy())
    again.headers.set("CSeq", "2 REGISTER")
    client.sign(again)
    return server.receive(again, ELSEWHERE, 0.0)


@pytest.mark.parametrize(("user", "password"), [("anna", "secret"), ("ben", "geheim")])
def test_others_sign(user: str, password: str) -> None:
    server = registrar()
    assert signed(server, register(PHONE, user=user), user, password).status == 200
    (found,) = server.contacts(user, 0.0)
    assert found.flow == ELSEWHERE  # Via and source differ: a NAT


@pytest.mark.parametrize(
    ("signer", "password", "about", "status"),
    [("anna", "wrong", "anna", 401), ("anna", "secret", "ben", 403), ("mallory", "x", "anna", 401)],
)
def test_a_wrong_password_and_another_ones_name(signer: str, password: str, about: str, status: int) -> None:
    server = registrar()
    assert signed(server, register(PHONE, user=about), signer, password).status == status
    assert server.registered(0.0) == {}
    name = "register_wrong_password" if status == 401 else "register_refused_403"
    assert server.counters == {"register_no_credentials": 1, name: 1}


def test_path_is_remembered_and_told_back() -> None:
    server = registrar()
    reply = server.receive(register(PHONE, Path="<sip:p2.k.example;lr>, <sip:p1.k.example;lr>"), HOME, 0.0)
    assert [value for name, value in reply.headers if name == "Path"] == [
        "<sip:p2.k.example;lr>",
        "<sip:p1.k.example;lr>",
    ]
    (found,) = server.contacts("anna", 0.0)
    assert found.path == ("<sip:p2.k.example;lr>", "<sip:p1.k.example;lr>")
    assert found.flow is None
    assert str(first_hop(found)) == "sip:p2.k.example;lr"


def test_a_phone_on_tcp_is_called_over_its_connection() -> None:
    server, flow = registrar(), Peer("tcp", "10.0.0.7", 33_000)
    server.receive(register("<sip:anna@10.0.0.7:5060;transport=tcp>"), flow, 0.0)
    (found,) = server.contacts("anna", 0.0)
    assert found.flow == flow
    assert str(first_hop(found)) == "sip:anna@10.0.0.7:5060;transport=tcp"


def test_escaped_names_are_one_user() -> None:
    server = registrar()
    assert server.receive(register("<sip:x@10.0.0.7>", user="ann%20a"), HOME, 0.0).status == 200
    assert server.knows("ann a")
    assert len(server.contacts("ann a", 0.0)) == 1


def test_bindings_survive_a_restart_but_connections_do_not() -> None:
    server = registrar()
    server.receive(register(f"{PHONE};expires=100;q=0.5", Path="<sip:p.k.example;lr>"), HOME, 1000.0)
    server.receive(register("<sip:ben@10.0.0.9>", user="ben"), Peer("tcp", "10.0.0.9", 3000), 1000.0)
    saved = server.to_json(1040.0, 5000.0)
    again = registrar()
    again.from_json(saved, 3.0, 5010.0)
    (found,) = again.contacts("anna", 3.0)
    assert (found.q, found.path, found.expires_at_s) == (0.5, ("<sip:p.k.example;lr>",), 53.0)
    assert again.registered(3.0) == {"anna": 1}
    late = registrar()
    late.from_json(saved, 3.0, 5061.0)
    assert late.registered(3.0) == {}
    assert again.receive(register(PHONE, cseq=1), HOME, 4.0).status == 500
