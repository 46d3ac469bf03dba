"""The section `sip` of server.yaml: where calls arrive, who may call, and where they go out."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from kallglot_media.config.account import Account
from kallglot_media.config.guard import Guard
from kallglot_media.config.listen import Listen, once, unreachable
from kallglot_media.config.trunks import RegistrarSettings, Trunk
from kallglot_media.config.types import Cidr, ExternalHost, IpNetwork, Settings, bad

_HOME = ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10")

HOME_NETWORKS: tuple[IpNetwork, ...] = tuple(ipaddress.ip_network(network) for network in _HOME)
"""Loopback and the private ranges of RFC 1918, RFC 4193 and RFC 4291."""


_LISTEN = [{"transport": "udp", "host": "127.0.0.1", "port": 5060}]


class Sip(Settings):
    """Signalling."""

    listen: Annotated[tuple[Listen, ...], Field(min_length=1, examples=[_LISTEN])] = (
        Listen(transport="udp"),
        Listen(transport="tcp"),
    )
    """Where calls arrive. The first one is also the address that calls go out from."""

    external_host: Annotated[ExternalHost | None, Field(validate_default=True)] = None
    """The address that peers reach this server by, when it is not the one it listens on (0.0.0.0, NAT)."""

    user_agent: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[ -~]+$")] = "kallglot"
    """What Server: and User-Agent: say."""

    allow_from: tuple[Cidr, ...] = HOME_NETWORKS
    """Who may call without a password. Others need one of `accounts`, and get 403 when there are none."""

    accounts: tuple[Account, ...] = ()
    """Names that callers from elsewhere may use (digest authentication, RFC 8760)."""

    strangers: Literal["forbid", "ignore"] = "forbid"
    """What a source gets that is in no `allow_from` and no trunk, when there are no accounts: 403, or no answer."""

    realm: Annotated[str, Field(min_length=1, max_length=100, pattern=r'^[^"\\\r\n]+$')] = "kallglot"
    """The realm of the digest challenge."""

    digest_algorithms: Annotated[tuple[Literal["MD5", "SHA-256", "SHA-512-256"], ...], Field(min_length=1)] = (
        "SHA-256",
        "MD5",
    )
    """What passwords are asked for with, all at once. Phones of before 2020 may want MD5 alone: they stop at others."""

    trunks: Annotated[tuple[Trunk, ...], Field(examples=[[{"name": "carrier", "hosts": ["sip:sbc.example.com"]}]])] = ()
    """The PBXs and carriers that calls come from and go out over; out over the first one when nobody names another."""

    registrar: RegistrarSettings = RegistrarSettings()

    guard: Guard = Guard()
    """Floods and scanners."""

    max_calls: Annotated[int, Field(ge=1, le=5000)] = 50
    """Sessions at the same time; the next caller gets 503 with Retry-After."""

    ring_s: Annotated[float, Field(ge=1, le=600)] = 30
    """How long an agent's phone rings, unless the mode says otherwise."""

    @field_validator("listen")
    @classmethod
    def _listen_once(cls, listen: tuple[Listen, ...]) -> tuple[Listen, ...]:
        return once(listen)

    @field_validator("external_host")
    @classmethod
    def _reachable(cls, host: str | None, info: ValidationInfo) -> str | None:
        listen: tuple[Listen, ...] = info.data.get("listen", ())
        index = unreachable(listen, host)
        if index is None:
            return host
        if host is None:
            raise bad(
                "is missing, and listen has no address that peers can send to",
                "write the address that phones reach this machine by, e.g. external_host: 192.0.2.10",
            )
        raise bad(f"is {host!r}, which is no address for listen[{index}] ({listen[index].host})",
                  "write external_host in that listener too, of the same IP version")  # fmt: skip

    @field_validator("accounts")
    @classmethod
    def _account_once(cls, accounts: tuple[Account, ...]) -> tuple[Account, ...]:
        users = [account.user for account in accounts]
        for index, user in enumerate(users):
            if user in users[:index]:
                raise bad(f"is '{user}' again", "write each user once", at=f"{index}.user")
        return accounts

    @field_validator("trunks")
    @classmethod
    def _trunk_once(cls, trunks: tuple[Trunk, ...]) -> tuple[Trunk, ...]:
        names = [trunk.name for trunk in trunks]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise bad(f"is '{name}' again", "give each trunk a name of its own", at=f"{index}.name")
        return trunks

    def contact_host(self, listen: Listen) -> str:
        """The host that Via and Contact name for this listener."""
        return listen.contact_host(self.external_host)
