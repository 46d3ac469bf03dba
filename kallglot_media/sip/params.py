"""`;name=value` lists, quoted strings and comma lists. RFC 3261 section 25.1, section 7.3.

Every pattern here is possessive or anchored, so that no text takes more than linear time.
"""

from __future__ import annotations

import re

from kallglot_media.sip.errors import SipError

Params = tuple[tuple[str, str | None], ...]
"""In order, names as written, values raw: a quoted string keeps its quotes."""

TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]"  # noqa: S105 - a character class, not a password
QUOTED = r'"[^"\\\r\n]*+(?:\\[^\r\n][^"\\\r\n]*+)*+"'
LWS = " \t"

# The value is read more widely than the RFC's token / host / quoted-string: base64 tags with "=" and unquoted
# UTF-8 are seen from real phones. What separates elements stays forbidden.
_PARAM = re.compile(
    rf"[ \t]*+;[ \t]*+({TOKEN}++)[ \t]*+(?:=[ \t]*+({QUOTED}|[^ \t\r\n;,\"<>]*+))?",
    re.DOTALL,
)
_LIST_PIECE = re.compile(rf"{QUOTED}|<[^<>]*+>|[^\",<]++|[\"<]", re.DOTALL)
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def parse_params(text: str, kind: str) -> Params:
    """Header parameters: `;tag=x ; q = 0.3;flag` -> (("tag", "x"), ("q", "0.3"), ("flag", None)).

    `text` is empty or starts with the first semicolon. `kind` names the SipError raised.
    """
    found: list[tuple[str, str | None]] = []
    at = 0
    while at < len(text):
        match = _PARAM.match(text, at)
        if match is None:
            if text[at:].strip(LWS):
                raise SipError(kind, f"parameter {len(found) + 1} is not ;name or ;name=value")
            break
        found.append((match[1], match[2]))
        at = match.end()
    return tuple(found)


def format_params(params: Params) -> str:
    """The wire form of `params`, without spaces."""
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in params])


def find_param(params: Params, name: str) -> str | None:
    """The unquoted value of the first parameter called `name` (lower case); "" for one without a value; else None."""
    for found, value in params:
        if found == name or found.lower() == name:
            if value is None:
                return ""
            return unquote(value) if value[:1] == '"' else value
    return None


def set_param(params: Params, name: str, value: str | None) -> Params:
    """`params` with `name` set to `value` where it stands, or appended."""
    replaced = tuple((found, value if found.lower() == name else old) for found, old in params)
    if any(found.lower() == name for found, _ in params):
        return replaced
    return (*params, (name, value))


def quote(text: str) -> str:
    """`text` as a quoted-string. Control characters are left out: qdtext has none, and no terminal should get them."""
    if not text.isprintable():
        text = _CONTROLS.sub("", text)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(text: str) -> str:
    """The text inside a quoted-string; text without quotes is given back as it is."""
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
        return _ESCAPED.sub(r"\1", text) if "\\" in text else text
    return text


def split_commas(text: str) -> list[str]:
    """The elements of a comma-separated header value; commas in quotes and in <> do not count. Empty ones are kept."""
    if "," not in text:
        return [text.strip(LWS)]
    elements: list[str] = []
    current: list[str] = []
    at = 0
    while at < len(text):
        if text[at] == ",":
            elements.append("".join(current).strip(LWS))
            current = []
            at += 1
            continue
        match = _LIST_PIECE.match(text, at)
        assert match is not None  # every character is in one of the alternatives
        current.append(match[0])
        at = match.end()
    elements.append("".join(current).strip(LWS))
    return elements


def parse_number(text: str, limit: int, kind: str, what: str) -> int:
    """Decimal digits up to `limit`; RFC 4475 section 3.1.2.4 sends numbers that no integer type holds."""
    # Length first: int() is quadratic, and the longest limit here has ten digits (leading zeros allowed for).
    if not (text.isascii() and text.isdigit()) or len(text) > 32 or (number := int(text)) > limit:
        raise SipError(kind, f"{what} is not a number from 0 to {limit}")
    return number
