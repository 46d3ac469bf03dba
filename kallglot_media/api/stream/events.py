"""What happens in a session, as the stream's clients read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kallglot_media.call import events as e
from kallglot_media.call.turn import Turn

Written = tuple[str, Mapping[str, Any]]
"""The event's name and its fields."""


def written(event: e.SessionEvent) -> Written | None:
    """The event for a client; None for what is not told at the stream."""
    write = _WRITERS.get(type(event))
    return None if write is None else write(event)


def turn(said: Turn) -> Mapping[str, Any]:
    """The fields of transcript.final."""
    body: dict[str, Any] = {
        "sequence": said.sequence,
        "speaker": said.speaker,
        "text": said.text,
        "language": said.language,
        "translation": None,
        "start_ms": said.start_ms,
        "end_ms": said.end_ms,
    }
    if said.translation is not None:
        body["translation"] = {"language": said.translation.language, "text": said.translation.text}
    return body


def _partial(event: e.PartialTranscript) -> Written:
    return "transcript.partial", {
        "speaker": event.party,
        "text": event.text,
        "language": event.language,
        "stable": event.stable,
        "start_ms": event.start_ms,
        **({"translation": {"language": words.language, "text": words.text}} if (words := event.translation) else {}),
    }


def _latency(event: e.TurnHeard) -> Written:
    times = event.timings.to_json()
    to_text_ms = round(times["endpoint_ms"] + times["recognize_ms"], 1)
    return "latency", {"turn": event.sequence, "speech_end_to_text_ms": to_text_ms, **times}


def _connected(event: e.LegConnected) -> Written:
    return "party.connected", {"speaker": event.party, "provider": event.provider}


def _disconnected(event: e.LegDisconnected) -> Written:
    return "party.disconnected", {"speaker": event.party, "provider": event.provider, "reason": event.reason}


def _tool_call(event: e.ToolCalled) -> Written:
    return "tool.call", {"tool_call_id": event.tool_call_id, "name": event.name, "arguments": event.arguments}


def _escalated(event: e.Escalated) -> Written:
    return f"escalation.{event.step}", {"to": event.to, "detail": event.detail}


def _message_left(event: e.MessageLeft) -> Written:
    where = {"start_ms": event.start_ms, "end_ms": event.end_ms} if event.end_ms else {}
    return event.kind, {"text": event.text, **where}


_WRITERS: Mapping[type, Callable[[Any], Written]] = {
    e.PartialTranscript: _partial,
    e.FinalTranscript: lambda event: ("transcript.final", turn(event.turn)),
    e.SpeechStarted: lambda event: ("speech.started", {"speaker": event.party, "at_ms": event.at_ms}),
    e.SpeechStopped: lambda event: ("speech.stopped", {"speaker": event.party, "at_ms": event.at_ms}),
    e.TurnHeard: _latency,
    e.LegConnected: _connected,
    e.LegDisconnected: _disconnected,
    e.AgentMessage: lambda event: ("agent.message", {"text": event.text}),
    e.ToolCalled: _tool_call,
    e.Escalated: _escalated,
    e.MessageLeft: _message_left,
    e.SessionEnded: lambda event: ("session.ended", {"session_id": event.session_id, "reason": event.reason}),
}
