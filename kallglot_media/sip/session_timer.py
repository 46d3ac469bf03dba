"""Session timers, RFC 4028: how long a session lasts without a sign of life, and whose turn it is to give one.

Only the agreement is here, as headers in and headers out; `midcall.py` keeps the clock.
"""

from __future__ import annotations

from kallglot_media.sip.admission import Refusal
from kallglot_media.sip.errors import SipError
from kallglot_media.sip.message import Request, Response
from kallglot_media.sip.params import find_param, parse_params

LEAST_S = 90
"""RFC 4028 section 5: "the minimum for this field MUST be 90 seconds" for Min-SE, and so for Session-Expires."""

_MOST_S = 2**31 - 1
_BEFORE_THE_END_S = 32.0
_Header = tuple[str, str]


class SessionTimer:
    """What both ends of a dialog agreed on, last request counts.

    expires_s     what we wish for; 0: we ask for no timer, but keep to one that the peer asks for
    interval_s    what holds now; None: the session lasts until BYE
    we_refresh    whether the sign of life is ours to give
    """

    def __init__(self, expires_s: int = 1800, min_s: int = LEAST_S) -> None:
        self.interval_s: int | None = None
        self.we_refresh = False
        self._wish_s = expires_s
        self._min_s = min_s

    @property
    def refresh_after_s(self) -> float | None:
        """When to send a refresh, from the last agreement on; "half the session interval is RECOMMENDED" (10)."""
        return self.interval_s / 2 if self.interval_s is not None and self.we_refresh else None

    @property
    def end_after_s(self) -> float | None:
        """When to send BYE: "slightly before the session expiration. The minimum of 32 seconds and one third" (10)."""
        if self.interval_s is None:
            return None
        return self.interval_s - min(_BEFORE_THE_END_S, self.interval_s / 3)

    # ── when we ask ─────────────────────────────────────────────────────────────

    def request_headers(self) -> list[_Header]:
        """For INVITE, re-INVITE and UPDATE: what we wish for, or what holds. Sections 7.1 and 7.4."""
        if self.interval_s is not None:
            # 7.4: "it is RECOMMENDED that the refresher parameter be set to 'uac' if the element sending
            #  the request is currently performing refreshes, else 'uas'."
            who = "uac" if self.we_refresh else "uas"
            return [("Session-Expires", f"{self.interval_s};refresher={who}"), ("Min-SE", str(self._min_s))]
        if not self._wish_s:
            return []
        return [("Session-Expires", str(max(self._wish_s, self._min_s))), ("Min-SE", str(self._min_s))]

    def raised_by(self, response: Response) -> bool:
        """A 422: take the peer's Min-SE over; False when it says nothing that we could ask for instead. Section 7.3."""
        least_s = _seconds(response.headers.first("Min-SE"))
        if response.status != 422 or least_s is None or least_s <= self._min_s:
            return False
        self._min_s = least_s
        if self.interval_s is not None:
            self.interval_s = max(self.interval_s, least_s)
        return True

    def agreed(self, response: Response) -> None:
        """A 2xx to our request: its Session-Expires holds; without one "there is no session expiration" (7.2)."""
        interval_s, who = _session_expires(response)
        if interval_s is None:
            self.interval_s = None
            return
        self.interval_s = max(interval_s, min(LEAST_S, self._min_s))
        self.we_refresh = who != "uas"

    # ── when we are asked ───────────────────────────────────────────────────────

    def objection(self, request: Request) -> Refusal | None:
        """422 with Min-SE for an interval that is too short, if the peer knows what that means. Section 9."""
        wished_s, _ = _session_expires(request)
        if wished_s is None or wished_s >= self._min_s or not _speaks_timer(request):
            return None
        return Refusal(422, (("Min-SE", str(self._min_s)),))

    def answer_headers(self, request: Request) -> list[_Header]:
        """For our 2xx to INVITE, re-INVITE and UPDATE; what they say holds from now on. Section 9, table 2."""
        wished_s, who = _session_expires(request)
        speaks = _speaks_timer(request)
        if wished_s is None and (not speaks or not (self._wish_s or self.interval_s)):
            self.interval_s = None
            return []
        had_one = self.interval_s is not None
        least_s = max(_seconds(request.headers.first("Min-SE")) or 0, self._min_s)
        longest_s = self._wish_s or _MOST_S
        self.interval_s = max(least_s, min(wished_s or self.interval_s or longest_s, longest_s))
        if not speaks:
            self.we_refresh = True
        elif who is not None:
            self.we_refresh = who == "uas"
        elif not had_one:
            self.we_refresh = True
        headers = [("Session-Expires", f"{self.interval_s};refresher={'uas' if self.we_refresh else 'uac'}")]
        if speaks:
            # "MUST place a Require header field into the response with the value 'timer'" when the UAC refreshes,
            # SHOULD when we do: then the UAC knows that it may end the session.
            headers.append(("Require", "timer"))
        return headers


def _speaks_timer(request: Request) -> bool:
    tags = [*request.headers.values("Supported"), *request.headers.values("Require")]
    return any(tag.strip().lower() == "timer" for tag in tags)


def _session_expires(message: Request | Response) -> tuple[int | None, str | None]:
    """(seconds, "uac" or "uas" or None); seconds None when there is no such header or it makes no sense."""
    value = message.headers.first("Session-Expires")
    if value is None:
        return None, None
    digits, semicolon, rest = value.partition(";")
    try:
        who = find_param(parse_params(semicolon + rest, "bad_session_expires"), "refresher")
    except SipError:
        who = None
    who = who.lower() if who else None
    return _seconds(digits), who if who in ("uac", "uas") else None


def _seconds(text: str | None) -> int | None:
    """delta-seconds, parameters cut off."""
    digits = (text or "").split(";")[0].strip()
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 10:
        return None
    return min(int(digits), _MOST_S)
