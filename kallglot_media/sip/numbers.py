"""Telephone numbers as trunks write them, and as +E.164 in between. ITU-T E.164 and E.123."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_VISUAL = re.compile(r"[ .()/\-]")
_E164 = re.compile(r"\+[1-9][0-9]{3,14}")
_DIGITS = re.compile(r"[0-9]+")

Style = Literal["e164", "digits", "national"]


@dataclass(frozen=True, slots=True)
class NumberPlan:
    """How one trunk writes numbers.

    country_code          of the country that national numbers are of, "49"; None: none are rewritten
    national_prefix       before a national number: "0" in most of Europe, "1" in North America, "" in Spain
    international_prefix  before a country code: "00", in North America "011"
    bare_international    a number without any prefix begins with its country code, as many carriers send it
    send_as               what the trunk is sent: "+4930123" (e164), "4930123" (digits), "030123" (national)
    """

    country_code: str | None = None
    national_prefix: str = "0"
    international_prefix: str = "00"
    bare_international: bool = False
    send_as: Style = "e164"

    def to_e164(self, text: str) -> str:
        """What the trunk sent, as +E.164; what is no such number (a name, 110, an extension) as it is.

        NumberPlan("49").to_e164("030/1234-56") == "+4930123456"
        """
        plain = _VISUAL.sub("", text)
        if plain.startswith("+"):
            found = plain
        elif not _DIGITS.fullmatch(plain):
            return text
        elif self.international_prefix and plain.startswith(self.international_prefix):
            found = "+" + plain[len(self.international_prefix) :]
        elif self.country_code and self.national_prefix and plain.startswith(self.national_prefix):
            found = f"+{self.country_code}{plain[len(self.national_prefix) :]}"
        elif self.bare_international:
            found = "+" + plain
        else:
            return text
        return found if is_e164(found) else text

    def from_e164(self, number: str) -> str:
        """A +E.164 number as the trunk wants it; anything else as it is.

        NumberPlan("49", send_as="national").from_e164("+43123456") == "0043123456". What would be read as a number
        abroad when written as a national one goes with its country code: +49043123 as 0043123 would reach Austria.
        """
        if not is_e164(number) or self.send_as == "e164":
            return number
        if self.send_as == "digits":
            return number[1:]
        if self.country_code and number.startswith(f"+{self.country_code}"):
            national = self.national_prefix + number[1 + len(self.country_code) :]
            if not (self.international_prefix and national.startswith(self.international_prefix)):
                return national
        return self.international_prefix + number[1:]


def is_e164(text: str) -> bool:
    """ "+4930123456": a plus, a country code and at most 15 digits."""
    return _E164.fullmatch(text) is not None
