"""From whom to call to where the INVITE goes: a trunk's hosts, the phones that logged on here, or an address."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from kallglot_media.call.phones import Phones
from kallglot_media.call.ports import DialError, SipHeaders
from kallglot_media.call.trunks import Trunks
from kallglot_media.net.resolver import ResolveError, Resolver
from kallglot_media.sip.errors import SipError
from kallglot_media.sip.events import Peer
from kallglot_media.sip.registrar import Binding, first_hop
from kallglot_media.sip.settings import Credentials, Target
from kallglot_media.sip.uri import NameAddr, Uri

SECONDS_OF_A_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Found:
    """How to make a call.

    targets  where the INVITE goes, one after the other; never empty
    headers  more that the INVITE has
    trunk    whose call it is, None when it goes over no trunk
    """

    to: str
    from_: str
    targets: Sequence[Target]
    headers: SipHeaders = ()
    credentials: Credentials | None = None
    trunk: str | None = None


class Finder:
    """See the module. trunks, phones: None when there are none."""

    def __init__(self, resolver: Resolver, trunks: Trunks | None = None, phones: Phones | None = None) -> None:
        self._resolver = resolver
        self._trunks = trunks
        self._phones = phones

    async def find(self, to: str, from_: str, now_s: float) -> Found:
        """Where a call to `to` goes. Raises DialError."""
        way = self._trunks.way_out(to, from_, now_s, self.today()) if self._trunks is not None else None
        if way is not None:
            peers = await self._resolve_all([Uri.parse(host) for host in way.hosts])
            return Found(way.to, way.from_, [Target(peer) for peer in peers], way.headers, way.credentials, way.trunk)
        try:
            uri = NameAddr.of(to).uri
        except SipError as error:
            raise DialError(480, f"{to}: {error}") from error
        bindings = self._phones.contacts(uri, now_s) if self._phones is not None else None
        if bindings is not None:
            return Found(to, from_, await self._targets_of(uri, bindings))
        return Found(to, from_, [Target(peer) for peer in await self._resolve_all([uri])])

    def began(self, call: str, found: Found) -> None:
        """The call was made."""
        if self._trunks is not None and found.trunk is not None:
            self._trunks.began(call, found.trunk, day=self.today())

    @staticmethod
    def today() -> int:
        """Days since 1970, UTC."""
        return int(time.time()) // SECONDS_OF_A_DAY

    async def _targets_of(self, uri: Uri, bindings: Sequence[Binding]) -> list[Target]:
        """The phones of one user, the preferred one first, each at every address that it may have."""
        if not bindings:
            raise DialError(480, f"{uri.user_text} is not logged on")
        targets: list[Target] = []
        for binding in bindings:
            try:
                peers = [binding.flow] if binding.flow is not None else await self._resolve_all([first_hop(binding)])
            except DialError:
                continue  # the phone wrote a name that nobody knows; perhaps another one can be had
            targets += [Target(peer, binding.uri, binding.path) for peer in peers]
        if not targets:
            raise DialError(480, f"no contact of {uri.user_text} has an address that we can send to")
        return targets

    async def _resolve_all(self, uris: Sequence[Uri]) -> list[Peer]:
        peers: list[Peer] = []
        why = "nowhere to send to"
        for uri in uris:
            try:
                peers += await self._resolver.resolve(uri)
            except (ResolveError, ValueError) as error:
                why = str(error)
        if not peers:
            raise DialError(480, why)
        return list(dict.fromkeys(peers))
