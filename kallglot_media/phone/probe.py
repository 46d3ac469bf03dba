"""Asking a SIP server whether it takes calls: one OPTIONS, one look at the status line."""

from __future__ import annotations

import secrets
import socket

_WAIT_S = 0.5


def answers_options(host: str, port: int) -> bool:
    """Whether `host:port` answers an OPTIONS over UDP with 200 within half a second. RFC 3261 section 11."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.settimeout(_WAIT_S)
        ours.bind((host, 0))
        try:
            ours.sendto(options_request(host, port, ours.getsockname()[1], secrets.token_hex(8)), (host, port))
            return ours.recv(65_536).startswith(b"SIP/2.0 200 ")
        except OSError:
            return False


def options_request(host: str, port: int, our_port: int, mark: str) -> bytes:
    """The request; `mark` makes its branch, tag and Call-ID unique."""
    lines = (
        f"OPTIONS sip:{host}:{port} SIP/2.0",
        f"Via: SIP/2.0/UDP {host}:{our_port};branch=z9hG4bK{mark};rport",
        f"From: <sip:probe@{host}:{our_port}>;tag={mark}",
        f"To: <sip:{host}:{port}>",
        f"Call-ID: {mark}@{host}",
        "CSeq: 1 OPTIONS",
        "Max-Forwards: 70",
        "Content-Length: 0",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
