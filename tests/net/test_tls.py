"""TLS between two agents: who shows what, who is let in, and certificates that change meanwhile."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kallglot_media.net.shell import Listen
from kallglot_media.net.tls import Tls, TlsError, TlsFiles
from kallglot_media.sip.events import CallAnswered, CallEnded, CallFailed, IncomingCall, Peer
from tests.support.certificates import Authority, Pair
from tests.support.sip_end import HOST, End

pytestmark = pytest.mark.loopback
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def ours(authority: Authority) -> Pair:
    return authority.sign("sip.example.com", HOST)


def files(pair: Pair, authority: Authority | None, **more: Any) -> TlsFiles:
    return TlsFiles(pair.certificate, pair.key, server_ca=authority.ca if authority else None, **more)


def listen(tls: TlsFiles) -> Listen:
    return Listen("tls", HOST, 0, tls=tls)


def test_a_call_over_tls(run: Run, authority: Authority, ours: Pair) -> None:
    async def main() -> None:
        caller, callee = End("a"), End("b")
        await caller.start(listen(files(ours, authority)))
        [target] = await callee.start(listen(files(ours, authority)))
        caller.call(replace(target, name="sip.example.com"))
        incoming = await callee.told(IncomingCall)
        assert isinstance(incoming, IncomingCall)
        assert incoming.source.transport == "tls"
        assert incoming.request.top_via.transport == "TLS"
        assert "transport=tls" in (incoming.request.headers.first("Contact") or "")
        await caller.told(CallAnswered)
        callee.hangup(incoming.call)
        await caller.told(CallEnded)
        assert (caller.tcp().open_connections, callee.tcp().counters["connected"]) == (1, 0)

    run(main())


@pytest.mark.parametrize("name", ["pbx.example.com", "not..a..name"])
def test_a_certificate_for_somebody_else_is_not_trusted(run: Run, authority: Authority, ours: Pair, name: str) -> None:
    """RFC 5922: the certificate has to be for the domain that was dialled."""

    async def main() -> None:
        caller, callee = End("a"), End("b")
        await caller.start(listen(files(ours, authority)))
        [target] = await callee.start(listen(files(ours, authority)))
        caller.call(replace(target, name=name))
        failed = await caller.told(CallFailed)
        assert isinstance(failed, CallFailed)
        assert failed.status == 503
        assert caller.shell.counters()["tls_connect_failed"] == 1

    run(main())


def test_a_certificate_of_another_ca_is_refused_unless_told_otherwise(
    run: Run, authority: Authority, ours: Pair, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other", "Another CA")

    async def main() -> None:
        strict, lax, callee = End("a"), End("c"), End("b")
        await strict.start(listen(files(ours, other)))
        await lax.start(listen(files(ours, other, verify=False)))
        [target] = await callee.start(listen(files(ours, authority)))
        strict.call(target)
        await strict.told(CallFailed)
        lax.call(target)
        await lax.told(CallAnswered)

    run(main())


def test_mutual_tls_wants_a_certificate_of_its_ca(run: Run, authority: Authority, ours: Pair, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "other", "Another CA").sign("stranger.example.com")

    async def main() -> None:
        friend, other, callee = End("a"), End("c"), End("b")
        await friend.start(listen(files(ours, authority)))
        await other.start(listen(files(stranger, authority)))
        [target] = await callee.start(listen(files(ours, authority, client_ca=authority.ca)))
        friend.call(target)
        await friend.told(CallAnswered)
        other.call(target)
        failed = await other.told(CallFailed)
        assert isinstance(failed, CallFailed)
        assert failed.status == 503
        assert callee.agent.open_calls == 1

    run(main())


async def shown_by(peer: Peer, authority: Authority, name: str) -> set[str]:
    """The names in the certificate that a client gets which asks for `name`."""
    context = ssl.create_default_context(cafile=str(authority.ca))
    context.check_hostname = False
    _, writer = await asyncio.open_connection(peer.host, peer.port, ssl=context, server_hostname=name)
    certificate = writer.get_extra_info("peercert")
    writer.close()
    await writer.wait_closed()
    return {value for _, value in certificate["subjectAltName"]}


def test_each_name_has_its_certificate(run: Run, authority: Authority, ours: Pair) -> None:
    other = authority.sign("voice.example.org")

    async def main() -> None:
        end = End("a")
        by_name = {"Voice.example.org": (other.certificate, other.key)}
        [peer] = await end.start(listen(files(ours, authority, by_name=by_name)))
        assert await shown_by(peer, authority, "voice.example.org") == {"voice.example.org"}
        assert await shown_by(peer, authority, "sip.example.com") == {"sip.example.com", HOST}
        assert await shown_by(peer, authority, "else.example.net") == {"sip.example.com", HOST}

    run(main())


def test_a_renewed_certificate_serves_the_next_connection(
    run: Run, authority: Authority, ours: Pair, tmp_path: Path
) -> None:
    """And a broken file leaves the old one in service."""
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    new = authority.sign("new.example.com")

    def put(pair: Pair, stamp_s: int) -> None:
        shutil.copy(pair.certificate, certificate)
        shutil.copy(pair.key, key)
        os.utime(certificate, (stamp_s, stamp_s))

    async def main() -> None:
        put(ours, 1_000)
        end = End("a")
        [peer] = await end.start(listen(TlsFiles(certificate, key, server_ca=authority.ca)))
        assert "sip.example.com" in await shown_by(peer, authority, "x")
        put(new, 2_000)
        assert await shown_by(peer, authority, "x") == {"new.example.com"}
        certificate.write_text("half a fi")
        assert await shown_by(peer, authority, "x") == {"new.example.com"}
        put(ours, 3_000)
        assert "sip.example.com" in await shown_by(peer, authority, "x")
        assert end.shell.counters()["tls_certificate_loaded_again"] == 2
        assert end.shell.counters()["tls_certificate_not_loaded"] == 1

    run(main())


def test_what_is_no_tls_is_not_answered(run: Run, authority: Authority, ours: Pair) -> None:
    async def main() -> None:
        end = End("a")
        [peer] = await end.start(listen(files(ours, authority)))
        reader, writer = await asyncio.open_connection(peer.host, peer.port)
        writer.write(b"OPTIONS sip:x SIP/2.0\r\n\r\n")
        assert b"SIP" not in await reader.read()
        writer.close()
        assert end.tcp().open_connections == 0

    run(main())


def test_unusable_files_are_named(authority: Authority, ours: Pair, tmp_path: Path) -> None:
    other = authority.sign("else.example.com")
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("no certificate")
    with pytest.raises(TlsError, match=r"nowhere.pem cannot be read: no such file"):
        Tls(TlsFiles(tmp_path / "nowhere.pem", ours.key))
    with pytest.raises(TlsError, match=r"else.example.com.key is not the key of .*sip.example.com.pem"):
        Tls(TlsFiles(ours.certificate, other.key))
    with pytest.raises(TlsError, match=r"rubbish.pem or .* is no PEM file"):
        Tls(TlsFiles(rubbish, ours.key))
    with pytest.raises(TlsError, match=r"rubbish.pem holds no CA"):
        Tls(TlsFiles(ours.certificate, ours.key, client_ca=rubbish))
