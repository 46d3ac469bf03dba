"""A registrar: phones say where they are, calls to their name find them. RFC 3261 section 10.3, Path: RFC 3327.

Bindings are kept in memory; `to_json()` and `from_json()` carry them over a restart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kallglot_media.ids import Ids
from kallglot_media.sip.digest import DigestServer, Refused, Verified
from kallglot_media.sip.errors import SipError
from kallglot_media.sip.events import Peer
from kallglot_media.sip.message import Request
from kallglot_media.sip.passwords import Password
from kallglot_media.sip.routing import RELIABLE, is_behind_nat
from kallglot_media.sip.settings import Reply
from kallglot_media.sip.uri import NameAddr, Uri

SUPPORTED = frozenset({"path"})
_LONGEST_S = 2**32 - 1


@dataclass(frozen=True, slots=True)
class RegistrarRules:
    """What is granted.

    realm, algorithms  of the challenge
    domains            host parts of addresses that are ours, lower case; empty: every one
    min_expires_s      a shorter wish gets 423
    default_expires_s  when nothing is wished for
    max_expires_s      a longer wish gets this
    max_contacts       of one user; with one more the one that ends first goes
    """

    realm: str = "kallglot"
    algorithms: tuple[str, ...] = ("SHA-256", "MD5")
    domains: frozenset[str] = frozenset()
    min_expires_s: int = 60
    default_expires_s: int = 3600
    max_expires_s: int = 7200
    max_contacts: int = 5


@dataclass(frozen=True, slots=True)
class Binding:
    """One place where a user can be reached.

    uri           the Request-URI of calls to it
    q             0 to 1; the highest is called first
    path          Route headers for calls to it, the first hop first
    flow          send to this peer, whatever `uri` names: a NAT or a connection of the phone's own; None: resolve
    instance      +sip.instance, which survives a new address of the same phone (RFC 5626); None when not said
    """

    uri: Uri
    q: float
    expires_at_s: float
    call_id: str
    cseq: int
    path: tuple[str, ...] = ()
    flow: Peer | None = None
    instance: str | None = None


class _Bad(Exception):
    """A request that cannot be done; the bindings stay as they were."""

    def __init__(self, status: int, reason: str | None = None, *headers: tuple[str, str]) -> None:
        super().__init__(reason)
        self.reply = Reply(status, headers, reason)


class Registrar:
    """Use `receive` as the agent's answerer for REGISTER.

    users   user names → password; a name that is not there cannot be registered
    freely  whether a source may register without a password (a name of `users` all the same)
    counters  docs/sip.md explains them
    changes   goes up with each change, so that somebody can keep `to_json()` up to date
    """

    def __init__(
        self,
        ids: Ids,
        rules: RegistrarRules,
        users: Callable[[str], Password | None],
        freely: Callable[[Peer], bool] = lambda source: False,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.changes = 0
        self._rules = rules
        self._users = users
        self._freely = freely
        self._digest = DigestServer(ids, rules.realm, users, algorithms=rules.algorithms)
        self._bindings: dict[str, list[Binding]] = {}

    # ── asked ───────────────────────────────────────────────────────────────────

    def contacts(self, user: str, now_s: float) -> list[Binding]:
        """Where `user` is now, the highest q first, among equals the one registered last."""
        alive = [binding for binding in self._bindings.get(user, ()) if binding.expires_at_s > now_s]
        return sorted(alive, key=lambda binding: (-binding.q, -binding.expires_at_s))

    def knows(self, user: str) -> bool:
        """Whether it is one of our users, registered or not."""
        return self._users(user) is not None

    def is_ours(self, host: str) -> bool:
        """Whether addresses at this host are ours; with no domains set, only those the caller knows to be."""
        return host.lower() in self._rules.domains

    def registered(self, now_s: float) -> dict[str, int]:
        """user → number of contacts, of those who are there now."""
        found = {user: len(self.contacts(user, now_s)) for user in self._bindings}
        return {user: count for user, count in found.items() if count}

    # ── REGISTER ────────────────────────────────────────────────────────────────

    def receive(self, request: Request, source: Peer, now_s: float) -> Reply:
        """The steps of section 10.3, in its order."""
        try:
            user = self._who(request, source, now_s)
            found = self._register(user, request, source, now_s)
        except _Bad as bad:
            if bad.reply.status != 401:
                self.counters[f"register_refused_{bad.reply.status}"] += 1
            return bad.reply
        headers = [("Contact", _contact_value(binding, now_s)) for binding in found]
        # RFC 3327 5.3: the 200 "MUST contain a copy of the Path header field values"
        headers += [("Path", value) for value in request.headers.values("Path")]
        headers.append(("Supported", ", ".join(SUPPORTED)))
        return Reply(200, tuple(headers))

    def _who(self, request: Request, source: Peer, now_s: float) -> str:
        """Steps 1 to 5: is it for us, do we understand it, who sends it, whom is it about."""
        uri, to = request.uri, request.to.uri
        if uri.scheme not in ("sip", "sips") or to.scheme not in ("sip", "sips"):
            raise _Bad(416)
        domains = self._rules.domains
        if domains and not {uri.host.lower(), to.host.lower()} <= domains:
            raise _Bad(404, "Not Found (not a domain of ours)")
        unknown = [tag for tag in request.headers.values("Require") if tag.lower() not in SUPPORTED]
        if unknown:
            raise _Bad(420, None, ("Unsupported", ", ".join(unknown)))
        user = to.user_text or ""
        if not self._freely(source):
            self._check_password(request, user, now_s)
        if not self.knows(user):
            raise _Bad(404)
        return user

    def _check_password(self, request: Request, user: str, now_s: float) -> None:
        signed = self._digest.check(request, now_s)
        if isinstance(signed, Verified):
            if signed.username != user:
                raise _Bad(403, "Forbidden (that is somebody else's address)")
            return
        self.counters[f"register_{signed}"] += 1
        raise _Bad(401, None, *self._digest.challenge_headers(now_s, stale=signed is Refused.STALE))

    def _register(self, user: str, request: Request, source: Peer, now_s: float) -> list[Binding]:
        """Steps 6 to 8: all of the request, or nothing of it."""
        before = self.contacts(user, now_s)
        wanted = request.headers.values("Contact")
        if "*" in wanted:
            after = self._without_all(request, wanted, before)
        else:
            after = before
            for contact in request.contacts:
                after = self._with(contact, after, request, source, now_s)
        if wanted:
            self._keep(user, after)
        return sorted(after, key=lambda binding: -binding.q)

    def _keep(self, user: str, bindings: list[Binding]) -> None:
        self.changes += 1
        if bindings:
            self.counters["registered"] += 1
            self._bindings[user] = bindings
        else:
            self.counters["unregistered"] += 1
            self._bindings.pop(user, None)

    def _without_all(self, request: Request, wanted: list[str], before: list[Binding]) -> list[Binding]:
        """10.2.2: "*" "MUST NOT be used unless the Expires header field is present with a value of "0"."" """
        if len(wanted) != 1 or (request.headers.first("Expires") or "").strip() != "0":
            raise _Bad(400, "Bad Request (Contact: * goes with Expires: 0 alone)")
        for binding in before:
            _in_order(binding, request)
        return []

    def _with(
        self, contact: NameAddr, before: list[Binding], request: Request, source: Peer, now_s: float
    ) -> list[Binding]:
        """The bindings after one Contact."""
        if contact.uri.scheme not in ("sip", "sips"):
            raise _Bad(400, "Bad Request (a Contact is a SIP URI)")
        expires_s = self._expires_s(contact, request)
        instance = contact.param("+sip.instance") or None
        others = []
        for binding in before:
            if binding.uri.same_as(contact.uri) or (instance is not None and binding.instance == instance):
                _in_order(binding, request)
            else:
                others.append(binding)
        if expires_s == 0:
            return others
        fresh = Binding(
            uri=contact.uri,
            q=_q(contact.param("q")),
            expires_at_s=now_s + expires_s,
            call_id=request.call_id,
            cseq=request.cseq.number,
            path=tuple(request.headers.values("Path")),
            flow=_flow(request, source),
            instance=instance,
        )
        if len(others) >= self._rules.max_contacts:
            self.counters["registrations_over_limit"] += 1
            others.remove(min(others, key=lambda binding: binding.expires_at_s))
        return [*others, fresh]

    def _expires_s(self, contact: NameAddr, request: Request) -> int:
        """10.3 step 7: the parameter, else the header, else our default; too short is 423, too long is cut."""
        text = contact.param("expires")
        if text is None:
            text = (request.headers.first("Expires") or "").strip()
        # 20.19: "Malformed values SHOULD be treated as equivalent to 3600"
        asked = min(int(text), _LONGEST_S) if text.isascii() and text.isdigit() else None
        expires_s = self._rules.default_expires_s if asked is None else asked
        if 0 < expires_s < self._rules.min_expires_s:
            raise _Bad(423, None, ("Min-Expires", str(self._rules.min_expires_s)))
        return min(expires_s, self._rules.max_expires_s)

    # ── over a restart ──────────────────────────────────────────────────────────

    def to_json(self, now_s: float, now_unix_s: float) -> dict[str, Any]:
        """Every binding that is alive, with times that mean something after a restart."""
        return {
            user: [
                {
                    "uri": str(binding.uri),
                    "q": binding.q,
                    "expires_at": round(now_unix_s + binding.expires_at_s - now_s, 1),
                    "call_id": binding.call_id,
                    "cseq": binding.cseq,
                    "path": list(binding.path),
                    "flow": [binding.flow.transport, binding.flow.host, binding.flow.port] if binding.flow else None,
                    "instance": binding.instance,
                }
                for binding in self.contacts(user, now_s)
            ]
            for user in self.registered(now_s)
        }

    def from_json(self, saved: dict[str, Any], now_s: float, now_unix_s: float) -> None:
        """Take over what to_json() gave; a connection does not outlive a restart, an address does.

        Raises ValueError, KeyError or TypeError for what to_json() never wrote.
        """
        for user, bindings in saved.items():
            kept = []
            for one in bindings:
                expires_at_s = now_s + min(float(one["expires_at"]) - now_unix_s, self._rules.max_expires_s)
                flow = Peer(str(one["flow"][0]), str(one["flow"][1]), int(one["flow"][2])) if one["flow"] else None
                if expires_at_s <= now_s or (flow is not None and flow.transport in RELIABLE) or not self.knows(user):
                    continue
                uri, path = Uri.parse(one["uri"]), tuple(str(NameAddr.parse(value)) for value in one["path"])
                call = (str(one["call_id"]), int(one["cseq"]))
                kept.append(Binding(uri, float(one["q"]), expires_at_s, *call, path, flow, one["instance"]))
            if kept:
                self._bindings[str(user)] = kept[: self._rules.max_contacts]


def first_hop(binding: Binding) -> Uri:
    """The URI to resolve for a call to this binding, when it has no flow. RFC 3327 section 5.4."""
    if binding.path:
        try:
            return NameAddr.parse(binding.path[0]).uri
        except SipError:
            pass  # written by a proxy that got 200 for it: the contact itself is the better guess
    return binding.uri


def _in_order(binding: Binding, request: Request) -> None:
    """10.3 step 7: with the same Call-ID the update stands only when its CSeq is higher than the stored one."""
    if binding.call_id == request.call_id and request.cseq.number <= binding.cseq:
        raise _Bad(500, "Server Internal Error (CSeq out of order)")


def _flow(request: Request, source: Peer) -> Peer | None:
    """Where calls must go when the Contact does not say: behind a NAT, or over the phone's own connection."""
    if "Path" in request.headers:
        return None
    if source.transport in RELIABLE or is_behind_nat(request, source):
        return source
    return None


def _q(text: str | None) -> float:
    """20.10: a qvalue, 1 when absent or nonsense."""
    plain = text is not None and text.isascii() and text.replace(".", "", 1).isdigit() and len(text) <= 8
    return min(float(text), 1.0) if plain and text is not None else 1.0


def _contact_value(binding: Binding, now_s: float) -> str:
    q = "" if binding.q == 1.0 else f";q={binding.q:.3g}"
    return f"<{binding.uri}>;expires={max(0, round(binding.expires_at_s - now_s))}{q}"
