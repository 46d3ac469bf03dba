"""Logging on to a registrar, RFC 3261 section 10.2: refresh, several registrars, back-off, and a NAT between.

registration.start(now_s) / stop(now_s)     what the user wants
registration.take_ask() -> Ask | None       a REGISTER is due; the shell finds the registrar's address …
registration.make_request(ask, …)           … and gets the request to send
registration.answered(…) / unanswered(…)    what came of it
registration.next_time_s() / on_time(now_s)
registration.take_events()
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from kallglot_media.ids import Ids
from kallglot_media.sip.dialog import MAX_FORWARDS
from kallglot_media.sip.digest import DigestClient
from kallglot_media.sip.headers import Headers
from kallglot_media.sip.message import Request, Response
from kallglot_media.sip.routing import Address, own_contact, same_host
from kallglot_media.sip.settings import Credentials
from kallglot_media.sip.uri import NameAddr, Uri

_LONGEST_S = 86_400
_MOST_CHALLENGES = 3
_MOST_MOVES = 2


@dataclass(frozen=True, slots=True)
class RegistrationPlan:
    """Who logs on where.

    aor             "sip:user@provider.example": what is registered
    registrars      SIP URIs to send to, the preferred one first; empty: the domain of `aor`
    credentials     for 401 and 407
    contact_user    the user part of our Contact, which calls to us will have in their Request-URI
    expires_s       how long a binding shall stand; the registrar may say less, or with 423 more
    first_retry_s   after a round of registrars in vain; doubled each time up to `last_retry_s`, and 50 to 100 % of
                    that is waited, so that a thousand clients do not come back at once (RFC 5626 section 4.5)
    follow_nat      register the address that the registrar sees us at, when it is another than we think
    """

    aor: str
    registrars: Sequence[str] = ()
    credentials: Credentials | None = None
    contact_user: str = "kallglot"
    expires_s: int = 300
    first_retry_s: float = 30.0
    last_retry_s: float = 1800.0
    follow_nat: bool = True


@dataclass(frozen=True, slots=True)
class Ask:
    """A REGISTER wants to be sent to this registrar."""

    registrar: str
    number: int


@dataclass(frozen=True, slots=True)
class Registered:
    """Logged on, for the first time or again after a failure."""

    registrar: str
    expires_s: int


@dataclass(frozen=True, slots=True)
class NotRegistered:
    """Not logged on, or no longer; tried again by itself."""

    status: int
    why: str
    retry_s: float


@dataclass(frozen=True, slots=True)
class Unregistered:
    """stop() is done: the binding is removed, or the registrar did not answer."""


RegistrationEvent = Registered | NotRegistered | Unregistered


class State(StrEnum):
    """Where a registration is."""

    IDLE = "idle"
    ASKING = "asking"  # REGISTER sent
    REGISTERED = "registered"  # the refresh is planned
    RESTING = "resting"  # the next try is planned
    LEAVING = "leaving"  # REGISTER with expires=0 sent
    ENDED = "ended"


class On(StrEnum):
    """What can happen to it."""

    START = "start()"
    STOP = "stop()"
    DUE = "the planned time has come"
    OK = "2xx"
    AGAIN = "2xx or 4xx after which another request says it better: 401, 423, another address"
    NEXT = "no answer, 5xx or 3xx, and there is another registrar"
    FAILED = "any other end"


class Do(StrEnum):
    """What it does about it."""

    ASK = "REGISTER"
    ASK_NEXT = "REGISTER to the next registrar"
    LEAVE = "REGISTER with expires=0"
    PLAN = "plan the refresh"
    REST = "plan the next try"
    TELL = "tell how it stands"


S, E, A = State, On, Do
TABLE: Mapping[tuple[State, On], tuple[State, tuple[Do, ...]]] = {
    (S.IDLE, E.START): (S.ASKING, (A.ASK,)),
    (S.IDLE, E.STOP): (S.ENDED, (A.TELL,)),
    (S.ASKING, E.OK): (S.REGISTERED, (A.PLAN, A.TELL)),
    (S.ASKING, E.AGAIN): (S.ASKING, (A.ASK,)),
    (S.ASKING, E.NEXT): (S.ASKING, (A.ASK_NEXT,)),
    (S.ASKING, E.FAILED): (S.RESTING, (A.REST, A.TELL)),
    (S.ASKING, E.STOP): (S.LEAVING, (A.LEAVE,)),
    (S.REGISTERED, E.DUE): (S.ASKING, (A.ASK,)),
    (S.REGISTERED, E.STOP): (S.LEAVING, (A.LEAVE,)),
    (S.RESTING, E.DUE): (S.ASKING, (A.ASK,)),
    (S.RESTING, E.STOP): (S.ENDED, (A.TELL,)),
    (S.LEAVING, E.AGAIN): (S.LEAVING, (A.LEAVE,)),
    (S.LEAVING, E.NEXT): (S.ENDED, (A.TELL,)),
    (S.LEAVING, E.OK): (S.ENDED, (A.TELL,)),
    (S.LEAVING, E.FAILED): (S.ENDED, (A.TELL,)),
}


class Registration:
    """One address of record at one provider. See the module for the verbs."""

    def __init__(self, plan: RegistrationPlan, ids: Ids) -> None:
        self.plan = plan
        self.state = State.IDLE
        self._ids = ids
        self._aor = NameAddr(None, Uri.parse(plan.aor))
        self._registrars = list(plan.registrars) or [str(Uri(self._aor.uri.scheme, host=self._aor.uri.host))]
        self._at = 0
        self._tried = 0
        credentials = plan.credentials
        self._digest = DigestClient(credentials.username, credentials.password) if credentials else None
        # 10.2.4: "A UA SHOULD use the same Call-ID for all registrations during a single boot cycle."
        self._call_id = ids.call_id()
        self._tag = ids.tag()
        self._cseq = 0
        self._expires_s = plan.expires_s
        self._granted_s = plan.expires_s
        self._seen_as: Address | None = None
        self._contact: Address | None = None
        self._old_contact: Address | None = None
        self._challenges = self._moves = self._failures = 0
        self._due_s: float | None = None
        self._ask: Ask | None = None
        self._up = False
        self._retry_s = 0.0
        self._why = (0, "")
        self._events: list[RegistrationEvent] = []

    # ── verbs ───────────────────────────────────────────────────────────────────

    @property
    def is_registered(self) -> bool:
        """Whether the last REGISTER was accepted; a refresh under way does not change it."""
        return self._up

    @property
    def contact_user(self) -> str:
        """The user part of the Request-URI of calls that come through this registration."""
        return self.plan.contact_user

    def start(self, now_s: float) -> None:
        """Log on, and stay so."""
        self._fire(On.START, now_s)

    def stop(self, now_s: float) -> None:
        """Log off; Unregistered says when that is done."""
        self._fire(On.STOP, now_s)

    def next_time_s(self) -> float | None:
        """When on_time() is due."""
        return self._due_s

    def on_time(self, now_s: float) -> None:
        """The refresh or the next try, when it is due."""
        if self._due_s is not None and now_s >= self._due_s:
            self._due_s = None
            self._fire(On.DUE, now_s)

    def take_ask(self) -> Ask | None:
        """The REGISTER that wants to be sent now."""
        taken, self._ask = self._ask, None
        return taken

    def take_events(self) -> list[RegistrationEvent]:
        """What happened since the last time."""
        taken, self._events = self._events, []
        return taken

    def make_request(self, ask: Ask, here: Address, transport: str) -> Request:
        """The REGISTER for `ask`. here: our address as the registrar should use it over `transport`."""
        contact = self._seen_as if self._seen_as is not None and transport == "udp" else here
        if self._contact is not None and self._contact != contact:
            self._old_contact = self._contact
        self._contact = contact
        leaving = self.state is State.LEAVING
        expires_s = 0 if leaving else self._expires_s
        headers = Headers(
            [
                ("Max-Forwards", MAX_FORWARDS),
                ("From", str(self._aor.with_tag(self._tag))),
                ("To", str(self._aor)),
                ("Call-ID", self._call_id),
                ("CSeq", f"{ask.number} REGISTER"),
                ("Contact", f"{own_contact(transport, contact, self.plan.contact_user)};expires={expires_s}"),
            ]
        )
        if self._old_contact is not None:  # the binding of the address that nobody reaches us at any more
            old = own_contact(transport, self._old_contact, self.plan.contact_user)
            headers.add("Contact", f"{old};expires=0")
        headers.add("Expires", str(expires_s))
        request = Request("REGISTER", Uri(self._aor.uri.scheme, host=self._aor.uri.host), headers)
        if self._digest is not None:
            self._digest.sign(request)
        return request

    def unanswered(self, ask: Ask, status: int, why: str, now_s: float) -> None:
        """`ask` came to nothing: 408 nobody answered, 503 nobody reached, 480 no such name."""
        if ask.number == self._cseq:
            self._why = (status, why)
            self._fire(On.NEXT if self._has_next() else On.FAILED, now_s)

    def answered(self, response: Response, now_s: float) -> None:
        """A final response; one to a request that is no longer the last is of no interest."""
        if response.cseq.number != self._cseq:
            return
        self._why = (response.status, response.reason)
        self._fire(self._kind_of(response), now_s, response)

    # ── what a response means ───────────────────────────────────────────────────

    def _kind_of(self, response: Response) -> On:
        status, leaving = response.status, self.state is State.LEAVING
        moved = self._has_moved(response)
        if 200 <= status < 300:
            if moved and not leaving and self._moves < _MOST_MOVES:
                self._moves += 1
                return On.AGAIN
            return On.OK
        if status in (401, 407):
            return On.AGAIN if self._can_sign(response) else On.FAILED
        if status == 423 and not leaving:
            # 10.2.8: "MAY retry the registration after making the expiration interval of all contact
            #  addresses … equal to or greater than the expiration interval within the Min-Expires"
            least_s = _seconds(response.headers.first("Min-Expires"))
            if least_s is not None and self._expires_s < least_s:
                self._expires_s = least_s
                return On.AGAIN
            return On.FAILED
        if (status in (408, 430, 480) or status >= 500) and status < 600 and self._has_next():
            return On.NEXT
        self._retry_s = float(_seconds(response.headers.first("Retry-After")) or 0)
        return On.FAILED

    def _can_sign(self, response: Response) -> bool:
        self._challenges += 1
        if self._digest is None or self._challenges > _MOST_CHALLENGES:
            return False
        return self._digest.challenged(response, self._ids.nonce())

    def _has_moved(self, response: Response) -> bool:
        """Whether the far end sees us at another address than our Contact has (RFC 3581 section 4)."""
        via, contact = response.top_via, self._contact
        if not self.plan.follow_nat or contact is None or via.transport != "UDP":
            return False
        if via.received is None and via.rport is None:
            return False
        seen = Address(via.received or via.host, via.rport or via.port or 5060)
        if same_host(seen.host, contact.host) and seen.port == contact.port:
            return False
        self._seen_as = seen
        return True

    def _has_next(self) -> bool:
        return self._tried + 1 < len(self._registrars)

    # ── the table ───────────────────────────────────────────────────────────────

    def _fire(self, event: On, now_s: float, response: Response | None = None) -> None:
        step = TABLE.get((self.state, event))
        if step is None:
            return
        self.state, actions = step
        for action in actions:
            self._do(action, now_s, response)

    def _do(self, action: Do, now_s: float, response: Response | None) -> None:
        match action:
            case Do.ASK | Do.LEAVE:
                self._due_s = None
                self._send()
            case Do.ASK_NEXT:
                self._tried += 1
                self._at = (self._at + 1) % len(self._registrars)
                self._challenges = 0
                self._send()
            case Do.PLAN:
                assert response is not None
                self._plan_refresh(response, now_s)
            case Do.REST:
                self._rest(now_s)
            case Do.TELL:
                self._tell()

    def _send(self) -> None:
        self._cseq += 1
        self._ask = Ask(self._registrars[self._at], self._cseq)

    def _plan_refresh(self, response: Response, now_s: float) -> None:
        """Timer F before the end, but not before half of the time is over."""
        self._granted_s = max(1, min(self._granted(response), _LONGEST_S))
        self._due_s = now_s + max(self._granted_s - 32.0, self._granted_s / 2)
        self._tried = self._challenges = self._moves = self._failures = 0
        self._old_contact = None

    def _granted(self, response: Response) -> int:
        """10.2.4: the expires parameter of our Contact, else Expires, else what we asked for."""
        for contact in response.contacts:
            ours = self._contact is not None and same_host(contact.uri.host, self._contact.host)
            if ours and contact.uri.user == self.plan.contact_user:
                found = _seconds(contact.param("expires"))
                if found is not None:
                    return found
        found = _seconds(response.headers.first("Expires"))
        return self._expires_s if found is None else found

    def _rest(self, now_s: float) -> None:
        longest_s = min(self.plan.first_retry_s * 2.0**self._failures, self.plan.last_retry_s)
        draw = (self._ids.rtp_sequence() & 0x7FFF) / 0x8000
        self._retry_s = max(longest_s * (0.5 + 0.5 * draw), min(self._retry_s, float(_LONGEST_S)))
        self._due_s = now_s + self._retry_s
        self._failures = min(self._failures + 1, 16)
        self._tried = self._challenges = self._moves = 0
        self._at = 0

    def _tell(self) -> None:
        if self.state is State.REGISTERED:
            if not self._up:
                self._events.append(Registered(self._registrars[self._at], self._granted_s))
            self._up = True
        elif self.state is State.RESTING:
            self._events.append(NotRegistered(*self._why, self._retry_s))
            self._up, self._retry_s = False, 0.0
        else:
            self._events.append(Unregistered())
            self._up = False


def _seconds(text: str | None) -> int | None:
    """delta-seconds, also with what Retry-After may have behind them; None when there are none."""
    digits = (text or "").partition(";")[0].partition("(")[0].strip(" \t")
    return min(int(digits), _LONGEST_S) if digits.isascii() and digits.isdigit() and len(digits) < 11 else None
