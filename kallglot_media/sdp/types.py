"""The values of a session description (RFC 8866) and of offer/answer (RFC 3264).

SdpError        the bytes are not SDP; the message says which line and what is wrong
NotAcceptable   it is SDP, but there is no media in it that we can do: 488 with `warning()`
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from kallglot_media.sdp.crypto import Crypto, SrtpKeys


class SdpError(ValueError):
    """The body is not a session description."""


class NotAcceptable(ValueError):
    """Nothing in this description can be agreed to.

    code  a warn-code of RFC 3261 section 20.43: 301 address, 302 transport, 304 media type, 305 format
    text  what is there and what we could do instead
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    def warning(self, agent: str = "kallglot") -> str:
        """The value of a Warning header: `305 kallglot "offer has G729/8000; we speak PCMU/8000"`."""
        plain = "".join(char if " " <= char <= "~" else "?" for char in self.text)  # it quotes the peer
        quoted = plain.replace("\\", "\\\\").replace('"', '\\"')
        return f'{self.code} {agent} "{quoted}"'


@dataclass(frozen=True, slots=True)
class Codec:
    """One encoding that we speak.

    clock_hz      the RTP clock of the rtpmap, which for G.722 is not the sampling rate
    payload_type  the static number of RFC 3551, or the dynamic one that our offers use
    channels      the third part of the rtpmap; 1 is not written
    fmtp          what our descriptions say in a=fmtp, without the payload type
    """

    name: str
    clock_hz: int
    payload_type: int
    channels: int = 1
    fmtp: str | None = None

    def __str__(self) -> str:
        return f"{self.name}/{self.clock_hz}" + (f"/{self.channels}" if self.channels > 1 else "")


OPUS_FMTP = "maxplaybackrate=8000;sprop-maxcapturerate=8000;useinbandfec=1"
"""RFC 7587 section 6.1: what we hear and say is narrow-band, so that nobody need spend bits on more."""

CODECS: Mapping[str, Codec] = {
    codec.name: codec
    for codec in (
        Codec("opus", 48_000, 96, 2, OPUS_FMTP),
        Codec("G722", 8000, 9),
        Codec("PCMU", 8000, 0),
        Codec("PCMA", 8000, 8),
    )
}
"""What can be agreed to, by name, best first; a codec that media can code is added here and in media.coders."""

LAWS = ("PCMU", "PCMA")

STATIC_ENCODINGS: Mapping[int, Codec] = {
    codec.payload_type: codec
    for codec in (
        Codec("PCMU", 8000, 0),
        Codec("GSM", 8000, 3),
        Codec("G723", 8000, 4),
        Codec("DVI4", 8000, 5),
        Codec("DVI4", 16000, 6),
        Codec("LPC", 8000, 7),
        Codec("PCMA", 8000, 8),
        Codec("G722", 8000, 9),
        Codec("L16", 44100, 10, 2),
        Codec("L16", 44100, 11),
        Codec("QCELP", 8000, 12),
        Codec("CN", 8000, 13),
        Codec("MPA", 90000, 14),
        Codec("G728", 8000, 15),
        Codec("G729", 8000, 18),
    )
}
"""RFC 3551 table 4: these numbers mean this even when no rtpmap says so."""

TELEPHONE_EVENT = "telephone-event"
COMFORT_NOISE = Codec("CN", 8000, 13)
"""RFC 3389: for codecs at 8 kHz that have no way of their own to be silent, which are those of G.711."""


class Srtp(StrEnum):
    """Whether the sound is encrypted: never, when the peer can, or else there is no call."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


class Direction(StrEnum):
    """RFC 8866 section 6.7, as seen by whoever wrote the description."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    @classmethod
    def of(cls, *, sends: bool, receives: bool) -> Direction:
        if sends:
            return cls.SENDRECV if receives else cls.SENDONLY
        return cls.RECVONLY if receives else cls.INACTIVE


@dataclass(frozen=True, slots=True)
class Encoding:
    """One payload type of an m-line with what its rtpmap, or RFC 3551, says."""

    payload_type: int
    name: str
    clock_hz: int
    channels: int = 1
    fmtp: str | None = None

    def is_codec(self, codec: Codec) -> bool:
        """Whether this is that codec; encoding names are case-insensitive (RFC 4855)."""
        return (self.name.upper(), self.clock_hz, self.channels) == (
            codec.name.upper(),
            codec.clock_hz,
            codec.channels,
        )

    def __str__(self) -> str:
        if not self.clock_hz:
            return f"{self.name} {self.payload_type}"
        return f"{self.name}/{self.clock_hz}" + (f"/{self.channels}" if self.channels > 1 else "")


@dataclass(frozen=True, slots=True)
class MediaLine:
    """One m-line and what belongs to it, session-level c= and direction already taken over.

    formats     the third part of the m-line as written: payload types, or "*", "webrtc-datachannel", …
    host        the address of c=, None when there is none
    family      "IP4" or "IP6", None without c=
    encodings   in the order of `formats`; a dynamic number without rtpmap has clock_hz 0
    """

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    host: str | None
    family: str | None
    direction: Direction = Direction.SENDRECV
    encodings: tuple[Encoding, ...] = ()
    ptime_ms: int | None = None
    maxptime_ms: int | None = None
    attributes: tuple[tuple[str, str | None], ...] = ()

    def has(self, attribute: str) -> bool:
        """Whether the m-line has this attribute, with a value or without."""
        return any(name == attribute for name, _ in self.attributes)

    def value(self, attribute: str) -> str | None:
        """The value of the first such attribute of the m-line."""
        return next((value for name, value in self.attributes if name == attribute), None)

    @property
    def is_held_by_address(self) -> bool:
        """c=0.0.0.0, or :: in IPv6: "neither RTP nor RTCP should be sent to the peer". RFC 3264 8.4."""
        return self.host in ("0.0.0.0", "::", "0:0:0:0:0:0:0:0")  # noqa: S104 - the hold address, nothing is bound


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A parsed body. origin: the o= line as written; None when the peer left it out."""

    origin: str | None
    media: tuple[MediaLine, ...]
    attributes: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class TextAbility:
    """What we can do on the text line of a leg, RFC 4103.

    crypto            keys of its own, as in MediaAbility
    sends, receives   which ways text goes
    *_payload_type    in our offers; red None: without redundancy
    """

    port: int
    crypto: tuple[Crypto, ...] = ()
    sends: bool = True
    receives: bool = False
    text_payload_type: int = 98
    red_payload_type: int | None = 100


@dataclass(frozen=True, slots=True)
class MediaAbility:
    """What we can do on one leg, and where its RTP arrives.

    host               the address that peers are told, IPv4 or IPv6 literal
    codecs             names from CODECS, best first
    follows_peer       of an offer the peer's first codec that we speak is taken (RFC 3264 6.1), else our first
    offer_keys         False: SRTP that is optional is agreed to, not offered
    dtmf_payload_type  the number of telephone-event in our offers; None: not offered, not agreed to
    ptime_ms           what we like to receive
    send, receive      False to hold that direction
    session_id         the number in o=; SdpSession keeps it and the version over re-offers
    srtp, crypto       whether we encrypt, and our keys: one for each suite, best first
    fingerprint        of our DTLS certificate, as in SDP; None: no DTLS
    text               real-time text beside the sound; None: not offered, not agreed to
    comfort_noise      we send comfort noise (RFC 3389) for silence, to peers that agree to it
    """

    host: str
    port: int
    codecs: tuple[str, ...] = LAWS
    dtmf_payload_type: int | None = 101
    ptime_ms: int = 20
    send: bool = True
    receive: bool = True
    session_id: int = 1
    session_version: int = 1
    srtp: Srtp = Srtp.OFF
    crypto: tuple[Crypto, ...] = ()
    fingerprint: str | None = None
    follows_peer: bool = True
    offer_keys: bool = True
    text: TextAbility | None = None
    comfort_noise: bool = False

    @property
    def offers_keys(self) -> bool:
        """Whether our own offers have keys in them."""
        return self.srtp is Srtp.REQUIRED or (self.srtp is Srtp.OPTIONAL and self.offer_keys)

    def spoken(self) -> tuple[Codec, ...]:
        """The codecs of this ability; KeyError names one that is not in CODECS (our mistake, not a peer's)."""
        return tuple(CODECS[name] for name in self.codecs)


@dataclass(frozen=True, slots=True)
class DtlsPeer:
    """Who the peer is, and which of us begins.

    hash_name, fingerprint  of its certificate: "sha-256", "AB:CD:…"
    we_begin                we are the client: "active"
    """

    hash_name: str
    fingerprint: str
    we_begin: bool


@dataclass(frozen=True, slots=True)
class AgreedText:
    """What came of a text line, from our side.

    *_red_payload_type  None: without redundancy
    generations         of redundancy, that we send
    cps                 characters a second that the peer takes, on average
    send                False while that direction is held
    keys                how it is encrypted; None: it is not
    """

    remote_host: str
    remote_port: int
    send_text_payload_type: int
    send_red_payload_type: int | None
    receive_text_payload_type: int
    receive_red_payload_type: int | None
    generations: int = 2
    cps: int = 30
    send: bool = True
    keys: SrtpKeys | None = None


@dataclass(frozen=True, slots=True)
class Agreed:
    """What offer and answer came to, from our side; fits `media.messages.SetRemote` field by field, but for `text`.

    ptime_ms       what the peer wishes to receive, 20 when it did not say
    keys, dtls     how the sound is encrypted; neither: it is not
    rtcp_mux       RTCP goes to the RTP port (RFC 5761)
    rtcp_port      where the peer wants RTCP when that is not the next port (RFC 3605)
    send, receive  False while that direction is held
    text           what the text line came to; None: there is none
    comfort_noise  both of us listed it
    """

    remote_host: str
    remote_port: int
    codec: str
    send_payload_type: int
    receive_payload_type: int
    dtmf_send_payload_type: int | None = None
    dtmf_receive_payload_type: int | None = None
    ptime_ms: int = 20
    send: bool = True
    receive: bool = True
    dtmf_clock_hz: int = 8000
    keys: SrtpKeys | None = None
    dtls: DtlsPeer | None = None
    rtcp_mux: bool = False
    rtcp_port: int | None = None
    text: AgreedText | None = None
    comfort_noise: bool = False


@dataclass(slots=True)
class MediaLineDraft:
    """An m-line while its attributes are still being read."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    host: str | None = None
    family: str | None = None
    attributes: list[tuple[str, str | None]] = field(default_factory=list)
