"""Phones that log on here: the registrar's settings, who of them a call is for, and a file that outlives a restart."""

from __future__ import annotations

import ipaddress
import json
import time
from pathlib import Path

from kallglot_media.config.sip import Sip
from kallglot_media.ids import Ids
from kallglot_media.log import logger
from kallglot_media.sip.events import Peer
from kallglot_media.sip.registrar import Binding, Registrar, RegistrarRules
from kallglot_media.sip.uri import Uri

log = logger("phones")


class Phones:
    """See the module. path: where bindings are kept; None: in memory only."""

    def __init__(self, ids: Ids, sip: Sip, path: Path | None) -> None:
        self._path = path
        self._saved = 0
        self._ours = {host.lower() for listen in sip.listen for host in (listen.host, sip.contact_host(listen))}
        self._ours |= {domain.lower() for domain in sip.registrar.domains}
        users = {account.user: account.password() for account in sip.accounts}
        networks = sip.registrar.free_from

        def freely(source: Peer) -> bool:
            return any(ipaddress.ip_address(source.host) in network for network in networks)

        granted = sip.registrar
        rules = RegistrarRules(
            realm=sip.realm,
            algorithms=sip.digest_algorithms,
            min_expires_s=granted.min_expires_s,
            default_expires_s=granted.max_expires_s,
            max_expires_s=granted.max_expires_s,
            max_contacts=granted.max_contacts,
        )
        self.registrar = Registrar(ids, rules, users.get, freely)

    def contacts(self, uri: Uri, now_s: float) -> list[Binding] | None:
        """Where to find the user of a URI of ours; None when it is not about a phone that logs on here."""
        user = uri.user_text
        if uri.scheme not in ("sip", "sips") or uri.host.lower() not in self._ours or not user:
            return None
        return self.registrar.contacts(user, now_s) if self.registrar.knows(user) else None

    # ── the file ────────────────────────────────────────────────────────────────

    def load(self, now_s: float) -> None:
        """Take over what was there before a restart; a file that cannot be read is left out and told."""
        if self._path is None or not self._path.exists():
            return
        try:
            self.registrar.from_json(json.loads(self._path.read_text("utf-8")), now_s, time.time())
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("registrations not read", file=str(self._path), why=str(error), mend="phones log on again soon")

    def save(self, now_s: float) -> None:
        """Write the file when anything changed; a full disk costs only what a restart would need."""
        if self._path is None or self._saved == self.registrar.changes:
            return
        self._saved = self.registrar.changes
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_text(json.dumps(self.registrar.to_json(now_s, time.time()), indent=1), "utf-8")
            fresh.replace(self._path)
        except OSError as error:
            log.warning("registrations not written", file=str(self._path), why=error.strerror or str(error))
