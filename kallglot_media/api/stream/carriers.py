"""Media streams of carriers, as Twilio and Telnyx write them: one phone's sound, with the token as a parameter.

    {"event": "start", "streamSid": "MZ…", "start": {"customParameters": {"token": "kst_…"}, "mediaFormat": {…}}}
    {"event": "start", "stream_id": "…", "start": {"custom_parameters": {"token": "kst_…"}, "media_format": {…}}}

Parameters: `token`; `speaker`, whose phone it is ("customer" when left out); `output_encoding` (Telnyx).
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from kallglot_media.api.stream.framing import BadMessage, HungUp, Incoming, Json, Key, Mark, Sound, read_object
from kallglot_media.api.stream.sound import ALAW, Ear, Mouth
from kallglot_media.call.stream_leg import TELEPHONE, StreamAudio
from kallglot_media.modes.plan import Party

MARK_EVERY_SAMPLES = 8000
"""So often a carrier is asked how far it has played."""

MOST_OUT_OF_ORDER = 5
"""So many pieces wait for one that others have overtaken."""

_NUMBER = re.compile("[0-9]{1,15}")
_KEYS = frozenset("0123456789*#ABCD")
_CODINGS: Mapping[str, StreamAudio] = {"audio/x-mulaw": TELEPHONE, "pcmu": TELEPHONE, "pcma": ALAW}


class Start:
    """What a carrier's first messages say. Raises BadMessage for a `start` that cannot be used."""

    def __init__(self, message: Json) -> None:
        start = message.get("start")
        if not isinstance(start, dict):
            raise BadMessage("invalid_field_value", "start: is no object; write what the carrier documents", "start")
        self.is_twilio = "streamSid" in message or "streamSid" in start
        self.stream_id = str(message.get("streamSid") or start.get("streamSid") or message.get("stream_id") or "")[:200]
        parameters = start.get("customParameters") or start.get("custom_parameters") or {}
        self.parameters: Json = parameters if isinstance(parameters, dict) else {}
        token = self.parameters.get("token")
        self.token = token if isinstance(token, str) else None
        self._format = start.get("mediaFormat") or start.get("media_format") or {}

    @property
    def party(self) -> Party:
        """Whose phone it is."""
        return Party.AGENT if self.parameters.get("speaker") == Party.AGENT else Party.CUSTOMER

    def coding(self) -> StreamAudio:
        """How the phone's sound comes. Raises BadMessage."""
        named = self._format.get("encoding", "audio/x-mulaw") if isinstance(self._format, dict) else None
        return _coding_of(named, "media_format.encoding")

    def answer_coding(self) -> StreamAudio:
        """How it goes back. Raises BadMessage."""
        return _coding_of(self.parameters.get("output_encoding", "PCMU"), "output_encoding")


def _coding_of(named: object, where: str) -> StreamAudio:
    coding = _CODINGS.get(named.lower()) if isinstance(named, str) else None
    if coding is None:
        shown = json.dumps(named)[:40]
        raise BadMessage("invalid_audio_format", f"{where}: is {shown}; have it set to PCMU or PCMA", where)
    return coding


def is_carriers(text: str) -> bool:
    """Whether a first message is a carrier's and not one of our own."""
    try:
        message = read_object(text)
    except BadMessage:
        return False
    return "event" in message and "type" not in message


class Carrier:
    """One phone's stream. See the module."""

    def __init__(self, start: Start) -> None:
        self.party = start.party
        self._about = {"streamSid": start.stream_id} if start.is_twilio else {}
        self._ear = Ear(start.coding())
        self._mouth = Mouth(start.answer_coding())
        self._next_chunk: int | None = None
        self._early: dict[int, bytes] = {}
        self._unmarked_samples = 0
        self._marks = 0

    # ── in ───────────────────────────────────────────────────────────────────────

    def read(self, text: str) -> Sequence[Incoming]:
        """What a message of the carrier says; [] for those that say nothing to us. Raises BadMessage."""
        message = read_object(text)
        kind = message.get("event")
        if kind == "media":
            return self._media(_part(message, "media"))
        if kind == "stop":
            return (HungUp(),)
        if kind == "dtmf":
            digit = _part(message, "dtmf").get("digit")
            return (Key(self.party, digit),) if isinstance(digit, str) and digit in _KEYS else ()
        if kind == "mark":
            return (Mark(str(_part(message, "mark").get("name"))[:100]),)
        return ()

    def _media(self, media: Json) -> list[Incoming]:
        if media.get("track", "inbound") != "inbound":
            return []  # what we said ourselves
        try:
            sound = binascii.a2b_base64(media.get("payload"), strict_mode=True)  # type: ignore[arg-type]
        except (ValueError, TypeError):
            raise BadMessage("invalid_audio_format", "media.payload: is no base64", "media.payload") from None
        return [
            Sound(self.party, self._ear.hear(piece)) for piece in self._in_order(media.get("chunk"), sound) if piece
        ]

    def _in_order(self, chunk: object, sound: bytes) -> list[bytes]:
        """The pieces whose turn it is: a carrier may send them out of order, and numbers them."""
        number = int(chunk) if isinstance(chunk, str | int) and _NUMBER.fullmatch(str(chunk)) else None
        if number is None:
            return [sound]
        if self._next_chunk is None:
            self._next_chunk = number
        if number < self._next_chunk:
            return []  # came too late, or twice
        self._early[number] = sound
        if len(self._early) > MOST_OUT_OF_ORDER:
            self._next_chunk = min(self._early)
        pieces = []
        while (piece := self._early.pop(self._next_chunk, None)) is not None:
            pieces.append(piece)
            self._next_chunk += 1
        return pieces

    # ── out ──────────────────────────────────────────────────────────────────────

    def sound(self, party: Party, first_sample: int, sound: bytes) -> Sequence[str]:
        """media, and now and then a mark behind it."""
        payload = b64encode(self._mouth.say(first_sample, sound)).decode("ascii")
        frames = [json.dumps({"event": "media", **self._about, "media": {"payload": payload}})]
        self._unmarked_samples += len(sound)
        if self._unmarked_samples >= MARK_EVERY_SAMPLES:
            self._unmarked_samples = 0
            self._marks += 1
            frames.append(json.dumps({"event": "mark", **self._about, "mark": {"name": str(self._marks)}}))
        return frames

    def clear(self, party: Party) -> str:
        """clear."""
        self._unmarked_samples = 0
        return json.dumps({"event": "clear", **self._about})

    def event(self, name: str, body: Mapping[str, Any]) -> None:
        """Carriers have no word for it."""
        return


def _part(message: Json, name: str) -> Json:
    part = message.get(name)
    if not isinstance(part, dict):
        raise BadMessage("invalid_field_value", f"{name}: is no object", name)
    return part
