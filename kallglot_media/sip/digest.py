"""Digest authentication in both roles. RFC 3261 section 22, RFC 7616, RFC 8760.

Credentials that a peer gets wrong are its mistake: nothing here raises for them.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from kallglot_media.ids import Ids
from kallglot_media.sip.digest_scheme import (
    STRENGTH,
    SUPPORTED,
    base_algorithm,
    digest_hash,
    digest_response,
    parse_digest,
)
from kallglot_media.sip.message import Request, Response
from kallglot_media.sip.params import quote
from kallglot_media.sip.passwords import Password, ha1

NONCE_LIFE_S = 300.0
"""A nonce older than this is answered with stale=true; clients then sign again without asking anybody."""
MAX_USED_NONCES = 10_000
"""Nonces whose count is remembered. Only somebody with a valid password gets one in."""


# -- client --


@dataclass(frozen=True, slots=True)
class Challenge:
    """One WWW-Authenticate or Proxy-Authenticate that we can answer.

    algorithm  as the server wrote it, "MD5" when it did not
    qop        "auth" or "auth-int"; None for a server of RFC 2069
    userhash   the server knows users by the hash of their name, too (RFC 7616 section 3.4.4)
    """

    is_proxy: bool
    realm: str
    nonce: str
    algorithm: str
    qop: str | None
    opaque: str | None
    stale: bool
    userhash: bool = False


def read_challenges(response: Response, can: Callable[[Challenge], bool] | None = None) -> list[Challenge]:
    """The challenges of a 401 or 407 that we can answer: the strongest algorithm of each realm.

    RFC 8760 section 2.4 takes the topmost supported one "unless a local policy dictates otherwise": ours is the
    strongest, so that a misconfigured server does not get an MD5 from us. Others are passed over in silence.
    can: whether there is a password for one; with a hashed one not each algorithm can be answered.
    """
    best: dict[tuple[bool, str], Challenge] = {}
    for name, is_proxy in (("WWW-Authenticate", False), ("Proxy-Authenticate", True)):
        for value in response.headers.all(name):
            challenge = _read_challenge(value, is_proxy)
            if challenge is None or (can is not None and not can(challenge)):
                continue
            key = (is_proxy, challenge.realm)
            if key not in best or _strength(challenge) > _strength(best[key]):
                best[key] = challenge
    return list(best.values())


class DigestClient:
    """One user's credentials, and the nonces that servers gave for them. Signs later requests without being asked.

    Use: send; on 401 or 407 call challenged(); when it says True, sign() the request (with a new branch and a
    higher CSeq) and send it again.
    """

    def __init__(self, username: str, password: Password) -> None:
        self._username = username
        self._password = password
        self._signing: dict[tuple[bool, str], _Signing] = {}

    def challenged(self, response: Response, cnonce: str) -> bool:
        """Take the challenges of a 401 or 407; False when sending again is of no use.

        That is when none can be answered, or when the server has just refused our answer: the password is wrong.
        A server that calls its own fresh nonce stale is believed once. `cnonce` comes from Ids.nonce().
        """
        useful = False
        for challenge in read_challenges(response, self._can):
            key = (challenge.is_proxy, challenge.realm)
            known = self._signing.get(key)
            # Used more often than once, it has worked before: an expired nonce, whether or not the server says so.
            refused = known is not None and known.count == 1 and (known.challenge.stale or not challenge.stale)
            useful = useful or not refused
            self._signing[key] = _Signing(challenge, cnonce)
        return useful

    def _can(self, challenge: Challenge) -> bool:
        return _ha1(challenge, self._username, self._password) is not None

    def sign(self, request: Request) -> None:
        """Put Authorization and Proxy-Authorization on `request`, in place of those it has. RFC 3261 section 22.4."""
        request.headers.remove("Authorization")
        request.headers.remove("Proxy-Authorization")
        for signing in self._signing.values():
            name = "Proxy-Authorization" if signing.challenge.is_proxy else "Authorization"
            request.headers.add(name, signing.credentials(self._username, self._password, request))


@dataclass(slots=True)
class _Signing:
    challenge: Challenge
    cnonce: str
    count: int = 0

    def credentials(self, username: str, password: Password, request: Request) -> str:
        self.count += 1
        challenge, uri, count = self.challenge, str(request.uri), f"{self.count:08x}"
        secret = _ha1(challenge, username, password)
        assert secret is not None  # challenged() has looked
        answer = digest_response(
            algorithm=challenge.algorithm,
            ha1=secret,
            nonce=challenge.nonce,
            cnonce=self.cnonce,
            nonce_count=count,
            qop=challenge.qop,
            method=request.method,
            uri=uri,
            body=request.body,
        )
        name = digest_hash(_base(challenge), f"{username}:{challenge.realm}") if challenge.userhash else username
        parts = [
            f"username={quote(name)}",
            f"realm={quote(challenge.realm)}",
            f"nonce={quote(challenge.nonce)}",
            f"uri={quote(uri)}",
            f'response="{answer}"',
            f"algorithm={challenge.algorithm}",
        ]
        if challenge.qop is not None:
            parts += [f"cnonce={quote(self.cnonce)}", f"qop={challenge.qop}", f"nc={count}"]
        elif challenge.algorithm.upper().endswith("-SESS"):
            parts.append(f"cnonce={quote(self.cnonce)}")
        if challenge.userhash:
            parts.append("userhash=true")
        if challenge.opaque is not None:
            parts.append(f"opaque={quote(challenge.opaque)}")
        return "Digest " + ", ".join(parts)


def _read_challenge(value: str, is_proxy: bool) -> Challenge | None:
    params = parse_digest(value)
    if params is None or "realm" not in params or "nonce" not in params:
        return None
    algorithm = params.get("algorithm", "MD5")
    if base_algorithm(algorithm) is None:
        return None
    offered = [name.strip(" \t").lower() for name in params["qop"].split(",")] if "qop" in params else []
    qop = next((name for name in ("auth", "auth-int") if name in offered), None)
    if offered and qop is None:
        return None
    stale, userhash = (params.get(name, "").lower() == "true" for name in ("stale", "userhash"))
    return Challenge(is_proxy, params["realm"], params["nonce"], algorithm, qop, params.get("opaque"), stale, userhash)


def _base(challenge: Challenge) -> str:
    base = base_algorithm(challenge.algorithm)
    assert base is not None  # _read_challenge has looked
    return base


def _strength(challenge: Challenge) -> int:
    return STRENGTH.index(_base(challenge))


def _ha1(challenge: Challenge, username: str, password: Password) -> str | None:
    return ha1(password, _base(challenge), username, challenge.realm)


# -- server --


class Refused(StrEnum):
    """Why a request is not let in; fixed names to count by."""

    NO_CREDENTIALS = "no_credentials"
    BAD_CREDENTIALS = "bad_credentials"
    """Not Digest, malformed, or an algorithm or qop that was not offered."""
    STALE = "stale"
    """Right, but with a nonce that is too old or has been used with this count: ask again with stale=true."""
    FOREIGN_NONCE = "foreign_nonce"
    """We did not make this nonce, or did before a restart."""
    WRONG_PASSWORD = "wrong_password"  # noqa: S105
    """Or an unknown user: who guesses names is not told which."""


@dataclass(frozen=True, slots=True)
class Verified:
    """The request is signed by this user."""

    username: str


class DigestServer:
    """Challenges requests and checks their answers, for one realm.

    Nonces carry their age and a keyed hash, so asking for a thousand costs us nothing to remember. Remembered, in
    a bounded table, is how often a nonce has been used, against replays (RFC 7616 section 5.12).

    lookup      user name -> password, plain or hashed for this realm; None for a stranger
    algorithms  offered, in any order; MD5 is there for phones of before 2020
    """

    def __init__(
        self,
        ids: Ids,
        realm: str,
        lookup: Callable[[str], Password | None],
        *,
        algorithms: Iterable[str] = ("SHA-256", "MD5"),
        is_proxy: bool = False,
    ) -> None:
        self.realm = realm
        self._ids = ids
        self._lookup = lookup
        self._is_proxy = is_proxy
        wanted = set(algorithms)
        self._algorithms = [name for name in reversed(SUPPORTED) if name in wanted]
        if not self._algorithms:
            raise ValueError(f"algorithms are {sorted(wanted)}, expected some of {', '.join(SUPPORTED)}")
        self._secret = "".join(ids.nonce() for _ in range(4)).encode()
        self._used: OrderedDict[str, int] = OrderedDict()

    @property
    def status(self) -> int:
        """What to refuse with: 401, or 407 as a proxy."""
        return 407 if self._is_proxy else 401

    def challenge_headers(self, now_s: float, *, stale: bool = False) -> list[tuple[str, str]]:
        """The headers for a 401 or 407: one per algorithm, the strongest first (RFC 8760 section 2.3)."""
        name = "Proxy-Authenticate" if self._is_proxy else "WWW-Authenticate"
        nonce = self._make_nonce(now_s)
        suffix = ", stale=true" if stale else ""
        return [
            (name, f'Digest realm={quote(self.realm)}, nonce="{nonce}", algorithm={one}, qop="auth,auth-int"{suffix}')
            for one in self._algorithms
        ]

    def check(self, request: Request, now_s: float) -> Verified | Refused:
        """Who signed `request`. A Refused.STALE should be challenged with stale=True.

        The URI that was signed is not compared with the Request-URI: proxies rewrite that (RFC 3261 section 22.4);
        replays for another target are stopped by the nonce count.
        """
        name = "Proxy-Authorization" if self._is_proxy else "Authorization"
        lines = request.headers.all(name)
        if not lines:
            return Refused.NO_CREDENTIALS
        for line in lines:
            params = parse_digest(line)
            if params is not None and params.get("realm") == self.realm:
                return self._check(dict(params), request, now_s)
        return Refused.BAD_CREDENTIALS if parse_digest(lines[0]) is None else Refused.NO_CREDENTIALS

    def _check(self, params: dict[str, str], request: Request, now_s: float) -> Verified | Refused:
        algorithm = params.get("algorithm", "MD5").upper()
        qop = params.get("qop")
        count = params.get("nc", "")
        if (
            algorithm not in self._algorithms
            or qop not in (None, "auth", "auth-int")
            or not {"username", "nonce", "uri", "response"} <= params.keys()
            or (qop is not None and (not _is_count(count) or "cnonce" not in params))
        ):
            return Refused.BAD_CREDENTIALS
        nonce = params["nonce"]
        made_s = self._read_nonce(nonce)
        if made_s is None:
            return Refused.FOREIGN_NONCE
        password = self._lookup(params["username"])
        secret = None if password is None else ha1(password, algorithm, params["username"], self.realm)
        expected = digest_response(
            algorithm=algorithm,
            ha1=secret or digest_hash(algorithm, "nobody"),
            nonce=nonce,
            cnonce=params.get("cnonce", ""),
            nonce_count=count,
            qop=qop,
            method=request.method,
            uri=params["uri"],
            body=request.body,
        )
        same = hmac.compare_digest(expected.encode(), params["response"].lower().encode())
        if secret is None or not same:
            return Refused.WRONG_PASSWORD
        # "stale [...] indicating that the previous request from the client was rejected because the nonce value was
        # stale": said only to who knows the password (RFC 7616 section 3.3).
        if not 0 <= now_s - made_s <= NONCE_LIFE_S or not self._use(nonce, int(count, 16) if qop else 1):
            return Refused.STALE
        return Verified(params["username"])

    def _use(self, nonce: str, count: int) -> bool:
        """Note a use of `nonce`; False when it has been used with this count or a higher one."""
        if count <= self._used.get(nonce, 0):
            return False
        self._used[nonce] = count
        self._used.move_to_end(nonce)
        if len(self._used) > MAX_USED_NONCES:
            self._used.popitem(last=False)
        return True

    def _make_nonce(self, now_s: float) -> str:
        made = f"{round(now_s * 1000):x}.{self._ids.nonce()}"
        return f"{made}.{self._seal(made)}"

    def _read_nonce(self, nonce: str) -> float | None:
        """When we made `nonce`, in seconds; None when we did not."""
        made, _, seal = nonce.rpartition(".")
        if not hmac.compare_digest(seal.encode(), self._seal(made).encode()):
            return None
        return int(made.partition(".")[0], 16) / 1000

    def _seal(self, made: str) -> str:
        return hmac.new(self._secret, made.encode(), sha256).hexdigest()[:32]


def _is_count(text: str) -> bool:
    return len(text) == 8 and all(character in "0123456789abcdefABCDEF" for character in text)
