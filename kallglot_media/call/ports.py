"""What a session needs of the world, as small Protocols: the shell gives the real ones, tests play scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kallglot_media.media.messages import LegOpened, OpenLeg, ToMedia
from kallglot_media.sip.settings import Credentials

SipHeaders = Sequence[tuple[str, str]]


class Signalling(Protocol):
    """The SIP agent's verbs with the clock and the sending already taken care of."""

    async def dial(
        self, *, to: str, from_: str, sdp: bytes, headers: SipHeaders = (), credentials: Credentials | None = None
    ) -> str:
        """Resolve `to` and send an INVITE; the call's name. Raises DialError when `to` cannot be resolved.

        The call's events come only after the caller had a chance to bind it, never from within.
        """
        ...

    def ring(self, call: str, *, status: int = 180, sdp: bytes | None = None) -> None: ...

    def answer(self, call: str, sdp: bytes) -> None: ...

    def reject(self, call: str, status: int, *, reason: str | None = None, headers: SipHeaders = ()) -> None: ...

    def hangup(self, call: str, *, reason: str | None = None) -> None: ...

    def answer_offer(self, call: str, sdp: bytes) -> None: ...

    def reoffer(self, call: str, sdp: bytes) -> None:
        """Offer new media inside a call; OfferAnswered or OfferFailed follows."""
        ...

    def accept_transfer(self, call: str) -> None:
        """202 to the REFER that TransferAsked told of."""
        ...

    def refuse_transfer(self, call: str, status: int) -> None: ...

    def tell_transfer(self, call: str, status: int) -> None:
        """How the call that was asked for is doing, until a final status."""
        ...

    def refer(self, call: str, to: str, *, replaces_call: str | None = None) -> None:
        """Ask the peer to call `to` instead; TransferProgress says what comes of it."""
        ...

    def press_key(self, call: str, key: str, duration_ms: int) -> None:
        """A key as INFO, for a peer that takes no telephone-events."""
        ...

    def message(self, call: str, text: str) -> None:
        """A text inside a confirmed call (MESSAGE, RFC 3428). A peer that does not take it is counted, no more."""
        ...

    def refuse_offer(self, call: str, status: int, *, headers: SipHeaders = ()) -> None: ...


class DialError(Exception):
    """The destination could not be resolved or reached. `status` is the SIP status it amounts to."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Media(Protocol):
    """The part of media.link.MediaLink that a session uses."""

    async def open_leg(self, message: OpenLeg) -> LegOpened:
        """Raises media.link.MediaError when no port is to be had."""
        ...

    def send(self, message: ToMedia) -> None: ...
