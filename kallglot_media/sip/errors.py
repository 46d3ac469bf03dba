"""What is raised when bytes are not SIP. The peer's mistake, never ours: count it by `kind` and drop or answer it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kallglot_media.sip.headers import Headers


class SipError(ValueError):
    """The bytes are not SIP; `str(error)` says what is wrong, without quoting what was dialled.

    kind     a short fixed name to count it by, such as "no_via" or "bad_uri"
    status   the response the RFC asks for: 400, 505 or 513
    method   of the request, when the bytes look like one
    headers  of the request, as far as they could be read; with these, message.error_response can answer it
    """

    def __init__(self, kind: str, why: str, *, status: int = 400) -> None:
        super().__init__(why)
        self.kind = kind
        self.status = status
        self.method: str | None = None
        self.headers: Headers | None = None
