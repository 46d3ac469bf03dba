"""Opening hours: days of the week and times of day in one time zone."""

from __future__ import annotations

import re
from datetime import datetime, time
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from kallglot_media.config.types import Settings, bad

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(r"(?P<hour>[01]?[0-9]|2[0-4]):(?P<minute>[0-5][0-9])")


def _clock(value: object) -> time:
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None or (match["hour"] == "24" and match["minute"] != "00"):
        raise bad(f"is {value!r}, no time of day", 'write it in quotes, e.g. "09:00"')
    if match["hour"] == "24":
        return time.max
    return time(int(match["hour"]), int(match["minute"]))


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise bad(f"is {value!r}, no time zone", "write one of the IANA names, e.g. Europe/Berlin") from None
    return value


ClockTime = Annotated[
    time, PlainValidator(_clock), WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,2}:[0-9]{2}$"})
]
"""A time of day; "24:00" is the end of the day."""

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Opening(Settings):
    """Some days of the week, from one time to another."""

    days: Annotated[tuple[Day, ...], Field(min_length=1, examples=[["mon", "tue"]])] = (
        "mon",
        "tue",
        "wed",
        "thu",
        "fri",
    )
    """Which days."""

    from_: Annotated[ClockTime, Field(alias="from", examples=["09:00"])]
    """From when on."""

    until: Annotated[ClockTime, Field(examples=["17:00"])]
    """Until when. Earlier than `from`: until then on the next day."""

    def holds(self, at: datetime) -> bool:
        """Whether it is open then."""
        now, today = at.time(), DAYS[at.weekday()]
        if self.from_ < self.until:
            return today in self.days and self.from_ <= now < self.until
        yesterday = DAYS[at.weekday() - 1]
        return (today in self.days and now >= self.from_) or (yesterday in self.days and now < self.until)


class Hours(Settings):
    """When somebody is there."""

    timezone: Annotated[str, AfterValidator(_zone), Field(examples=["Europe/Berlin"])] = "UTC"
    """Whose clock: an IANA name."""

    open: Annotated[tuple[Opening, ...], Field(min_length=1, examples=[[{"from": "09:00", "until": "17:00"}]])]
    """Any of these."""

    def holds(self, now: datetime) -> bool:
        """Whether it is open; now: with its time zone."""
        at = now.astimezone(ZoneInfo(self.timezone))
        return any(opening.holds(at) for opening in self.open)
