"""The section `sip` of server.yaml: where calls arrive, who may call, and where they go out."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from kallglot_media.config.listen import Listen, once, unreachable
from kallglot_media.config.types import (
    Cidr,
    ConfigPath,
    ExternalHost,
    IpNetwork,
    Settings,
    SipUri,
    bad,
)
from kallglot_media.sip.passwords import Password, read_password
from kallglot_media.sip.settings import Credentials

_HOME = ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10")

HOME_NETWORKS: tuple[IpNetwork, ...] = tuple(ipaddress.ip_network(network) for network in _HOME)
"""Loopback and the private ranges of RFC 1918, RFC 4193 and RFC 4291."""


class Account(Settings):
    """A name and where its password stands. A password is never written into a configuration file."""

    user: Annotated[str, Field(min_length=1, examples=["pbx"])]
    """The digest user name."""

    password_env: Annotated[str | None, Field(min_length=1, examples=["KALLGLOT_PBX_PASSWORD"])] = None
    """The environment variable that holds the password."""

    password_file: Annotated[ConfigPath | None, Field(validate_default=True)] = None
    """A file that holds the password, or what `kallglot-media users hash` makes of it, and nothing else."""

    @field_validator("password_file")
    @classmethod
    def _one_place(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if "password_env" in info.data and (info.data["password_env"] is None) == (file is None):
            raise bad("does not go with password_env" if file else "is missing, and password_env too",
                      "write either password_env or password_file")  # fmt: skip
        return file

    def password(self) -> Password:
        """The password now, or its hash.

        Raises KeyError or OSError when its place is empty, ValueError for a broken hash: `load_config` has tried it.
        """
        if self.password_env is not None:
            return read_password(os.environ[self.password_env])
        assert self.password_file is not None
        return read_password(self.password_file.read_text(encoding="utf-8").rstrip("\r\n"))

    def credentials(self) -> Credentials:
        """Name and password, for the SIP agent. Raises as password() does."""
        return Credentials(self.user, self.password())


class Trunk(Settings):
    """A way out to telephone numbers: a PBX or a carrier."""

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._-]+$", examples=["carrier"])]
    """What a client calls it (`connection_id`)."""

    to: Annotated[SipUri, Field(examples=["sip:192.0.2.30:5060"])]
    """Its address. A number is dialled as its user part: sip:+4930123456@192.0.2.30:5060."""

    number: Annotated[str | None, Field(pattern=r"^\+?[0-9]{1,20}$", examples=["+4930123456"])] = None
    """Our number there: whom the other side shows when a session names none."""

    account: Account | None = None
    """When it asks for a password."""


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

    realm: Annotated[str, Field(min_length=1, max_length=100, pattern=r'^[^"\\\r\n]+$')] = "kallglot"
    """The realm of the digest challenge."""

    trunks: tuple[Trunk, ...] = ()
    """Ways out to telephone numbers; the first one is taken when nobody names another."""

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
