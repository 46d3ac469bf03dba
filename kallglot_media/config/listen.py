"""The section `sip.listen` of server.yaml: addresses that SIP arrives at, and their certificates."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PlainValidator, ValidationInfo, WithJsonSchema, field_validator

from kallglot_media.config.types import BindHost, ConfigPath, ExternalHost, Settings, bad

EVERY_INTERFACE = ("0.0.0.0", "::")  # noqa: S104
"""Good to listen on, but no address that a peer could send to."""

SECURE = ("tls", "wss")
WEB = ("ws", "wss")
Place = tuple[str | int, ...]


def _origin(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"https?://[^/\s]+", value):
        return value
    raise bad(f"is {value!r}, not the origin of a web page", 'write scheme and host, e.g. "https://phone.example.com"')


Origin = Annotated[str, PlainValidator(_origin), WithJsonSchema({"type": "string", "pattern": "^https?://"})]
"""Where a web page comes from, as browsers write it."""


class NamedCertificate(Settings):
    """A certificate for clients that ask for one name (SNI)."""

    name: Annotated[str, Field(min_length=1, max_length=253, examples=["voice.example.org"])]
    """The domain name that they ask for."""

    certificate: ConfigPath
    """PEM, with the chain up to its CA."""

    key: ConfigPath
    """Its private key, PEM, without a password."""


class Listen(Settings):
    """One address that SIP is taken on."""

    transport: Literal["udp", "tcp", "tls", "ws", "wss"] = "udp"
    """How SIP arrives. `ws` and `wss` are for phones in browsers (RFC 7118)."""

    host: BindHost = "127.0.0.1"
    """An IP address of this machine; 0.0.0.0 is all of them, :: all of IPv6."""

    port: Annotated[int, Field(ge=0, le=65_535)] = 5060
    """0: any free port (for tests). TLS is usually at 5061."""

    external_host: ExternalHost | None = None
    """The address that peers reach this one by; left out: `sip.external_host` when that fits, else `host`."""

    certificate: Annotated[ConfigPath | None, Field(validate_default=True)] = None
    """`tls` and `wss`: PEM, with the chain up to its CA. Read again when it changes; nobody restarts anything."""

    key: Annotated[ConfigPath | None, Field(validate_default=True)] = None
    """Its private key, PEM, without a password."""

    more_certificates: tuple[NamedCertificate, ...] = ()
    """Others, for clients that ask for another name."""

    client_ca: ConfigPath | None = None
    """CAs, PEM: who connects must show a certificate that one of them signed. Left out: nobody has to show one."""

    server_ca: ConfigPath | None = None
    """CAs, PEM, that servers which we connect to must be signed by; left out: those of the system."""

    verify: bool = True
    """Check the certificates of servers that we connect to, and that they are for the name that was dialled."""

    origins: tuple[Origin, ...] = ()
    """`ws` and `wss`: web sites whose pages may connect. A page from this very host may anyway, others may not."""

    @field_validator("certificate", "key")
    @classmethod
    def _secure_has_them(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        transport = info.data.get("transport")
        if path is None and transport in SECURE:
            example = "server.pem" if info.field_name == "certificate" else "server.key"
            raise bad(
                f"is missing, and {transport} needs one",
                f"write the path of a PEM file, e.g. {info.field_name}: {example}",
            )
        if path is not None and transport is not None and transport not in SECURE:
            raise bad(f"is for tls and wss, this is {transport}", "leave it out, or write transport: tls")
        return path

    def files(self) -> Iterator[tuple[Place, Path]]:
        """Each file that this listener reads, with the place of its setting."""
        for name in ("certificate", "key", "client_ca", "server_ca"):
            if (path := getattr(self, name)) is not None:
                yield (name,), path
        for index, one in enumerate(self.more_certificates):
            yield ("more_certificates", index, "certificate"), one.certificate
            yield ("more_certificates", index, "key"), one.key

    def contact_host(self, shared: str | None) -> str:
        """The host that Via and Contact name. shared: `sip.external_host`, which another IP version has no use for."""
        if self.external_host is not None:
            return self.external_host
        return shared if shared is not None and _fits(shared, self.host) else self.host


def once(listen: tuple[Listen, ...]) -> tuple[Listen, ...]:
    """Raises when two of them want the same port of the same address."""
    seen: dict[tuple[bool, str, int], Listen] = {}
    for index, one in enumerate(listen):
        other = seen.setdefault((one.transport == "udp", one.host, one.port), one)
        if other is one or not one.port:
            continue
        if other.transport == one.transport:
            raise bad(f"is {one.transport} {one.host}:{one.port} again", "write each address once", at=f"{index}")
        raise bad(f"is {one.host}:{one.port}, where {other.transport} is taken", "write another port", at=f"{index}")
    return listen


def unreachable(listen: tuple[Listen, ...], shared: str | None) -> int | None:
    """The first listener that no peer could be told an address of."""
    hosts = [one.contact_host(shared) for one in listen]
    return next((index for index, host in enumerate(hosts) if host in EVERY_INTERFACE), None)


def _fits(external: str, bound: str) -> bool:
    """A name, or an address of the same IP version."""
    try:
        address = ipaddress.ip_address(external.strip("[]"))
    except ValueError:
        return True
    return address.version == ipaddress.ip_address(bound).version
