"""The worker's loop, without a process: requests in, answers out, until the socket closes."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import numpy as np

from kallglot_media.speech import wire, worker
from kallglot_media.speech.models import Model
from kallglot_media.speech.settings import EngineKind, SpeechSettings
from kallglot_media.speech.types import Pcm16, Transcript, Translation, UnknownPair


def exchange(operation: worker.Operation, *requests: list[Any]) -> list[dict[str, Any]]:
    """What the worker answers to these requests, all sent before it starts."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for number, arguments in enumerate(requests):
            ours.sendall(wire.frame({"id": number, "args": arguments}))
        ours.shutdown(socket.SHUT_WR)
        worker.serve(theirs, worker.Engine(operation, {}))
        return wire.FrameReader().feed(ours.recv(1 << 16))


def test_every_request_is_answered_under_its_number() -> None:
    def translate(text: str, source: str, target: str) -> Translation:
        return Translation(text.upper(), source, target, 1.0)

    answers = exchange(translate, ["ja", "de", "en"], ["nein", "de", "en"])
    assert [(answer["id"], answer["ok"]["text"]) for answer in answers] == [(0, "JA"), (1, "NEIN")]


def test_an_engine_that_raises_serves_the_next_request() -> None:
    def translate(text: str) -> Translation:
        return Translation(str(1 // int(text)), "de", "en", 1.0)

    broken, whole = exchange(translate, ["0"], ["1"])
    assert (broken["error"], broken["why"]) == (
        "EngineFailed",
        "ZeroDivisionError: integer division or modulo by zero",
    )
    assert whole["ok"]["text"] == "1"


def test_an_error_does_not_say_what_was_said() -> None:
    """It goes to the log and to events.jsonl, recording or not."""

    def translate(text: str) -> Translation:
        raise ValueError(f"cannot tokenize {text!r} at {text.split()[-1]!r}")

    (answer,) = exchange(translate, ["Meine Karte ist 4711"])
    assert answer["why"] == "ValueError: cannot tokenize '… … … …' at '…'"


def test_sound_arrives_as_samples() -> None:
    heard: list[Pcm16] = []

    def transcribe(pcm: Pcm16, language: str | None) -> Transcript:
        heard.append(pcm)
        return Transcript("", language or "de", 1.0, 0.0, 1.0, (), 0.0)

    exchange(transcribe, [wire.pack_pcm(np.array([1, -2, 3], dtype=np.int16)), None])
    assert heard[0].tolist() == [1, -2, 3]
    assert heard[0].dtype == np.int16


def translate(text: str) -> Translation:
    return Translation(str(6 // int(text)), "de", "en", 1.0)


def test_several_are_done_in_one_go_and_each_fails_for_itself() -> None:
    def in_one_go(requests: list[list[Any]]) -> list[Translation | Exception]:
        return [UnknownPair(text) if text == "?" else Translation(text * 2, "de", "en", 1.0) for (text,) in requests]

    answers = worker.answer_all(worker.Engine(translate, {}, in_one_go), [["a"], ["?"], ["b"]])
    assert [answer.get("ok", answer).get("text") for answer in answers] == ["aa", None, "bb"]
    assert answers[1]["error"] == "UnknownPair"


def test_what_fails_as_a_whole_or_cannot_be_done_together_is_done_one_by_one() -> None:
    def breaks(requests: list[list[Any]]) -> list[Translation | Exception]:
        raise MemoryError

    for engine in (worker.Engine(translate, {}, breaks), worker.Engine(translate, {})):
        answers = worker.answer_all(engine, [["2"], ["0"], ["3"]])
        assert [answer["ok"]["text"] for answer in answers[::2]] == ["3", "2"]
        assert answers[1]["error"] == "EngineFailed"


def test_the_spec_carries_the_settings_that_an_engine_reads() -> None:
    settings = SpeechSettings(languages=("de",), voices={"de": "x"}, window="full", compute_type="float32")
    model = Model(EngineKind.RECOGNIZER, "tiny", Path("/models/tiny"), ("*",), 7, starter=False)
    said = json.loads(worker.spec(EngineKind.RECOGNIZER, [model], settings, fd=5))
    assert (said["kind"], said["fd"], said["niceness"]) == ("recognizer", 5, settings.niceness)
    read = SpeechSettings(**said["settings"])
    assert (list(read.languages), read.voices, read.window, read.compute_type) == (
        ["de"],
        {"de": "x"},
        "full",
        "float32",
    )
