"""Which message belongs to which transaction. RFC 3261 sections 17.1.3, 17.2.3, 8.2.2.2 and 9.2.

A key is text, so that it can be logged and compared; what it is made of is nobody's business but this file's.
"""

from __future__ import annotations

from kallglot_media.sip.message import Request, Response
from kallglot_media.sip.params import find_param
from kallglot_media.sip.via import Via

_NOT_THE_PEERS = frozenset({"received", "rport"})


def client_key(message: Request | Response) -> str:
    """17.1.3: the branch of the top Via, and the method of CSeq (CANCEL shares the branch of its INVITE)."""
    return f"c|{find_param(message.top_via.params, 'branch')}|{message.cseq.method}"


def server_key(request: Request, method: str | None = None) -> str:
    """17.2.3: branch and sent-by of the top Via, and the method; an ACK has the key of its INVITE.

    method  another than the request's: "INVITE" finds what a CANCEL is aimed at

    Without a branch that begins with the cookie, the peer is an RFC 2543 one and everything else is compared.
    To tags are not in the key of an INVITE or ACK, for the ACK has the one our response brought: the layer
    compares them.
    """
    method = method or request.method
    if method == "ACK":
        method = "INVITE"
    via = request.top_via
    branch = via.unique_branch
    if branch is not None:
        return f"s|{branch}|{via.host.lower()}:{via.port or ''}|{method}"
    tags = f"{request.from_.tag}|{'' if method == 'INVITE' else request.to.tag}"
    return f"2543|{request.uri}|{tags}|{request.call_id}|{request.cseq.number}|{method}|{_as_sent(via)}"


def is_2543(key: str) -> bool:
    """True when the peer's Via had no branch to tell transactions apart by."""
    return key.startswith("2543|")


def merge_key(request: Request) -> str | None:
    """8.2.2.2: the same in all copies of one request that came over different paths; None inside a dialog."""
    if request.to.tag is not None:
        return None
    return f"{request.call_id}|{request.cseq.number}|{request.cseq.method}|{request.from_.tag}"


def _as_sent(via: Via) -> str:
    """The Via as the peer wrote it, without what mark_received added."""
    return str(Via(via.transport, via.host, via.port, tuple(p for p in via.params if p[0] not in _NOT_THE_PEERS)))
