"""Whatever a client or a carrier sends: it is understood, or refused with BadMessage, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from kallglot_media.api.stream.carriers import Carrier, Start, is_carriers
from kallglot_media.api.stream.framing import BadMessage
from kallglot_media.api.stream.native import _READERS, Native
from kallglot_media.call.stream_leg import StreamAudio

WIDE = StreamAudio("pcm_s16le", 16_000)
NAMES = some.sampled_from(
    [
        "type",
        "speaker",
        "sequence",
        "timestamp_ms",
        "audio",
        "encoding",
        "sample_rate_hz",
        "payload",
        "text",
        "events",
        "tool_call_id",
        "output",
        "error",
        "event",
        "start",
        "media",
        "track",
        "chunk",
        "dtmf",
        "digit",
        "mark",
        "name",
        "streamSid",
        "stream_id",
        "customParameters",
        "custom_parameters",
        "mediaFormat",
        "media_format",
        "token",
    ]
)
WORDS = some.sampled_from(
    (
        "customer agent mulaw pcm_s16le VVVV VVVVVVVV * transcript.final start stop media dtmf mark connected inbound "
        "outbound PCMU PCMA audio/x-mulaw 7 " + "9" * 5000 + " " + " ".join(_READERS)
    ).split()
)
VALUES = some.recursive(
    some.none() | some.booleans() | some.floats() | some.integers() | WORDS | some.text(max_size=5),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(NAMES, inner, max_size=6),
    max_leaves=20,
)
MESSAGES = some.dictionaries(NAMES, VALUES, max_size=8)


def carrier(coding: str = "PCMA") -> Carrier:
    start = {"event": "start", "stream_id": "1", "start": {"media_format": {"encoding": coding}}}
    return Carrier(Start(start))


@settings(max_examples=300)
@given(MESSAGES)
def test_no_object_can_raise_anything_but_bad_message(message: dict[str, Any]) -> None:
    text = json.dumps(message)
    for framing in (Native(WIDE), carrier()):
        try:
            framing.read(text)
        except BadMessage as error:
            str(error).encode()  # what is sent back can be written
    if is_carriers(text):
        try:
            start = Start(message)
            start.coding(), start.answer_coding()
        except BadMessage:
            return
        Carrier(start)


@settings(max_examples=300)
@given(some.text(max_size=60) | some.sampled_from(["[" * 50_000, "1" * 5000, '{"a": ' + "1" * 5000 + "}", "NaN", '"']))
def test_no_text_can_raise_anything_but_bad_message(text: str) -> None:
    for framing in (Native(WIDE), carrier()):
        with pytest.raises(BadMessage):
            framing.read(text)
    assert not is_carriers(text)


@pytest.mark.parametrize("half", [r"\ud800", r"\u0000", r"a\uDFFFb"])
def test_text_that_no_database_takes_is_refused(half: str) -> None:
    with pytest.raises(BadMessage, match="JSON"):
        Native(WIDE).read(f'{{"type": "chat.message", "text": "{half}"}}')
    Native(WIDE).read(r'{"type": "chat.message", "text": "\ud83d\ude00 \u00e4"}')


def test_a_number_too_long_to_be_one_counts_as_none() -> None:
    media = {"event": "media", "media": {"chunk": "9" * 5000, "payload": "VVVV"}}
    assert len(carrier().read(json.dumps(media))) == 1


@pytest.mark.parametrize("digit", ["", "55", "x", None, 5, ["5"]])
def test_what_is_no_key_is_none(digit: object) -> None:
    assert not carrier().read(json.dumps({"event": "dtmf", "dtmf": {"digit": digit}}))
