"""The section `sip.guard` of server.yaml: floods and scanners."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kallglot_media.config.types import Settings
from kallglot_media.sip.guard import GuardRules

_RULES = GuardRules()
PerS = Annotated[float, Field(gt=0, le=100_000)]


class Guard(Settings):
    """What sources may do. `sip.allow_from` and trunks are never banned, and only `invites_per_s` holds for them."""

    requests_per_s: PerS = _RULES.requests_per_s
    """New requests (calls, registrations, probes) from one other address; more are dropped, INVITEs answered 503."""

    strangers_per_s: PerS = _RULES.strangers_per_s
    """The same, from all other addresses together."""

    invites_per_s: Annotated[float, Field(ge=0, le=100_000)] = 200
    """New calls, from anybody; more are answered 503 at no cost. 0: no limit."""

    strikes: Annotated[int, Field(ge=1, le=10_000)] = _RULES.strikes
    """So many refusals and unreadable messages within a minute get another address banned."""

    ban_s: Annotated[float, Field(ge=0, le=604_800)] = _RULES.ban_s
    """How long a banned address is not listened to."""

    scanners: tuple[Annotated[str, Field(min_length=3)], ...] = _RULES.scanners
    """Parts of User-Agent that get another address banned at once."""

    def rules(self) -> GuardRules:
        """The same, as the SIP agent takes it."""
        return GuardRules(
            requests_per_s=self.requests_per_s,
            strangers_per_s=self.strangers_per_s,
            invites_per_s=self.invites_per_s,
            strikes=self.strikes,
            ban_s=self.ban_s,
            scanners=tuple(name.lower() for name in self.scanners),
        )
