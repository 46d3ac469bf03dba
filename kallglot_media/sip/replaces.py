"""Which call another one takes the place of: Replaces, RFC 3891."""

from __future__ import annotations

from dataclasses import dataclass

from kallglot_media.sip.dialog import DialogKey
from kallglot_media.sip.errors import SipError
from kallglot_media.sip.params import find_param, parse_params

_KIND = "bad_replaces"


@dataclass(frozen=True, slots=True)
class Replaces:
    """to_tag, from_tag: the tags of the one who is asked, and of its peer. early_only: not if it was answered."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False

    @classmethod
    def parse(cls, text: str) -> Replaces:
        """Raises SipError: call-id, to-tag and from-tag must be there. Section 6.1."""
        call_id, semicolon, rest = text.partition(";")
        params = parse_params(semicolon + rest, _KIND)
        to_tag, from_tag = find_param(params, "to-tag"), find_param(params, "from-tag")
        if not call_id.strip() or to_tag is None or from_tag is None:
            raise SipError(_KIND, "Replaces needs a Call-ID, to-tag and from-tag")
        return cls(call_id.strip(), to_tag, from_tag, find_param(params, "early-only") is not None)

    def __str__(self) -> str:
        early = ";early-only" if self.early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early}"

    @property
    def key(self) -> DialogKey:
        """The dialog as the one who is asked knows it. RFC 2543 peers have no tag, which is written as 0."""
        return (self.call_id, self.to_tag, "" if self.from_tag == "0" else self.from_tag)


def replacing(key: DialogKey) -> Replaces:
    """What the far end of our dialog is told, so that it finds it: our tag is its from-tag."""
    call_id, ours, theirs = key
    return Replaces(call_id, theirs or "0", ours)
