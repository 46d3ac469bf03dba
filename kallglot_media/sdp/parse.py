"""Session descriptions, RFC 8866, as phones really send them.

Accepted although the RFC forbids it: LF or CR alone as line end, empty lines, a
missing o=, s= or t=, an rtpmap that makes no sense (its payload type stays
unknown). Refused: lines that are not `x=value`, and m= or c= lines that cannot be
read, because a guess there sends a voice to the wrong place.
"""

from __future__ import annotations

import re

from kallglot_media.sdp.types import (
    STATIC_ENCODINGS,
    Direction,
    Encoding,
    MediaLine,
    MediaLineDraft,
    SdpError,
    SessionDescription,
)

_LONGEST_BYTES = 65_536
_MOST_MEDIA_LINES = 64
_LINE_END = re.compile(r"\r\n|\n|\r")
_RTPMAP = re.compile(r"(\d{1,3})\s+([^\s/]+)/(\d{1,9})(?:/(\d{1,3}))?\s*$", re.ASCII)
_HOST = re.compile(r"[0-9A-Za-z:.%_-]{1,255}$", re.ASCII)
_DIRECTIONS = {str(direction): direction for direction in Direction}


def parse_sdp(body: bytes) -> SessionDescription:
    """The description in `body`; SdpError says which line is wrong. RFC 8866 section 5."""
    if len(body) > _LONGEST_BYTES:
        raise SdpError(f"{len(body)} bytes of SDP, {_LONGEST_BYTES} are read")
    reader = _Reader()
    for number, line in enumerate(_LINE_END.split(body.decode("utf-8", "replace").rstrip("\0")), 1):
        if line.strip():
            reader.line(number, line)
    return reader.finish()


class _Reader:
    def __init__(self) -> None:
        self._seen_version = False
        self._origin: str | None = None
        self._host: str | None = None
        self._family: str | None = None
        self._attributes: list[tuple[str, str | None]] = []
        self._media: list[MediaLineDraft] = []

    def line(self, number: int, line: str) -> None:
        if line[1:2] != "=" or not line[0].isalpha():
            raise SdpError(f"line {number} is {line[:40]!r}, expected a letter and '='")
        kind, value = line[0], line[2:].strip()
        if not self._seen_version and (kind, value) != ("v", "0"):
            raise SdpError(f"line {number} is {line[:40]!r}, SDP starts with 'v=0'")
        self._seen_version = True
        if kind == "o":
            self._origin = value
        elif kind == "c":
            self._connection(number, value)
        elif kind == "m":
            self._start_media(number, value)
        elif kind == "a":
            self._attribute(value)

    def finish(self) -> SessionDescription:
        if not self._seen_version:
            raise SdpError("the body is empty, SDP starts with 'v=0'")
        session_direction = _direction(self._attributes, Direction.SENDRECV)
        return SessionDescription(
            self._origin,
            tuple(self._finish_media(draft, session_direction) for draft in self._media),
            tuple(self._attributes),
        )

    def _connection(self, number: int, value: str) -> None:
        """RFC 8866 section 5.7; a multicast TTL or count after '/' is cut off."""
        parts = value.split()
        if len(parts) != 3 or parts[0].upper() != "IN" or parts[1].upper() not in ("IP4", "IP6"):
            raise SdpError(f"line {number} is 'c={value[:60]}', expected 'c=IN IP4 address' or 'c=IN IP6 address'")
        host = parts[2].split("/")[0]
        if not _HOST.match(host):
            raise SdpError(f"line {number}: {host[:60]!r} is neither an address nor a name")
        target = self._media[-1] if self._media else None
        if target is not None:
            target.host, target.family = host, parts[1].upper()
        else:
            self._host, self._family = host, parts[1].upper()

    def _start_media(self, number: int, value: str) -> None:
        """RFC 8866 section 5.14: m=<media> <port>[/<number of ports>] <proto> <fmt> …"""
        parts = value.split()
        if len(parts) < 4:
            raise SdpError(f"line {number} is 'm={value[:60]}', expected media, port, protocol and formats")
        port_text = parts[1].split("/")[0]
        if not (port_text.isascii() and port_text.isdigit()) or len(port_text) > 5 or int(port_text) > 65_535:
            raise SdpError(f"line {number}: port is {parts[1][:20]!r}, expected 0 to 65535")
        if len(self._media) == _MOST_MEDIA_LINES:
            raise SdpError(f"line {number}: more than {_MOST_MEDIA_LINES} m-lines")
        self._media.append(MediaLineDraft(parts[0].lower(), int(port_text), parts[2], tuple(parts[3:])))

    def _attribute(self, value: str) -> None:
        name, colon, argument = value.partition(":")
        target = self._media[-1].attributes if self._media else self._attributes
        target.append((name.strip().lower(), argument.strip() if colon else None))

    def _finish_media(self, draft: MediaLineDraft, session_direction: Direction) -> MediaLine:
        return MediaLine(
            kind=draft.kind,
            port=draft.port,
            protocol=draft.protocol,
            formats=draft.formats,
            host=draft.host if draft.host is not None else self._host,
            family=draft.family if draft.family is not None else self._family,
            direction=_direction(draft.attributes, session_direction),
            encodings=_encodings(draft),
            ptime_ms=_milliseconds(draft.attributes, "ptime") or _milliseconds(self._attributes, "ptime"),
            maxptime_ms=_milliseconds(draft.attributes, "maxptime") or _milliseconds(self._attributes, "maxptime"),
            attributes=tuple(draft.attributes),
        )


def _direction(attributes: list[tuple[str, str | None]], otherwise: Direction) -> Direction:
    """The last direction attribute; media level beats session level (RFC 8866 section 6.7)."""
    for name, _ in reversed(attributes):
        if name in _DIRECTIONS:
            return _DIRECTIONS[name]
    return otherwise


def _milliseconds(attributes: list[tuple[str, str | None]], name: str) -> int | None:
    """a=ptime:20. Some phones write 20.0; nonsense counts as not said."""
    for have, value in attributes:
        if have == name and value is not None:
            whole = value.split(".")[0].strip()
            if whole.isascii() and whole.isdigit() and len(whole) <= 4 and int(whole) > 0:
                return int(whole)
    return None


def _encodings(draft: MediaLineDraft) -> tuple[Encoding, ...]:
    """What each payload type of an RTP m-line means: its rtpmap, else RFC 3551 table 4."""
    if "RTP" not in draft.protocol.upper():
        return ()
    maps: dict[int, tuple[str, int, int]] = {}
    fmtps: dict[str, str] = {}
    for name, value in draft.attributes:
        if name == "rtpmap" and value is not None and (found := _RTPMAP.match(value)):
            maps.setdefault(int(found[1]), (found[2], int(found[3]), int(found[4] or 1)))
        elif name == "fmtp" and value is not None:
            number, _, parameters = value.partition(" ")
            fmtps.setdefault(number, parameters.strip())
    return tuple(
        _encoding(int(number), maps, fmtps.get(number))
        for number in draft.formats
        if number.isascii() and number.isdigit() and len(number) <= 3 and int(number) <= 127
    )


def _encoding(number: int, maps: dict[int, tuple[str, int, int]], fmtp: str | None) -> Encoding:
    if number in maps:
        return Encoding(number, *maps[number], fmtp=fmtp)
    static = STATIC_ENCODINGS.get(number)
    if static is not None:
        return Encoding(number, static.name, static.clock_hz, static.channels, fmtp)
    return Encoding(number, "payload type", 0, fmtp=fmtp)
