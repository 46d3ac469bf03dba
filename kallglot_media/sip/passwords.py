"""Passwords as digest needs them: plain, or as the hash that stands for them. RFC 7616 section 3.4.2.

H(user:realm:password) is all that digest ever computes with, so it can be stored in the password's place. It is
good for one user in one realm, and no secret is lost with it that another realm would take.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import quote, unquote

from kallglot_media.sip.digest_scheme import SUPPORTED, digest_hash

_MARK = "$ha1$"
_LENGTHS = {"MD5": 32, "SHA-256": 64, "SHA-512-256": 64}


@dataclass(frozen=True, slots=True)
class HashedPassword:
    """A password's hashes, one for each algorithm. As text: `$ha1$REALM$SHA-256=…$MD5=…`.

    hashes  algorithm -> H(user:realm:password), lower-case hexadecimal
    """

    realm: str
    hashes: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, username: str, realm: str, password: str, algorithms: Iterable[str] = SUPPORTED) -> Self:
        """Hash a password."""
        return cls(realm, {name: digest_hash(name, f"{username}:{realm}:{password}") for name in algorithms})

    @classmethod
    def parse(cls, text: str) -> Self:
        """The text form back. Raises ValueError that says what is wrong, without the hash in it."""
        realm, *pairs = text.removeprefix(_MARK).split("$")
        if not text.startswith(_MARK) or not realm or not pairs:
            raise ValueError(f"a hashed password is {_MARK}REALM$ALGORITHM=HASH…")
        hashes: dict[str, str] = {}
        for pair in pairs:
            name, _, value = pair.partition("=")
            if name not in _LENGTHS:
                raise ValueError(f"{name[:20]!r} is none of the algorithms {', '.join(_LENGTHS)}")
            if len(value) != _LENGTHS[name] or not set(value) <= set("0123456789abcdef"):
                raise ValueError(f"the {name} hash is not {_LENGTHS[name]} lower-case hexadecimal digits")
            hashes[name] = value
        return cls(unquote(realm), hashes)

    def __str__(self) -> str:
        return _MARK + "$".join(
            [quote(self.realm, safe=" "), *(f"{name}={value}" for name, value in self.hashes.items())]
        )


Password = str | HashedPassword


def read_password(text: str) -> Password:
    """What somebody stored: a hash when it starts with `$ha1$`, else the password itself. Raises ValueError."""
    return HashedPassword.parse(text) if text.startswith(_MARK) else text


def ha1(password: Password, algorithm: str, username: str, realm: str) -> str | None:
    """H(A1) without "-sess"; None when the password is hashed for another realm or without this algorithm."""
    if isinstance(password, str):
        return digest_hash(algorithm, f"{username}:{realm}:{password}")
    return password.hashes.get(algorithm) if password.realm == realm else None
