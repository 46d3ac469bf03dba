"""Who is listened to: limits for each source, a list of banned scanners, and what an INVITE flood is told.

Trusted sources (trunks, networks that may call freely) are never banned and never slowed down by what others do: a
scanner that writes a trunk's address into its datagrams cannot lock the trunk out. Of them only the rate of new calls
is limited. All others have a bucket of new requests each, and one together. What is refused here costs no transaction.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from kallglot_media.sip.events import Peer
from kallglot_media.sip.message import Request, Response, make_response

SCANNERS = (
    *("friendly-scanner", "friendly-request", "sipvicious", "sundayddr", "sipcli", "sip-scan", "sipsscuser"),
    *("vaxsipuseragent", "pplsip", "iwar", "smap", "siparmyknife"),
)
"""What well-known scanners call themselves, in lower case."""

_SURE_LETTERS = 10
"""A name as long as this is no part of a person's: it counts in From too."""
_TRUST_REMEMBERED_S = 30.0
_RETRY_AFTER_S = "5"


@dataclass(frozen=True, slots=True)
class GuardRules:
    """What a source may do. Rates are in 1/s; a burst is what a source that was silent may send at once.

    messages_per_s       anything at all, from one stranger; more is not even read
    requests_per_s       new requests outside calls, from one stranger
    strangers_per_s      the same, from all strangers together
    invites_per_s        new calls, from anybody; 0: no limit
    errors_per_s         answers to messages that cannot be read, to one source, trusted or not
    strikes              401, 403, 404, 407 and unreadable messages within `strikes_s` that get a stranger banned
    ban_s                how long a banned source is not listened to
    scanners             parts of User-Agent (long ones: of From), in lower case, that get a stranger banned at once
    most_sources         strangers that are remembered
    """

    messages_per_s: float = 500.0
    requests_per_s: float = 20.0
    strangers_per_s: float = 200.0
    invites_per_s: float = 0.0
    errors_per_s: float = 1.0
    burst_s: float = 3.0
    strikes: int = 20
    strikes_s: float = 60.0
    ban_s: float = 600.0
    scanners: tuple[str, ...] = SCANNERS
    most_sources: int = 10_000


class Verdict(StrEnum):
    """What becomes of a new request."""

    ADMIT = "admit"
    BUSY = "busy"  # 503 without a transaction
    DROP = "drop"


class Bucket:
    """Tokens that come back at `rate` in 1/s, up to `burst_s` seconds' worth, one at least."""

    __slots__ = ("_at_s", "_most", "_rate", "_tokens")

    def __init__(self, rate: float, burst_s: float, now_s: float) -> None:
        self._rate = rate
        self._most = max(1.0, rate * burst_s)
        self._tokens = self._most
        self._at_s = now_s

    def take(self, now_s: float) -> bool:
        """Take one; False when there is none."""
        self._tokens = min(self._most, self._tokens + (now_s - self._at_s) * self._rate)
        self._at_s = now_s
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class _Source:
    """What is known of one stranger."""

    __slots__ = ("banned_until_s", "messages", "requests", "strikes", "strikes_since_s")

    def __init__(self, rules: GuardRules, now_s: float) -> None:
        self.messages = Bucket(rules.messages_per_s, rules.burst_s, now_s)
        self.requests = Bucket(rules.requests_per_s, rules.burst_s, now_s)
        self.strikes = 0
        self.strikes_since_s = now_s
        self.banned_until_s = 0.0


class Guard:
    """Asked before a message is read, before a request has a transaction, and told of what it was answered.

    trusted   whether an address is one that the operator named; asked anew every 30 s
    secret    makes the To tags of answers without a transaction: the same for every copy (RFC 3261 8.2.7)
    counters  "guard_" and what was done
    """

    def __init__(self, rules: GuardRules, trusted: Callable[[str], bool], secret: str, counters: Counter[str]) -> None:
        self._rules = rules
        self._trusted = trusted
        self._secret = secret
        self._counters = counters
        self._sources: dict[str, _Source] = {}
        self._trust: dict[str, tuple[float, bool]] = {}
        self._errors: dict[str, Bucket] = {}
        self._strangers: Bucket | None = None
        self._invites: Bucket | None = None

    def hears(self, source: Peer, now_s: float) -> bool:
        """Whether to read what came from there."""
        if self.is_trusted(source.host, now_s):
            return True
        found = self._source(source.host, now_s)
        if found.banned_until_s > now_s:
            self._counters["guard_banned"] += 1
            return False
        if not found.messages.take(now_s):
            self._counters["guard_too_many_messages"] += 1
            return False
        return True

    def admits(self, request: Request, source: Peer, now_s: float) -> Verdict:
        """What to do with a request outside calls. A copy of one that is known need not be asked about."""
        is_invite = request.method == "INVITE"
        if not self.is_trusted(source.host, now_s):
            if self._is_scanner(request):
                self._counters["guard_scanner"] += 1
                self._ban(source.host, now_s)
                return Verdict.DROP
            if self._strangers is None:
                self._strangers = Bucket(self._rules.strangers_per_s, self._rules.burst_s, now_s)
            if not (self._source(source.host, now_s).requests.take(now_s) and self._strangers.take(now_s)):
                return self._too_fast(is_invite, source, now_s)
        if is_invite and self._rules.invites_per_s:
            if self._invites is None:
                self._invites = Bucket(self._rules.invites_per_s, 1.0, now_s)
            if not self._invites.take(now_s):
                self._counters["guard_invite_flood"] += 1
                return Verdict.BUSY
        return Verdict.ADMIT

    def may_complain(self, source: Peer, now_s: float) -> bool:
        """Whether to answer a message that cannot be read: two servers could go on telling each other for ever."""
        self.struck(source, now_s)
        key = network_of(source.host)
        bucket = self._errors.get(key)
        if bucket is None:
            if len(self._errors) >= self._rules.most_sources:
                self._errors.pop(next(iter(self._errors)))
            bucket = self._errors[key] = Bucket(self._rules.errors_per_s, 5.0, now_s)
        if bucket.take(now_s):
            return True
        self._counters["guard_not_answered"] += 1
        return False

    def answered(self, request: Request, source: Peer, status: int, now_s: float) -> None:
        """A request outside calls got its final response: good ones make up for bad ones."""
        if status in (401, 403, 404, 407):
            self.struck(source, now_s)
        elif 200 <= status < 300 and request.method in ("INVITE", "REGISTER"):
            found = self._sources.get(network_of(source.host))
            if found is not None:
                found.strikes = 0

    def struck(self, source: Peer, now_s: float) -> None:
        """A stranger did what scanners do."""
        if self.is_trusted(source.host, now_s):
            return
        found, rules = self._source(source.host, now_s), self._rules
        if now_s - found.strikes_since_s > rules.strikes_s:
            found.strikes, found.strikes_since_s = 0, now_s
        found.strikes += 1
        if found.strikes >= rules.strikes:
            self._ban(source.host, now_s)

    def busy_response(self, request: Request) -> Response:
        """503 that needs nothing to be remembered."""
        seed = f"{self._secret}|{request.call_id}|{request.from_.tag}|{request.cseq.number}"
        tag = hashlib.sha256(seed.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        return make_response(request, 503, to_tag=tag, headers=(("Retry-After", _RETRY_AFTER_S),))

    def banned(self, now_s: float) -> dict[str, float]:
        """Who is not listened to, and for how many seconds more. IPv6 by /64."""
        return {
            host: found.banned_until_s - now_s for host, found in self._sources.items() if found.banned_until_s > now_s
        }

    def pardon(self, host: str) -> None:
        """Forget what is known of it."""
        self._sources.pop(network_of(host), None)

    def is_trusted(self, host: str, now_s: float) -> bool:
        """Whether the operator named it."""
        known = self._trust.get(host)
        if known is not None and known[0] > now_s:
            return known[1]
        if len(self._trust) >= self._rules.most_sources:
            self._trust.clear()
        trusted = self._trusted(host)
        self._trust[host] = (now_s + _TRUST_REMEMBERED_S, trusted)
        return trusted

    def _too_fast(self, is_invite: bool, source: Peer, now_s: float) -> Verdict:
        self._counters["guard_too_fast"] += 1
        return Verdict.BUSY if is_invite and self.may_complain(source, now_s) else Verdict.DROP

    def _is_scanner(self, request: Request) -> bool:
        agent = (request.headers.first("User-Agent") or "").lower()
        caller = (request.headers.first("From") or "").lower()
        return any(name in agent or (len(name) >= _SURE_LETTERS and name in caller) for name in self._rules.scanners)

    def _ban(self, host: str, now_s: float) -> None:
        found = self._source(host, now_s)
        if found.banned_until_s <= now_s:
            self._counters["guard_bans"] += 1
        found.banned_until_s = now_s + self._rules.ban_s
        found.strikes = 0

    def _source(self, host: str, now_s: float) -> _Source:
        key = network_of(host)
        found = self._sources.get(key)
        if found is None:
            if len(self._sources) >= self._rules.most_sources:
                self._sources.pop(next(iter(self._sources)))  # the one that came first
            found = self._sources[key] = _Source(self._rules, now_s)
        return found


@lru_cache(maxsize=4096)
def network_of(host: str) -> str:
    """What counts as one source: an IPv4 address, or the /64 that an IPv6 host can choose addresses from."""
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    return str(address.ipv4_mapped or ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
