"""The kinds of value that settings are made of, each with its own check and mend."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from kallglot_media.config.languages import LANGUAGES, guess_language

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


def bad(wrong: str, mend: str, *, at: str | None = None) -> PydanticCustomError:
    """The error that a check raises. at: the setting inside the section that is to blame.

    Both texts pass as values, not as templates: what a person wrote may hold braces.
    """
    return PydanticCustomError("kallglot", "{wrong}", {"wrong": wrong, "mend": mend, "at": at})


class Settings(BaseModel):
    """A section of a file: unknown settings are mistakes, nothing is converted in silence.

    A section that is there but empty (every line commented out) has its defaults.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_is_default(cls, value: Any) -> Any:
        return {} if value is None else value


def _path(value: object) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value or "\0" in value:
        raise bad(f"is {value!r}, not a path", 'write a path, e.g. "../data"')
    return Path(value)


def _language(value: object) -> str:
    if isinstance(value, str) and value in LANGUAGES:
        return value
    guess = guess_language(value) if isinstance(value, str) else None
    if guess:
        raise bad(f"is {value!r}, not a language code", f"did you mean '{guess}' ({LANGUAGES[guess]})?")
    raise bad(f"is {value!r}, not a language code", "write two letters of ISO 639-1, e.g. de, en, es or fr")


def _cidr(value: object) -> IpNetwork:
    if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return value
    mend = 'write an address or a network, e.g. "192.0.2.17" or "10.0.0.0/8"'
    if not isinstance(value, str):
        raise bad(f"is {value!r}, not a network", mend)
    try:
        return ipaddress.ip_network(value)
    except ValueError:
        pass
    try:
        wide = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise bad(f"is {value!r}, not a network", mend) from None
    raise bad(f"is {value!r}, an address inside a network", f'write the network "{wide}" or the address alone')


def _bind_host(value: object) -> str:
    mend = "write the IP address of an interface of this machine, 127.0.0.1 for this machine only, or 0.0.0.0 for all"
    if not isinstance(value, str):
        raise bad(f"is {value!r}, not an IP address", mend)
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise bad(f"is {value!r}, not an IP address", mend) from None


_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")


def is_host(text: str) -> bool:
    """Whether `text` is an IP address (IPv6 in brackets or bare) or a host name."""
    try:
        ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return len(text) <= 253 and _HOST_NAME.fullmatch(text) is not None and not re.fullmatch(r"[0-9.]+", text)
    return True


def _external_host(value: object) -> str:
    if not isinstance(value, str) or not is_host(value):
        raise bad(f"is {value!r}, not an address", "write the IP address or name that peers reach this machine by")
    try:
        unspecified = ipaddress.ip_address(value).is_unspecified
    except ValueError:
        unspecified = False
    if unspecified:
        raise bad(f"is {value!r}, which no peer can send to", "write the address that peers reach this machine by")
    return value


_SIP_URI = re.compile(r"(?P<scheme>sips?):((?P<user>[^@\s<>\"]+)@)?(?P<host>\[[0-9a-fA-F:.]+\]|[^@:;?\s<>\"]+)"
                      r"(:(?P<port>[0-9]{1,5}))?(?P<rest>[;?][^\s<>\"]*)?", re.IGNORECASE)  # fmt: skip


def _sip_uri(value: object) -> str:
    mend = 'write a SIP address in quotes, e.g. "sip:agent@192.0.2.20:5060"'
    if not isinstance(value, str):
        raise bad(f"is {value!r}, not a SIP address", mend)
    match = _SIP_URI.fullmatch(value)
    if match is None and _SIP_URI.fullmatch(f"sip:{value}"):
        raise bad(f"is {value!r}, not a SIP address", f'did you mean "sip:{value}"?')
    if match is None or not is_host(match["host"]):
        raise bad(f"is {value!r}, not a SIP address", mend)
    if match["port"] and not 1 <= int(match["port"]) <= 65_535:
        raise bad(f"has port {match['port']}", "write a port from 1 to 65535, or leave it out")
    return value


def _level(value: object) -> object:
    if isinstance(value, str) and value != "off":
        raise bad(f"is {value!r}, not a level", "write a number of dB from -60 to 0, or off")
    return None if value == "off" else value


def once_each(codecs: tuple[Codec, ...]) -> tuple[Codec, ...]:
    """Raises when a codec is listed twice."""
    for index, codec in enumerate(codecs):
        if codec in codecs[:index]:
            raise bad(f"is '{codec}' again", "write each codec once", at=f"{index}")
    return codecs


Codec = Literal["opus", "G722", "PCMU", "PCMA"]
"""A codec's name in SDP."""

ConfigPath = Annotated[Path, PlainValidator(_path), WithJsonSchema({"type": "string"})]
"""A file or folder; when relative, it starts at the folder of the file it is written in."""

Language = Annotated[str, PlainValidator(_language), WithJsonSchema({"type": "string", "enum": sorted(LANGUAGES)})]
"""An ISO 639-1 code."""

Cidr = Annotated[IpNetwork, PlainValidator(_cidr), WithJsonSchema({"type": "string", "examples": ["10.0.0.0/8"]})]
"""A network, or one address."""

BindHost = Annotated[str, PlainValidator(_bind_host), WithJsonSchema({"type": "string"})]
"""An IP address of this machine."""

ExternalHost = Annotated[str, PlainValidator(_external_host), WithJsonSchema({"type": "string"})]
"""An IP address or a name."""

SipUri = Annotated[str, PlainValidator(_sip_uri), WithJsonSchema({"type": "string", "pattern": "^sips?:"})]
"""A SIP or SIPS URI, RFC 3261 section 19.1."""

Port = Annotated[int, Field(ge=1, le=65_535)]

LevelDb = Annotated[
    Annotated[float, Field(ge=-60, le=0)] | None,
    BeforeValidator(_level),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": -60, "maximum": 0}, {"const": "off"}]}),
]
"""A level in dB against the talker's own voice, 0 or less; `off` (or null): not heard."""
