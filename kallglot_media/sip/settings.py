"""What a SIP agent is told once: names, limits, and who may call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from kallglot_media.sip.events import Peer
from kallglot_media.sip.guard import GuardRules
from kallglot_media.sip.message import Request
from kallglot_media.sip.passwords import Password
from kallglot_media.sip.timers import Timers
from kallglot_media.sip.uri import Uri


@dataclass(frozen=True, slots=True)
class Credentials:
    """For 401 and 407 to our own requests."""

    username: str
    password: Password = field(repr=False)


@dataclass(frozen=True, slots=True)
class Target:
    """One place that an INVITE may go to.

    uri    its Request-URI, when it is another contact of the same person; None: only another address for the same
    route  the Route headers that lead there, for another contact
    """

    peer: Peer
    uri: Uri | None = None
    route: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Accept:
    """Let the request in."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Answer with this status (300–699)."""

    status: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Ignore:
    """Say nothing, as if nobody were here. What scanners get."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """Let the request in when it is signed for `realm` by somebody whose password `lookup` knows.

    lookup      user name → password, plain or hashed for the realm; None for a stranger
    algorithms  what may be answered with; the same for all challenges of a realm
    """

    realm: str
    lookup: Callable[[str], Password | None]
    algorithms: tuple[str, ...] = ("SHA-256", "MD5")


Decision = Accept | Reject | Ignore | Challenge


@dataclass(frozen=True, slots=True)
class Reply:
    """A final response, as somebody other than the agent wants it."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    reason: str | None = None


Answerer = Callable[[Request, Peer, float], Reply]
"""(request, source, now_s) → what to answer: see AgentSettings.answerers."""


def accept_all(request: Request, source: Peer) -> Decision:
    """The policy when none is set: everybody may call. Bind to a trusted address."""
    return Accept()


def trust_all(host: str) -> bool:
    """Whom to trust when nobody is named: everybody, so that nobody is banned."""
    return True


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """user_agent   User-Agent and Server headers
    contact_user         the user part of our Contact
    timers               T1, T2, T4 and what follows from them
    max_calls            calls in both directions; an INVITE beyond it gets 503 with Retry-After
    max_transactions     server and client; a request beyond it is dropped and counted
    max_forks            dialogs that one INVITE of ours may make; more are counted and left alone
    largest_udp_bytes    a longer request for UDP goes over TCP when we have it, and back when the peer has not
    max_datagrams        waiting to be taken; what is beyond is dropped and counted
    next_target_s        a target that has said nothing for so long is passed over when there is another
    longest_ring_s       a call neither answered nor refused is given up after this
    longest_offer_s      a re-INVITE that nobody answers is refused after this
    session_expires_s    a session without a sign of life for so long is over (RFC 4028); 0: we do not ask for that
    min_session_s        shorter ones are refused with 422; at least 90 outside of tests
    reliable_media       18x with media are sent reliably to who knows 100rel (RFC 3262), not only to who requires it
    accept               asked for each request outside a dialog, by source address or by signature
    guard                limits of what sources may do, and when scanners are banned
    trusted              address → whether it is a trunk\'s, or may call freely: those are never banned
    answerers            method → who answers it outside dialogs: REGISTER → a registrar
    """

    user_agent: str = "kallglot"
    contact_user: str = "kallglot"
    timers: Timers = field(default_factory=Timers)
    max_calls: int = 500
    max_transactions: int = 20_000
    max_forks: int = 8
    largest_udp_bytes: int = 1300
    max_datagrams: int = 20_000
    next_target_s: float = 4.0
    longest_ring_s: float = 300.0
    longest_offer_s: float = 10.0
    session_expires_s: int = 1800
    min_session_s: int = 90
    reliable_media: bool = True
    accept: Callable[[Request, Peer], Decision] = accept_all
    guard: GuardRules = field(default_factory=GuardRules)
    trusted: Callable[[str], bool] = trust_all
    answerers: Mapping[str, Answerer] = field(default_factory=dict)
