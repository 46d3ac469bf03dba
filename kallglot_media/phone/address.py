"""Whom a phone calls, and the address of its own that goes with it. What cannot be called is the user's to mend."""

from __future__ import annotations

import ipaddress
import math
import socket

from kallglot_media.errors import SetupError
from kallglot_media.sip.errors import SipError
from kallglot_media.sip.events import Peer
from kallglot_media.sip.uri import Uri

TRANSPORTS = ("udp", "tcp")
LONGEST_WAIT_S = 86_400.0


def destination_of(uri: str, transport: str) -> Peer:
    """Where a call to `uri` is sent; its host must be an IP address. Raises SetupError."""
    try:
        parsed = Uri.parse(uri)
    except SipError as wrong:
        raise SetupError(uri, f"is no SIP address: {wrong}", "write e.g. sip:echo@127.0.0.1:5060") from None
    if parsed.scheme != "sip":
        mend = "this phone calls sip: addresses, e.g. sip:echo@127.0.0.1:5060"
        raise SetupError(uri, f"is a {parsed.scheme}: address", mend)
    wanted = (parsed.param("transport") or transport).lower()
    if wanted not in TRANSPORTS:
        raise SetupError(uri, f"wants {wanted}", f"this phone has {' and '.join(TRANSPORTS)}: write ;transport=tcp")
    host = parsed.host.strip("[]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise SetupError(uri, f"has the name {host}", "write an IP address, e.g. sip:echo@127.0.0.1:5060") from None
    return Peer(wanted, host, parsed.port or 5060)


def local_towards(destination: Peer) -> str:
    """The address of this machine that leads there. Raises SetupError where none does. Nothing is sent."""
    family = socket.AF_INET6 if ":" in destination.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((destination.host, destination.port))
        except OSError as wrong:
            why = f"cannot be reached from here: {(wrong.strerror or str(wrong)).lower()}"
            raise SetupError(destination.host, why, "call an address that this machine has a way to") from None
        return str(probe.getsockname()[0])


def own_uri(user: str, host: str, port: int) -> str:
    """Our own address, as From and for others to dial. Raises SetupError for a user that no address can have."""
    uri = f"sip:{user}@{f'[{host}]' if ':' in host else host}:{port}"
    try:
        fits = Uri.parse(uri).user_text == user
    except SipError:
        fits = False
    if not fits:
        raise SetupError("--user", f"is {user!r}", "write letters, digits, dots and dashes, e.g. phone")
    return uri


def check_times(**times_s: float) -> None:
    """Each in seconds and named as its option. Raises SetupError for what is no time."""
    for name, value_s in times_s.items():
        if not math.isfinite(value_s) or not 0 <= value_s <= LONGEST_WAIT_S:
            raise SetupError(f"--{name}", f"is {value_s:g}", f"write seconds from 0 to {LONGEST_WAIT_S:g}")
