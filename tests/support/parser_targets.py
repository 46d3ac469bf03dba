"""What is done with any bytes by those who fuzz the parsers. Nothing but SipError and SdpError may come of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

from kallglot_media.sdp.answer import make_answer
from kallglot_media.sdp.parse import parse_sdp
from kallglot_media.sdp.session import SdpSession
from kallglot_media.sdp.types import MediaAbility, NotAcceptable, SdpError, Srtp
from kallglot_media.sip.digest import read_challenges
from kallglot_media.sip.digest_scheme import parse_digest
from kallglot_media.sip.errors import SipError
from kallglot_media.sip.headers import Headers
from kallglot_media.sip.message import Response, error_response, make_response
from kallglot_media.sip.parser import parse_message
from kallglot_media.sip.redirect import targets_of
from kallglot_media.sip.stream import Framer
from kallglot_media.sip.uri import NameAddr, Uri
from kallglot_media.sip.via import Via

_ABILITY = MediaAbility(
    "192.0.2.1", 4000, ("opus", "G722", "PCMU", "PCMA"), srtp=Srtp.OPTIONAL, fingerprint="sha-256 AA"
)


def _message(data: bytes) -> None:
    try:
        message = parse_message(data)
    except SipError as wrong:
        if (answer := error_response(wrong, to_tag="t")) is not None:
            answer.serialize()
        return
    if isinstance(message, Response):
        read_challenges(message)
        targets_of(message)
    else:
        make_response(message, 200, to_tag="t").serialize()
    with contextlib.suppress(SipError):  # Latin-1 in, UTF-8 out: it may have become too long
        parse_message(message.serialize())


def _stream(data: bytes) -> None:
    framer = Framer()
    half = len(data) // 2
    with contextlib.suppress(SipError):
        for message in framer.feed(data[:half]) + framer.feed(data[half:]):
            with contextlib.suppress(SipError):
                parse_message(message, stream=True)


def _uri(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for parse in (Uri.parse, NameAddr.parse, NameAddr.of):
        with contextlib.suppress(SipError):
            written = str(parse(str(parse(text))))  # quoting leaves control characters out: once is not enough
            assert str(parse(written)) == written
            assert "\n" not in written


def _via(data: bytes) -> None:
    with contextlib.suppress(SipError):
        again = Via.parse(data.decode("utf-8", "replace"))
        assert Via.parse(str(again)) == again


def _sdp(data: bytes) -> None:
    with contextlib.suppress(SdpError):
        parse_sdp(data)
    with contextlib.suppress(SdpError, NotAcceptable):
        body, _ = make_answer(data, _ABILITY)
        parse_sdp(body)


def _session(data: bytes) -> None:
    """An offer, and the same bytes as the answer to our next one."""
    session = SdpSession(1)
    with contextlib.suppress(SdpError, NotAcceptable):
        session.answer(data, _ABILITY)
    session.offer(_ABILITY)
    with contextlib.suppress(SdpError, NotAcceptable):
        session.read_answer(data)


def _digest(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    parse_digest(text)
    value = text.replace("\r", " ").replace("\n", " ")
    read_challenges(Response(401, "", Headers([("WWW-Authenticate", value), ("Proxy-Authenticate", value)])))


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "message": _message,
    "stream": _stream,
    "uri": _uri,
    "via": _via,
    "sdp": _sdp,
    "session": _session,
    "digest": _digest,
}
