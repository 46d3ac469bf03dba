"""Sending a challenged request again with credentials, RFC 3261 section 22.2."""

from __future__ import annotations

from collections.abc import Callable

from kallglot_media.sip.digest import DigestClient
from kallglot_media.sip.message import Request, Response
from kallglot_media.sip.settings import Credentials

_MOST_SIGNED = 4
"""A proxy and the far end may each ask once, and each find its nonce stale once."""


class Signer:
    """The credentials of one call. Without any, nothing can be signed.

    nonce  where client nonces come from (Ids.nonce)
    """

    def __init__(self, credentials: Credentials | None, nonce: Callable[[], str]) -> None:
        self._client = DigestClient(credentials.username, credentials.password) if credentials else None
        self._nonce = nonce
        self._signed = 0

    def begin(self) -> None:
        """A new request: what was signed before it does not count against it."""
        self._signed = 0

    def can_answer(self, response: Response) -> bool:
        """Whether to send again: not when what we have was refused already."""
        if response.status not in (401, 407) or self._client is None or self._signed >= _MOST_SIGNED:
            return False
        return self._client.challenged(response, self._nonce())

    def again(self, request: Request, cseq: int) -> Request:
        """The same request signed: "the UAC … MUST increment the CSeq header field value". Its Via is for others."""
        self._signed += 1
        signed = Request(request.method, request.uri, request.headers.copy(), request.body)
        signed.headers.set("CSeq", f"{cseq} {request.method}")
        self.sign(signed)
        return signed

    def sign(self, request: Request) -> None:
        """With what was asked for before in this call, if anything was."""
        if self._client is not None:
            self._client.sign(request)
