"""server.yaml's trunks: the PBXs and carriers that calls come from and go out over."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from kallglot_media.config.account import Account
from kallglot_media.config.patterns import covers
from kallglot_media.config.types import Cidr, Codec, ExternalHost, Settings, SipUri, bad, once_each

Pattern = Annotated[str, Field(min_length=1, max_length=64)]
SipName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._+-]+$")]


class Numbers(Settings):
    """How a trunk writes telephone numbers. Inside, and in routes, they are written +4930123456."""

    country_code: Annotated[str | None, Field(pattern=r"^[1-9][0-9]{0,2}$", examples=["49"])] = None
    """The country that national numbers belong to; left out: numbers stay as they come."""

    national_prefix: Annotated[str, Field(pattern=r"^[0-9]{0,3}$")] = "0"
    """What stands before a national number."""

    international_prefix: Annotated[str, Field(pattern=r"^[0-9]{0,5}$")] = "00"
    """What stands before a country code."""

    bare_international: bool = False
    """A number without any prefix begins with its country code."""

    send_as: Literal["e164", "digits", "national"] = "e164"
    """How the trunk wants numbers: `+4930123`, `4930123` or `030123`."""


class CallerId(Settings):
    """What is believed and told about callers."""

    trust: bool = True
    """Believe the trunk's P-Asserted-Identity, Diversion and History-Info."""

    number: Annotated[str | None, Field(min_length=1, max_length=32, examples=["+4930123450"])] = None
    """The number that calls going out over this trunk show; left out: the caller's own."""

    tell: tuple[Literal["p_asserted_identity", "diversion", "history_info"], ...] = ()
    """Headers that calls going out over this trunk have."""


class Registration(Settings):
    """Log on to the trunk, as a phone does."""

    expires_s: Annotated[int, Field(ge=30, le=86_400)] = 300
    """How long it shall stand; the other side may say something else."""

    registrars: tuple[SipUri, ...] = ()
    """Where to log on, in this order; left out: `hosts`."""

    contact_user: Annotated[SipName | None, Field(examples=["kallglot"])] = None
    """What calls to us have before the @; left out: the account's user. Such calls are routed by their To."""

    follow_nat: bool = True
    """Register the address that the other side sees us at, when a NAT makes it another."""


class Dialling(Settings):
    """Which numbers may be called over this trunk, and how often. Nothing may, unless it is listed."""

    allow: Annotated[tuple[Pattern, ...], Field(examples=[["+49*", "2??"]])] = ()
    """Patterns: `*` stands for any characters, `?` for one. Telephone numbers as +E.164."""

    deny: Annotated[tuple[Pattern, ...], Field(examples=[["+49900*"]])] = ()
    """Exceptions from `allow`."""

    max_per_day: Annotated[int | None, Field(ge=0, le=10_000_000, examples=[500])] = None
    """Calls a day (UTC); kept over restarts."""

    max_calls: Annotated[int | None, Field(ge=0, le=5000, examples=[10])] = None
    """Calls of ours at the same time."""

    def allows(self, number: str) -> bool:
        """Whether a number may be called at all."""
        asked = tuple(number)
        return any(covers(one, asked) for one in self.allow) and not any(covers(one, asked) for one in self.deny)


class Trunk(Settings):
    """One PBX or carrier."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$", examples=["carrier"])]
    """What modes, logs and metrics call it."""

    hosts: Annotated[tuple[SipUri, ...], Field(min_length=1, examples=[["sip:sbc1.example.com;transport=tcp"]])]
    """Where its calls are sent, the preferred one first. Transport and port stand in the address."""

    domain: Annotated[ExternalHost | None, Field(examples=["example.com"])] = None
    """What stands behind the @ in addresses that the trunk is sent; left out: that of the first host."""

    allow_from: Annotated[tuple[Cidr, ...], Field(examples=[["192.0.2.0/24"]])] = ()
    """Networks that its calls come from, besides `hosts` themselves."""

    account: Account | None = None
    """The name and password that the trunk asks us for."""

    registration: Registration | None = None
    """Log on to it; needs `account`."""

    numbers: Numbers = Numbers()
    """How it writes telephone numbers."""

    caller_id: CallerId = CallerId()
    """What is believed and told about callers."""

    codecs: Annotated[tuple[Codec, ...] | None, Field(min_length=1, examples=[["PCMA", "PCMU"]])] = None
    """What it is offered, best first; of what it offers, the first that is listed here is taken. Left out:
    `media.codecs`, and of what it offers the first that is spoken here."""

    srtp: Literal["off", "optional", "required"] | None = None
    """Encrypted sound on this trunk; left out: as `media.srtp` says."""

    max_calls: Annotated[int | None, Field(ge=1, le=5000, examples=[30])] = None
    """Calls at the same time, in both directions; the next one in gets 503."""

    calls_per_s: Annotated[float | None, Field(gt=0, le=1000, examples=[2])] = None
    """New calls of ours in a second."""

    qualify_s: Annotated[float | None, Field(ge=1, le=3600)] = 30
    """Ask each host with OPTIONS so often, and pass over those that do not answer; null: do not ask."""

    dial: Dialling = Dialling()
    """Which numbers may be called over it."""

    @field_validator("codecs")
    @classmethod
    def _codec_once(cls, codecs: tuple[Codec, ...] | None) -> tuple[Codec, ...] | None:
        return codecs if codecs is None else once_each(codecs)

    @field_validator("registration")
    @classmethod
    def _with_an_account(cls, registration: Registration | None, info: ValidationInfo) -> Registration | None:
        if registration is not None and info.data.get("account", True) is None:
            raise bad("needs a name and a password", "write account: {user: …, password_env: …} beside it")
        return registration

    @property
    def domain_or_host(self) -> str:
        """The host part of addresses that this trunk is sent."""
        return self.domain or host_of(self.hosts[0])


class RegistrarSettings(Settings):
    """Let phones log on here, with the names of `sip.accounts`; `sip:NAME@here` then calls them."""

    enabled: bool = False
    """Answer REGISTER."""

    domains: Annotated[tuple[ExternalHost, ...], Field(examples=[["calls.example.com"]])] = ()
    """What phones may write behind the @, besides the addresses that the server listens on."""

    free_from: tuple[Cidr, ...] = ()
    """Networks whose phones need no password. Their name must be one of `sip.accounts` all the same."""

    min_expires_s: Annotated[int, Field(ge=10, le=3600)] = 60
    """Phones that want to come back more often are told to wait so long."""

    max_expires_s: Annotated[int, Field(ge=60, le=86_400)] = 3600
    """The longest that a phone is believed to be there."""

    max_contacts: Annotated[int, Field(ge=1, le=50)] = 5
    """Phones under one name; with one more the oldest goes."""


def host_of(uri: str) -> str:
    """The host part of a checked SIP address, without the brackets of IPv6."""
    rest = uri.partition(":")[2].partition(";")[0].partition("?")[0].rpartition("@")[2]
    if rest.startswith("["):
        return rest[1:].partition("]")[0]
    return rest.partition(":")[0]


def literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The host as an address; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
