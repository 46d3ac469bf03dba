"""Header fields as an ordered multimap. RFC 3261 section 7.3."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from kallglot_media.sip.params import LWS, split_commas

T = TypeVar("T")

_COMPACT = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "n": "Identity-Info",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}
"""The IANA registry of compact forms (RFC 3261 7.3.3, 3515, 3841, 3892, 4028, 4474, 6665)."""

_KNOWN = (
    "Accept Accept-Encoding Accept-Language Alert-Info Allow Authentication-Info Authorization Call-ID Call-Info "
    "Contact Content-Disposition Content-Encoding Content-Language Content-Length Content-Type CSeq Date Diversion "
    "Error-Info Event Expires From History-Info In-Reply-To Max-Forwards MIME-Version Min-Expires Min-SE "
    "Organization P-Asserted-Identity P-Preferred-Identity Path Priority Privacy Proxy-Authenticate "
    "Proxy-Authorization Proxy-Require RAck Reason Record-Route Refer-To Referred-By Replaces Reply-To Require "
    "Retry-After Route RSeq Server Session-Expires Subject Subscription-State Supported Timestamp To Unsupported "
    "User-Agent Via Warning WWW-Authenticate "
)

_KEYS: dict[str, str] = {}
"""Spelling -> the one name used here. Only fixed spellings are in it, so a peer cannot make it grow."""
for _name in [*_KNOWN.split(), *_COMPACT.values()]:
    _KEYS.update({_name: _name, _name.lower(): _name, _name.upper(): _name})
for _short, _name in _COMPACT.items():
    _KEYS.update({_short: _name, _short.upper(): _name})

known_name = _KEYS.get
"""The name used here for a usual spelling of a registered header, else None."""

Item = tuple[str, str, str]
"""(key to compare by, name to write, value)"""


def canonical(name: str) -> str:
    """The name all spellings of a header share: `v`, `VIA` -> "Via"; unknown ones in lower case."""
    return _KEYS.get(name) or _KEYS.get(name.lower()) or name.lower()


class Headers:
    """An ordered multimap. Via, Route and Record-Route occur many times and their order is the route home,
    so a dict[str, str] loses calls. RFC 3261 section 7.3.1. Names compare case-insensitively; compact forms are
    expanded.
    """

    __slots__ = ("_first", "_items", "_parsed")

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items: list[Item] = []
        self._parsed: dict[str, object] = {}
        self._first: dict[str, str] | None = None
        """Key to the value of its first line, made when it is first wanted after a change."""
        for name, value in items:
            self.add(name, value)

    @classmethod
    def of_items(cls, items: list[Item], first: dict[str, str] | None = None) -> Headers:
        """From ready (key, name, value) triples that are known to hold no line ends: the parser's way in.

        first  key to the value of its first line, when the caller has made it anyway
        """
        self = cls.__new__(cls)
        self._items = items
        self._parsed = {}
        self._first = first
        return self

    def add(self, name: str, value: str) -> None:
        """Append a header line. Raises ValueError for a line end in it: that would be two headers."""
        self._items.append(self._item(name, value))

    def insert_first(self, name: str, value: str) -> None:
        """Put a header line before all others of its name (a Via going out)."""
        item = self._item(name, value)
        at = next((i for i, other in enumerate(self._items) if other[0] == item[0]), 0)
        self._items.insert(at, item)

    def set(self, name: str, value: str) -> None:
        """Replace all lines of this name by one, at the place of the first."""
        item = self._item(name, value)
        at = next((i for i, other in enumerate(self._items) if other[0] == item[0]), len(self._items))
        self._items = [other for other in self._items if other[0] != item[0]]
        self._items.insert(at, item)

    def replace_first(self, name: str, value: str) -> None:
        """Replace the first line of this name, or append one."""
        item = self._item(name, value)
        at = next((i for i, other in enumerate(self._items) if other[0] == item[0]), None)
        if at is None:
            self._items.append(item)
        else:
            self._items[at] = item

    def remove(self, name: str) -> None:
        """Remove all lines of this name; fine when there is none."""
        key = canonical(name)
        self._changed(key)
        self._items = [item for item in self._items if item[0] != key]

    def first(self, name: str) -> str | None:
        """The value of the first line of this name, not split at commas."""
        first = self._first
        if first is None:
            first = self._first = {}
            for key, _, value in self._items:
                first.setdefault(key, value)
        return first.get(_KEYS.get(name) or canonical(name))

    def all(self, name: str) -> list[str]:
        """One value per header line, not split at commas."""
        key = canonical(name)
        return [item[2] for item in self._items if item[0] == key]

    def values(self, name: str) -> list[str]:
        """The elements of all lines of this name, split at commas outside quotes and angle brackets.

        Not for WWW-Authenticate and its family, whose commas do not separate elements (section 7.3.1).
        """
        found: list[str] = []
        for line in self.all(name):
            if "," in line:
                found.extend(split_commas(line))
            else:
                found.append(line)
        return found

    def parsed(self, name: str, parse: Callable[[Headers], T]) -> T:
        """`parse(self)`, remembered until a header of this name changes. `parse` must be the same for each name."""
        key = _KEYS.get(name) or canonical(name)
        found = self._parsed.get(key)
        if found is None:
            found = self._parsed[key] = parse(self)
        return found  # type: ignore[return-value]

    def keep_parsed(self, name: str, value: object) -> None:
        """Remember `value` as what parsed() would make of the lines of this name now."""
        self._parsed[canonical(name)] = value

    def copy(self) -> Headers:
        """An independent copy."""
        copy = Headers.of_items(self._items.copy())
        copy._parsed = self._parsed.copy()
        return copy

    def items(self) -> list[Item]:
        """The (key, name, value) triples, in order; for reading only."""
        return self._items

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.first(name) is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((name, value) for _, name, value in self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return [(key, value) for key, _, value in self._items] == [(key, value) for key, _, value in other._items]

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Headers({list(self)!r})"

    def _item(self, name: str, value: str) -> Item:
        if "\n" in value or "\r" in value or "\n" in name or "\r" in name:
            raise ValueError(f"a line end in header {name!r} would start another header")
        key = canonical(name)
        self._changed(key)
        return (key, _KEYS.get(key, name), value.strip(LWS))

    def _changed(self, key: str) -> None:
        self._first = None
        self._parsed.pop(key, None)
