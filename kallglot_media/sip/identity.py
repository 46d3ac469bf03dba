"""Who calls, as the networks before us know it: P-Asserted-Identity (RFC 3325), Privacy (RFC 3323), Diversion
(RFC 5806) and History-Info (RFC 7044). All of it is only worth something from a peer that is trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from kallglot_media.sip.errors import SipError
from kallglot_media.sip.message import Request
from kallglot_media.sip.params import set_param
from kallglot_media.sip.uri import NameAddr, Uri, escape_user

MOST_ENTRIES = 10
"""Diversions and history entries that are passed on; a loop makes more."""

ANONYMOUS = NameAddr("Anonymous", Uri("sip", "anonymous", host="anonymous.invalid"))
"""RFC 3323 section 4.1.1.3."""

_PRIVATE = frozenset({"id", "user", "header", "session"})


class Tell(StrEnum):
    """What a trunk is told about a call that goes out over it."""

    ASSERTED = "p_asserted_identity"
    DIVERSION = "diversion"
    HISTORY = "history_info"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    address     the asserted identity from a trusted peer, else From
    asserted    whether a trusted peer vouches for it
    private     they do not want to be shown
    diversions  Diversion values, the latest first
    history     History-Info values, in their order
    """

    address: NameAddr
    asserted: bool = False
    private: bool = False
    diversions: tuple[NameAddr, ...] = ()
    history: tuple[str, ...] = field(default=())

    @property
    def number(self) -> str:
        """The user part: a number, a name, or "anonymous"."""
        return self.address.uri.user_text or "anonymous"


def caller_of(request: Request, *, trusted: bool) -> Caller:
    """Who sent this INVITE. RFC 3325 section 5: what a peer asserts "MUST" only be used when it is trusted."""
    privacy = {word.strip().lower() for value in request.headers.all("Privacy") for word in value.split(";")}
    from_ = request.from_
    shown = NameAddr(from_.display, from_.uri)
    private = bool(privacy & _PRIVATE) or shown.uri.host.lower().endswith("anonymous.invalid")
    if not trusted:
        return Caller(shown, private=private)
    asserted = _asserted(request)
    diversions = _addresses(request.headers.values("Diversion"))[:MOST_ENTRIES]
    history = tuple(request.headers.values("History-Info"))[:MOST_ENTRIES]
    return Caller(asserted or shown, asserted is not None, private, diversions, history)


def _asserted(request: Request) -> NameAddr | None:
    """RFC 3325 9.1: at most a SIP URI and a tel URI; the SIP one has the name with it."""
    found = _addresses(request.headers.values("P-Asserted-Identity"))
    usable = [one for one in found if one.uri.scheme in ("sip", "sips", "tel") and one.uri.user]
    return next((one for one in usable if one.uri.scheme != "tel"), usable[0] if usable else None)


def _addresses(values: Iterable[str]) -> tuple[NameAddr, ...]:
    """Those that can be read: one that cannot says nothing, and costs no call."""
    found = []
    for value in values:
        try:
            found.append(NameAddr.parse(value))
        except SipError:
            continue
    return tuple(found)


@dataclass(frozen=True, slots=True)
class OutgoingIdentity:
    """How a trunk wants to be told who calls.

    number  shown as the caller whoever calls: one that the trunk lets us use; None: the caller's own
    tell    which headers it gets
    host    the host part of addresses that are written here
    write   +E.164 → as the trunk writes numbers
    """

    host: str
    number: str | None = None
    tell: frozenset[Tell] = frozenset()
    write: Callable[[str], str] = str

    def address(self, number: str, display: str | None = None) -> NameAddr:
        """A number as a SIP address of this trunk."""
        return NameAddr(display, Uri("sip", escape_user(self.write(number)), host=self.host))


def outgoing(
    caller: Caller, called: str | None, target: str, ways: OutgoingIdentity
) -> tuple[NameAddr, list[tuple[str, str]]]:
    """From and the other headers of a call that we send on.

    called  the number that the caller dialled: it is where the call was diverted, by us; None: it is a call of ours
    target  the number that is called now
    A caller who wants not to be shown is told to a trunk only in P-Asserted-Identity, with Privacy: id.
    """
    own = ways.number or caller.number
    shown = ways.address(own, caller.address.display if ways.number is None else None)
    headers: list[tuple[str, str]] = []
    if Tell.ASSERTED in ways.tell:
        headers.append(("P-Asserted-Identity", str(shown)))
    if Tell.DIVERSION in ways.tell and called is not None:
        diverted = ways.address(called)
        headers.append(("Diversion", f"{diverted};reason=unconditional;counter=1"))
        headers += [("Diversion", str(one)) for one in caller.diversions]
    if Tell.HISTORY in ways.tell and called is not None:
        headers += _history(caller, called, target, ways)
    if caller.private:
        if Tell.ASSERTED in ways.tell:
            headers.append(("Privacy", "id"))
        return ANONYMOUS, headers
    return shown, headers


def _history(caller: Caller, called: str, target: str, ways: OutgoingIdentity) -> list[tuple[str, str]]:
    """RFC 7044 section 9.2: what came before, the number that was called if nobody wrote it down yet, and the
    target with "mp": the entry whose user it was mapped from (section 10.3)."""
    values = list(caller.history)
    last = next(iter(_addresses(values[-1:])), None)
    index = (last.param("index") if last is not None else None) or ""
    if last is None or not index or last.uri.user_text != called:
        index = f"{index}.1" if index else "1"
        values.append(str(NameAddr(None, ways.address(called).uri, set_param((), "index", index))))
    entry = NameAddr(None, ways.address(target).uri, (("index", f"{index}.1"), ("mp", index)))
    return [("History-Info", value) for value in [*values, str(entry)]]
