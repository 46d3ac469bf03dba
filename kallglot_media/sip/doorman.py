"""Asks the policy who may come in, and checks signatures for it. RFC 3261 section 22.2, RFC 7616."""

from __future__ import annotations

from collections import Counter

from kallglot_media.ids import Ids
from kallglot_media.sip.admission import Refusal
from kallglot_media.sip.digest import DigestServer, Refused, Verified
from kallglot_media.sip.events import Peer
from kallglot_media.sip.message import Request
from kallglot_media.sip.passwords import Password
from kallglot_media.sip.settings import AgentSettings, Challenge, Ignore, Reject


class _Realm:
    """One realm's nonces; the passwords are looked up by the challenge of the moment."""

    def __init__(self, ids: Ids, challenge: Challenge) -> None:
        self.challenge = challenge
        self.server = DigestServer(ids, challenge.realm, self._password_of, algorithms=challenge.algorithms)

    def _password_of(self, username: str) -> Password | None:
        return self.challenge.lookup(username)


class Doorman:
    """Decides about requests outside dialogs. counters: "digest_" and why a signature did not do."""

    def __init__(self, ids: Ids, settings: AgentSettings, counters: Counter[str]) -> None:
        self._ids = ids
        self._settings = settings
        self._counters = counters
        self._realms: dict[str, _Realm] = {}

    def decide(self, request: Request, source: Peer, now_s: float) -> Refusal | Ignore | None:
        """None lets it in."""
        decision = self._settings.accept(request, source)
        if isinstance(decision, Ignore):
            return decision
        if isinstance(decision, Reject):
            return Refusal(decision.status, reason=decision.reason)
        if isinstance(decision, Challenge):
            return self._check(request, decision, now_s)
        return None

    def _check(self, request: Request, challenge: Challenge, now_s: float) -> Refusal | None:
        realm = self._realms.setdefault(challenge.realm, _Realm(self._ids, challenge))
        realm.challenge = challenge
        found = realm.server.check(request, now_s)
        if isinstance(found, Verified):
            return None
        self._counters[f"digest_{found}"] += 1
        headers = realm.server.challenge_headers(now_s, stale=found is Refused.STALE)
        return Refusal(realm.server.status, tuple(headers))
