"""How a connection begins: who it is, which framing it speaks, whether it only listens.

A client of our own has its token in the URL. A carrier cannot put one there, so its first messages are waited for.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.websockets import WebSocket, WebSocketDisconnect

from kallglot_media.api.stream.carriers import Carrier, Start, is_carriers
from kallglot_media.api.stream.framing import BadMessage, Framing, read_object
from kallglot_media.modes.plan import Party
from kallglot_media.store import stream_tokens
from kallglot_media.store.stream_tokens import TokenState

GRACE_S = 0.25
"""So long the first message of a client is waited for before it gets the sound of who is free: it may only listen."""

SECOND_GRACE_S = 2.0
"""The same where nobody is free: a client that does not say `subscribe` by then has come too late."""

STRANGER_S = 10.0
"""Who has no token in the URL must show one within this time."""

BAD_TOKEN, NO_SESSION, IDLE, TAKEN, TOO_LARGE = 4401, 4404, 4408, 4409, 4413
NORMAL, CANNOT_USE, OVERLOADED = 1000, 1003, 1013
"""Close codes."""

_TELNYX_TOKEN = "x-telnyx-streaming-auth-token"  # noqa: S105


class Refused(Exception):
    """The connection is closed with `close_code`, after a session.error."""

    def __init__(self, close_code: int, code: str, message: str) -> None:
        super().__init__(message)
        self.close_code = close_code
        self.code = code


@dataclass(frozen=True, slots=True)
class Opening:
    """What is known of a client when it is let in.

    framing  a carrier's, or None: our own
    roles    whose sound it says it carries; None: it does not say
    listens  it only listens
    after    it has the finals up to this number
    first    the first frame of our own framing, if it came in time
    """

    framing: Framing | None
    roles: tuple[Party, ...] | None
    listens: bool
    after: int | None
    first: str | None


class Door:
    """One connection that has just been accepted. most_bytes: of a frame."""

    def __init__(self, ws: WebSocket, session_id: str, secret: bytes, now_ms: int, most_bytes: int) -> None:
        self._ws = ws
        self._session_id = session_id
        self._secret = secret
        self._now_ms = now_ms
        self._most_bytes = most_bytes

    async def open(self) -> Opening:
        """Raises Refused, WebSocketDisconnect."""
        query = self._ws.query_params
        token = query.get("token") or self._ws.headers.get(_TELNYX_TOKEN)
        if token is not None or "authorization" in self._ws.headers or "x-api-key" in self._ws.headers:
            self._check(token or "")
        roles, listens = self._roles(query.get("speaker")), query.get("listen") in ("true", "1")
        first = None
        if token is None:
            first = await self._receive(STRANGER_S)
        elif roles is None and not listens:
            first = await self._receive(GRACE_S)
        if first is not None and is_carriers(first):
            start = await self._start(first, checked=token is not None)
            return Opening(Carrier(start), (start.party,), listens=False, after=None, first=None)
        if token is None:
            self._check("")
        begins_with_subscribe = first is not None and is_subscribe(first)
        return Opening(None, roles, listens or begins_with_subscribe, self._after(query.get("after")), first)

    async def second_first(self) -> str | None:
        """The first frame of a client for whom no seat is free."""
        return await self._receive(SECOND_GRACE_S)

    def _check(self, token: str) -> None:
        state = stream_tokens.check(self._secret, self._session_id, token, self._now_ms)
        if state is TokenState.EXPIRED:
            raise Refused(BAD_TOKEN, "expired_token", "the token has expired; GET the session for a new one")
        if state is not TokenState.GOOD:
            if not token:
                what = "there is no token"
            elif token.startswith("sk_"):
                what = "this is an API key, which is never taken here"
            else:
                what = "the token is not of this session"
            raise Refused(BAD_TOKEN, "invalid_token", f"{what}; connect with ?token= and the session's stream.token")

    async def _receive(self, limit_s: float) -> str | None:
        """The next text frame, None when there is none in time."""
        try:
            async with asyncio.timeout(limit_s):
                return await receive_text(self._ws, self._most_bytes)
        except TimeoutError:
            return None
        except BadMessage:
            return ""

    async def _start(self, first: str, *, checked: bool) -> Start:
        """A carrier's start. Its token counts even when the URL had one."""
        frame: str | None = first
        async with _Patience(STRANGER_S):
            while frame is not None:
                message = read_object(frame) if frame else {}
                if message.get("event") == "start":
                    return self._started(message, checked=checked)
                if message.get("event") not in (None, "connected"):
                    break
                frame = await self._receive(STRANGER_S)
        raise Refused(BAD_TOKEN, "invalid_token", "the stream did not begin with connected and start")

    def _started(self, message: dict[str, object], *, checked: bool) -> Start:
        try:
            start = Start(message)
            if start.token is not None or not checked:
                self._check(start.token or "")
            start.coding()
            start.answer_coding()
        except BadMessage as error:
            raise Refused(CANNOT_USE, error.code, str(error)) from None
        return start

    @staticmethod
    def _roles(speaker: str | None) -> tuple[Party, ...] | None:
        if speaker is None:
            return None
        roles = {"customer": Party.CUSTOMER, "agent": Party.AGENT}
        if speaker not in roles:
            raise Refused(
                CANNOT_USE, "invalid_field_value", "speaker: is none; write speaker=customer, speaker=agent, or neither"
            )
        return (roles[speaker],)

    @staticmethod
    def _after(after: str | None) -> int | None:
        if after is None:
            return None
        if not after.isdecimal() or len(after) > 9:
            raise Refused(CANNOT_USE, "invalid_field_value", "after: is no sequence; write the last one you have")
        return int(after)


class _Patience:
    """`async with` for a whole exchange: Refused when it takes longer."""

    def __init__(self, limit_s: float) -> None:
        self._timeout = asyncio.timeout(limit_s)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, *error: object) -> None:
        try:
            await self._timeout.__aexit__(*error)  # type: ignore[arg-type]
        except TimeoutError:
            raise Refused(BAD_TOKEN, "invalid_token", "no start came in time") from None


def is_subscribe(text: str) -> bool:
    """Whether a frame of our own framing is `subscribe`."""
    try:
        return read_object(text).get("type") == "subscribe"
    except BadMessage:
        return False


async def receive_text(ws: WebSocket, most_bytes: int) -> str:
    """The next text frame. Raises BadMessage for a binary one, Refused for one too large, WebSocketDisconnect."""
    message = await ws.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code") or 1005, message.get("reason"))
    text = message.get("text")
    if text is None:
        if len(message.get("bytes") or b"") > most_bytes:
            raise _too_large(len(message["bytes"]), most_bytes)
        raise BadMessage("invalid_field_value", "the frame is binary; write JSON in text frames")
    # Characters are at most bytes: who sends more bytes than this in fewer characters meets the server's own limit.
    if len(text) > most_bytes:
        raise _too_large(len(text), most_bytes)
    return str(text)


def _too_large(size: int, most: int) -> Refused:
    return Refused(TOO_LARGE, "invalid_field_value", f"the frame has {size} bytes; write at most {most}")
