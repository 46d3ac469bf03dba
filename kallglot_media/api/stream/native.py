"""Our own framing: JSON objects with a `type`."""

from __future__ import annotations

import binascii
import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kallglot_media.api.stream.framing import (
    BadMessage,
    Chat,
    End,
    Incoming,
    Json,
    Ping,
    Sound,
    Subscribe,
    ToolResult,
    read_object,
)
from kallglot_media.api.stream.sound import Ear, Mouth, bytes_a_second
from kallglot_media.call.stream_leg import StreamAudio
from kallglot_media.modes.plan import Party

EVENTS = (
    "transcript.partial",
    "transcript.final",
    "speech.started",
    "speech.stopped",
    "agent.message",
    "tool.call",
    "escalation.started",
    "escalation.answered",
    "escalation.failed",
    "callback.wanted",
    "voicemail.left",
    "latency",
    "party.connected",
    "party.disconnected",
)
"""What a client may subscribe to. session.*, pong and, for those who carry a party, audio.* come by themselves."""

BY_DEFAULT = frozenset(EVENTS) - {"tool.call"}
"""Who answers no tool calls is not asked."""

LONGEST_MS = 1000
"""Of one audio.input."""

_SPEAKERS = {"customer": Party.CUSTOMER, "agent": Party.AGENT}
_LONGEST_CHAT = 10_000
_LONGEST_ID = 200


class Native:
    """See the module. audio: how sound is coded in this session."""

    def __init__(self, audio: StreamAudio) -> None:
        self._audio = audio
        self._ears: dict[Party | None, Ear] = {}
        self._mouths: dict[Party, Mouth] = {}
        self._sequence = 0

    # ── in ───────────────────────────────────────────────────────────────────────

    def read(self, text: str) -> Sequence[Incoming]:
        """What a text frame says. Raises BadMessage."""
        message = read_object(text)
        kind = message.get("type")
        read = _READERS.get(kind) if isinstance(kind, str) else None
        if read is None:
            there = "there is no type" if kind is None else f"type: is {_shown(kind)}"
            raise BadMessage("invalid_field_value", f"{there}; write one of: {', '.join(_READERS)}", "type")
        return (read(self, message),)

    def _audio_input(self, message: Json) -> Sound:
        speaker = message.get("speaker")
        party = None if speaker is None else _SPEAKERS.get(speaker) if isinstance(speaker, str) else None
        if speaker is not None and party is None:
            raise BadMessage(
                "invalid_field_value", f'speaker: is {_shown(speaker)}; write "customer" or "agent"', "speaker"
            )
        for name in ("sequence", "timestamp_ms"):
            value = message.get(name, 0)
            if type(value) not in (int, float) or value < 0:
                raise BadMessage("invalid_field_value", f"{name}: is {_shown(value)}; write a number from 0 up", name)
        payload = self._payload(message.get("audio"))
        ear = self._ears.get(party)
        if ear is None:
            ear = self._ears[party] = Ear(self._audio)
        return Sound(party, ear.hear(payload))

    def _payload(self, audio: object) -> bytes:
        if not isinstance(audio, dict):
            raise BadMessage("missing_required_field", f"audio: is {_shown(audio)}; write {self._example()}", "audio")
        encoding, rate_hz = audio.get("encoding"), audio.get("sample_rate_hz", audio.get("sample_rate"))
        if encoding != self._audio.encoding or rate_hz != self._audio.rate_hz:
            raise BadMessage(
                "invalid_audio_format",
                f"audio: is {_shown(encoding)} at {_shown(rate_hz)} Hz; this session has {self._audio.encoding} "
                f"at {self._audio.rate_hz} Hz: write {self._example()}",
                "audio",
            )
        payload = audio.get("payload")
        try:
            sound = binascii.a2b_base64(payload, strict_mode=True)  # type: ignore[arg-type]
        except (ValueError, TypeError):
            raise BadMessage(
                "invalid_audio_format", "audio.payload: is no base64; write the samples in base64", "audio.payload"
            ) from None
        self._check_length(sound)
        return sound

    def _check_length(self, sound: bytes) -> None:
        a_second = bytes_a_second(self._audio)
        a_sample = a_second // self._audio.rate_hz
        if not sound or len(sound) % a_sample:
            raise BadMessage(
                "invalid_audio_format",
                f"audio.payload: is {len(sound)} bytes; write whole samples of {a_sample} bytes",
                "audio.payload",
            )
        if len(sound) * 1000 > LONGEST_MS * a_second:
            raise BadMessage(
                "invalid_audio_format",
                f"audio.payload: is {1000 * len(sound) // a_second} ms long; write 20 to 200 ms, at most {LONGEST_MS}",
                "audio.payload",
            )

    def _example(self) -> str:
        example = {"encoding": self._audio.encoding, "sample_rate_hz": self._audio.rate_hz, "payload": "…"}
        return json.dumps(example, ensure_ascii=False)

    def _ping(self, message: Json) -> Ping:
        return Ping()

    def _end(self, message: Json) -> End:
        return End()

    def _chat(self, message: Json) -> Chat:
        return Chat(_text(message, "text", _LONGEST_CHAT))

    def _tool_result(self, message: Json) -> ToolResult:
        tool_call_id = _text(message, "tool_call_id", _LONGEST_ID)
        if ("output" in message) == ("error" in message):
            raise BadMessage("missing_required_field", "write either output or error", "output")
        error = _text(message, "error", _LONGEST_CHAT) if "error" in message else None
        return ToolResult(tool_call_id, message.get("output"), error)

    def _subscribe(self, message: Json) -> Subscribe:
        events = message.get("events")
        if not isinstance(events, list) or not all(isinstance(name, str) for name in events):
            raise BadMessage(
                "invalid_field_value", f'events: is {_shown(events)}; write a list, or ["*"] for all', "events"
            )
        unknown = [name for name in events if name not in EVENTS and name != "*"]
        if unknown:
            raise BadMessage(
                "invalid_field_value", f"events: has {_shown(unknown[0])}; there are: {', '.join(EVENTS)}", "events"
            )
        return Subscribe(frozenset(EVENTS if "*" in events else events))

    # ── out ──────────────────────────────────────────────────────────────────────

    def sound(self, party: Party, first_sample: int, sound: bytes) -> Sequence[str]:
        """audio.output."""
        mouth = self._mouths.get(party)
        if mouth is None:
            mouth = self._mouths[party] = Mouth(self._audio)
        payload = b64encode(mouth.say(first_sample, sound)).decode("ascii")
        self._sequence += 1
        # By hand: there are ten of these a second for each listener.
        return (
            f'{{"type":"audio.output","sequence":{self._sequence},"timestamp_ms":{first_sample // 8},"for":"{party}",'
            f'"audio":{{"encoding":"{self._audio.encoding}","sample_rate_hz":{self._audio.rate_hz},'
            f'"payload":"{payload}"}}}}',
        )

    def clear(self, party: Party) -> str:
        """audio.clear."""
        return json.dumps({"type": "audio.clear", "for": str(party)})

    def event(self, name: str, body: Mapping[str, Any]) -> str:
        """Everything else."""
        return self.text(name, body)

    @staticmethod
    def text(name: str, body: Mapping[str, Any]) -> str:
        """An event as a text frame."""
        return json.dumps({"type": name, **body}, ensure_ascii=False)


_READERS: Mapping[str, Callable[[Native, Json], Incoming]] = {
    "audio.input": Native._audio_input,
    "ping": Native._ping,
    "session.end": Native._end,
    "chat.message": Native._chat,
    "tool.result": Native._tool_result,
    "subscribe": Native._subscribe,
}


def _text(message: Json, name: str, longest: int) -> str:
    value = message.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BadMessage("missing_required_field", f"{name}: is {_shown(value)}; write a text", name)
    if len(value) > longest:
        raise BadMessage("invalid_field_value", f"{name}: has {len(value)} characters; write at most {longest}", name)
    return value


def _shown(value: object) -> str:
    """What a client wrote, short enough for an error; never a whole text, which may be what somebody said."""
    if value is None:
        return "missing"
    if isinstance(value, dict | list):
        return f"a {'JSON object' if isinstance(value, dict) else 'list'}"
    shown = json.dumps(value, ensure_ascii=True)
    return shown if len(shown) <= 40 else shown[:37] + "…"
