"""The messages as bytes: msgpack bodies behind a 4-byte length, over a stream socket.

A body is the array `[name, field, field, …]` in the order of the dataclass. The codec
of each message is made once from its type hints, so a new message needs no code here,
and what does not fit the hints is a `WireError` that names the message and the field.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from typing import Any

import msgpack

from kallglot_media.media.messages import FromMedia, ToMedia

LONGEST_MESSAGE_BYTES = 64 * 1024 * 1024
"""More than half an hour of speech at 16 kHz in one Play: more is a mistake, not a message."""

_LENGTH_BYTES = 4


class WireError(ValueError):
    """The bytes are no message: says which message and field, what is there and what belongs there."""


@dataclass(frozen=True, slots=True)
class _Codec:
    """How one type goes on the wire. `pack` trusts its caller, `unpack` trusts nobody."""

    pack: Callable[[Any], Any]
    unpack: Callable[[Any, str], Any]


def _same(value: Any) -> Any:
    return value


def _plain(kind: type) -> _Codec:
    """str, bytes, int, float, bool as they are; an int where a float belongs is welcome, a bool is no int."""
    accepted = {kind, int} if kind is float else {kind}

    def unpack(value: Any, where: str) -> Any:
        if type(value) not in accepted:
            raise WireError(f"{where}: expected {kind.__name__}, got {type(value).__name__}")
        return float(value) if kind is float else value

    return _Codec(_same, unpack)


def _enum(kind: type[StrEnum]) -> _Codec:
    def unpack(value: Any, where: str) -> Any:
        try:
            return kind(value)
        except ValueError:
            raise WireError(f"{where}: {value!r} is none of {', '.join(kind)}") from None

    return _Codec(str, unpack)


def _optional(inner: _Codec) -> _Codec:
    return _Codec(
        lambda value: None if value is None else inner.pack(value),
        lambda value, where: None if value is None else inner.unpack(value, where),
    )


def _tuple(inner: _Codec) -> _Codec:
    def unpack(value: Any, where: str) -> Any:
        if not isinstance(value, list):
            raise WireError(f"{where}: expected a list, got {type(value).__name__}")
        return tuple(inner.unpack(item, f"{where}[{n}]") for n, item in enumerate(value))

    return _Codec(lambda value: [inner.pack(item) for item in value], unpack)


def _mapping(key: _Codec, inner: _Codec) -> _Codec:
    def pack(value: Mapping[Any, Any]) -> Any:
        return {key.pack(k): inner.pack(v) for k, v in value.items()}

    def unpack(value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            raise WireError(f"{where}: expected a map, got {type(value).__name__}")
        return {key.unpack(k, where): inner.unpack(v, f"{where}.{k}") for k, v in value.items()}

    return _Codec(pack, unpack)


def _record(kind: type) -> _Codec:
    """A dataclass as a list of its fields, in order."""
    hints = typing.get_type_hints(kind)
    codecs = [(field.name, _codec_of(hints[field.name])) for field in fields(kind)]

    def pack(value: Any) -> Any:
        return [codec.pack(getattr(value, name)) for name, codec in codecs]

    def unpack(value: Any, where: str) -> Any:
        if not isinstance(value, list) or len(value) != len(codecs):
            got = f"{len(value)}" if isinstance(value, list) else type(value).__name__
            raise WireError(f"{where}: expected {len(codecs)} fields, got {got}")
        return kind(*(codec.unpack(item, f"{where}.{name}") for (name, codec), item in zip(codecs, value, strict=True)))

    return _Codec(pack, unpack)


def _codec_of(hint: Any) -> _Codec:
    """The codec of a type hint; a hint that no message used before is a TypeError at import."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union) and len(arguments) == 2 and arguments[1] is type(None):
        return _optional(_codec_of(arguments[0]))
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _tuple(_codec_of(arguments[0]))
    if origin is dict or origin is Mapping:
        return _mapping(_codec_of(arguments[0]), _codec_of(arguments[1]))
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _enum(hint)
    if is_dataclass(hint) and isinstance(hint, type):
        return _record(hint)
    if hint in (str, bytes, int, float, bool):
        return _plain(hint)
    raise TypeError(f"no way to put {hint!r} on the wire")


MESSAGES: Mapping[str, type] = {
    kind.__name__: kind for union in (ToMedia, FromMedia) for kind in typing.get_args(union)
}
"""Every message by its name on the wire."""

_CODECS = {name: _record(kind) for name, kind in MESSAGES.items()}


def encode(message: ToMedia | FromMedia) -> bytes:
    """`message` with its length in front, ready for the socket."""
    name = type(message).__name__
    body: bytes = msgpack.packb([name, *_CODECS[name].pack(message)], use_bin_type=True)
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


def decode(body: bytes) -> ToMedia | FromMedia:
    """The message in `body` (without the length). Raises WireError for anything else."""
    try:
        parts = msgpack.unpackb(body, raw=False, strict_map_key=True)
    except (ValueError, msgpack.UnpackException) as error:
        raise WireError(f"{len(body)} bytes are not msgpack: {error or type(error).__name__}") from None
    if not isinstance(parts, list) or not parts or not isinstance(parts[0], str):
        raise WireError(f"a message is a list that starts with its name, got {type(parts).__name__}")
    name = parts[0]
    codec = _CODECS.get(name)
    if codec is None:
        raise WireError(f"no message is called {name[:80]!r}")
    message: ToMedia | FromMedia = codec.unpack(parts[1:], name)
    return message


class FrameReader:
    """Cuts a stream into message bodies.

    reader.feed(bytes_as_they_come) == [body, body]     # a half body waits for the rest
    """

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes | memoryview) -> list[bytes]:
        """The bodies that are whole now. Raises WireError for a length no message has."""
        self._pending += data
        bodies = []
        start = 0
        while len(self._pending) - start >= _LENGTH_BYTES:
            length = int.from_bytes(self._pending[start : start + _LENGTH_BYTES], "big")
            if length > LONGEST_MESSAGE_BYTES:
                raise WireError(f"a message of {length} bytes; the longest is {LONGEST_MESSAGE_BYTES}")
            end = start + _LENGTH_BYTES + length
            if len(self._pending) < end:
                break
            bodies.append(bytes(self._pending[start + _LENGTH_BYTES : end]))
            start = end
        del self._pending[:start]
        return bodies
