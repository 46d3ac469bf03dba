"""The trunks of server.yaml at work: which of them a caller comes from, and on what terms a call goes out.

A destination is a SIP address, or `trunk:NAME/NUMBER`.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from kallglot_media.call.dialplan import Dialplan, DialRules
from kallglot_media.call.ports import DialError, SipHeaders
from kallglot_media.config.trunks import Trunk as TrunkConfig
from kallglot_media.config.trunks import host_of, literal
from kallglot_media.config.types import IpNetwork
from kallglot_media.sdp.types import Srtp
from kallglot_media.sip.events import IncomingCall
from kallglot_media.sip.identity import ANONYMOUS, Caller, OutgoingIdentity, Tell, caller_of, outgoing
from kallglot_media.sip.message import Request
from kallglot_media.sip.numbers import NumberPlan
from kallglot_media.sip.register import RegistrationPlan
from kallglot_media.sip.settings import Credentials
from kallglot_media.sip.trunk import Trunk, TrunkRules
from kallglot_media.sip.uri import NameAddr, Uri, escape_user

SCHEME = "trunk:"


def trunk_address(name: str, number: str) -> str:
    """A number behind a trunk as a destination: `trunk:carrier/+4930123`."""
    return f"{SCHEME}{name}/{number}"


@dataclass(frozen=True, slots=True)
class Way:
    """How a call goes out over a trunk: addresses, the hosts to try in order, and what it may use.

    to       who is called, as the trunk writes it
    hosts    SIP URIs to resolve and send to
    from_    who calls, as the trunk wants to be told it
    headers  that the trunk wants besides
    """

    trunk: str
    to: str
    from_: str
    hosts: tuple[str, ...]
    credentials: Credentials | None
    headers: SipHeaders = ()


class TrunkLine:
    """One trunk: its rules, its state and its counts."""

    def __init__(self, config: TrunkConfig) -> None:
        self.name = config.name
        self.domain = config.domain_or_host
        self.credentials = config.account.credentials() if config.account else None
        self.trusted = config.caller_id.trust
        self.codecs = config.codecs
        self.srtp = None if config.srtp is None else Srtp(config.srtp)
        numbers = config.numbers
        self.numbers = NumberPlan(
            numbers.country_code,
            numbers.national_prefix,
            numbers.international_prefix,
            numbers.bare_international,
            numbers.send_as,
        )
        self.identity = OutgoingIdentity(
            self.domain,
            config.caller_id.number,
            frozenset(Tell(name) for name in config.caller_id.tell),
            self.numbers.from_e164,
        )
        rules = TrunkRules(config.name, config.hosts, config.max_calls, config.calls_per_s, config.qualify_s)
        self.machine = Trunk(rules)
        dial = config.dial
        self.dialplan = Dialplan(DialRules(dial.allow, dial.deny, dial.max_per_day, dial.max_calls))
        self.registration = _registration(config, self.credentials)
        self._networks: set[IpNetwork] = set(config.allow_from)
        self.learn(host for uri in config.hosts if literal(host := host_of(uri)) is not None)

    def learn(self, hosts: Iterable[str]) -> None:
        """Addresses that its hosts have: calls from there are its calls."""
        self._networks |= {ipaddress.ip_network(host) for host in hosts}

    def is_from(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        """Whether what comes from there comes over this trunk."""
        return any(address in network for network in self._networks)

    def called(self, request: Request) -> str:
        """Who is called, as +E.164 where it is a number. A call to our own registration says it in To."""
        user = request.uri.user_text or ""
        if self.registration is not None and user == self.registration.contact_user:
            user = request.to.uri.user_text or user
        return self.numbers.to_e164(user)

    def introduce(self, from_: str, number: str) -> tuple[str, SipHeaders]:
        """From and more for a call of ours; nothing is added to a From that is this trunk's already."""
        caller = NameAddr.of(from_)
        if caller.uri.host in (self.domain, ANONYMOUS.uri.host):
            return from_, ()
        shown, headers = outgoing(Caller(NameAddr(caller.display, caller.uri)), None, number, self.identity)
        return str(shown), headers

    def caller(self, request: Request) -> Caller:
        """Who calls, as far as this trunk is trusted; a number as +E.164."""
        found = caller_of(request, trusted=self.trusted)
        number = self.numbers.to_e164(found.number)
        if number == found.number:
            return found
        uri = Uri("sip", escape_user(number), host=found.address.uri.host)
        return replace(found, address=NameAddr(found.address.display, uri))


def _registration(config: TrunkConfig, credentials: Credentials | None) -> RegistrationPlan | None:
    wanted = config.registration
    if wanted is None or credentials is None:
        return None
    return RegistrationPlan(
        aor=str(Uri("sip", escape_user(credentials.username), host=config.domain_or_host)),
        registrars=wanted.registrars or config.hosts,
        credentials=credentials,
        contact_user=wanted.contact_user or escape_user(credentials.username),
        expires_s=wanted.expires_s,
        follow_nat=wanted.follow_nat,
    )


class Trunks:
    """All of them. counters: calls that a limit or a rule stopped, and callers that nobody knows."""

    def __init__(self, configs: Iterable[TrunkConfig]) -> None:
        self.counters: Counter[str] = Counter()
        self.lines: Mapping[str, TrunkLine] = {config.name: TrunkLine(config) for config in configs}
        self._calls: dict[str, TrunkLine] = {}

    def of_source(self, host: str) -> TrunkLine | None:
        """The trunk that what comes from this address comes over."""
        address = ipaddress.ip_address(host)
        return next((line for line in self.lines.values() if line.is_from(address)), None)

    def of_address(self, to: str) -> TrunkLine | None:
        """The trunk that `trunk:NAME/NUMBER` names; None for other addresses, and for a name that there is not."""
        return self.lines.get(to.removeprefix(SCHEME).partition("/")[0]) if to.startswith(SCHEME) else None

    # ── calls that come in ──────────────────────────────────────────────────────

    def called(self, incoming: IncomingCall) -> str:
        """Who is called: over a trunk a number is +E.164, however the trunk writes it."""
        line = self.of_source(incoming.source.host)
        return line.called(incoming.request) if line is not None else incoming.request.uri.user_text or ""

    def caller(self, incoming: IncomingCall) -> Caller:
        """Who calls. What is asserted counts only from a trunk that is trusted."""
        line = self.of_source(incoming.source.host)
        return line.caller(incoming.request) if line is not None else caller_of(incoming.request, trusted=False)

    def objection(self, source: str) -> str | None:
        """Why a trunk may not send another call now; None when it may, or when there is no trunk there."""
        line = self.of_source(source)
        full = line.machine.objection() if line is not None else None
        if full is not None:
            self.counters["trunk_limit_in"] += 1
        return full

    def came(self, incoming: IncomingCall) -> None:
        """A call arrived, perhaps over a trunk."""
        line = self.of_source(incoming.source.host)
        if line is not None:
            self.began(incoming.call, line.name)

    # ── calls that go out ───────────────────────────────────────────────────────

    def way_out(self, to: str, from_: str, now_s: float, day: int) -> Way | None:
        """How a call to `trunk:NAME/NUMBER` is made; None when `to` is something else. Raises DialError."""
        if not to.startswith(SCHEME):
            return None
        name, _, number = to.removeprefix(SCHEME).partition("/")
        line = self.lines.get(name)
        if line is None or not number:
            raise DialError(404, f"no trunk is called {name!r}")
        number = line.numbers.to_e164(number)
        forbidden = line.dialplan.objection(number, day)
        if forbidden is not None:
            self.counters["trunk_number_refused"] += 1
            raise DialError(403, f"trunk {name}: {forbidden}")
        full = line.machine.take_turn(now_s)
        if full is not None:
            self.counters["trunk_limit_out"] += 1
            raise DialError(503, f"trunk {name} is full: {full}")
        target = line.identity.address(number)
        from_, headers = line.introduce(from_, number)
        return Way(name, str(target.uri), from_, tuple(line.machine.order()), line.credentials, headers)

    def began(self, call: str, trunk: str, *, day: int | None = None) -> None:
        """A call uses a trunk. day: of one that we made."""
        line = self.lines[trunk]
        self._calls[call] = line
        line.machine.began(call)
        if day is not None:
            line.dialplan.began(call, day)

    def ended(self, call: str) -> None:
        """It no longer does; nothing for a call without a trunk."""
        line = self._calls.pop(call, None)
        if line is not None:
            line.machine.ended(call)
            line.dialplan.ended(call)

    def identity(self, trunk: str, caller: Caller, called: str, number: str) -> tuple[str, SipHeaders]:
        """From and the other headers of a customer's call that goes on over `trunk`."""
        line = self.lines[trunk]
        shown, headers = outgoing(caller, called, line.numbers.to_e164(number), line.identity)
        return str(shown), headers
