"""One engine in a process of its own: `python -m kallglot_media.speech.worker SPEC`.

SPEC is JSON: {"kind": "recognizer", "fd": 5, "niceness": 10, "settings": {…}, "models": […]}.
The worker loads its model, warms it up, says "ready" and answers one request after the other on
the socket `fd`, until that closes. It holds no state between requests and decides nothing: the
line, the deadlines and the restarts are the pool's.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kallglot_media.speech import wire
from kallglot_media.speech.errors import SpeechSetupError
from kallglot_media.speech.models import Model
from kallglot_media.speech.settings import EngineKind, SpeechSettings

Operation = Callable[..., wire.Result]
InOneGo = Callable[[list[list[Any]]], Sequence[wire.Result | Exception]]
"""The same for several requests; an exception stands in the place of its own result."""

_PR_SET_PDEATHSIG = 1


def spec(kind: EngineKind, models: list[Model], settings: SpeechSettings, fd: int) -> str:
    """The command-line argument that `main` reads."""
    chosen = {
        "languages": settings.languages,
        "voices": dict(settings.voices),
        "window": settings.window,
        "word_times": settings.word_times,
        "denoise": settings.denoise,
        "recognizer_beam": settings.recognizer_beam,
        "translator_beam": settings.translator_beam,
        "compute_type": settings.compute_type,
        "voice_peak": settings.voice_peak,
    }
    listed = [[model.name, str(model.path), model.languages, model.size_bytes, model.starter] for model in models]
    return json.dumps(
        {"kind": kind.value, "fd": fd, "niceness": settings.niceness, "settings": chosen, "models": listed}
    )


@dataclass(frozen=True, slots=True)
class Engine:
    """What a worker does. in_one_go: None where several at once measure no faster."""

    operation: Operation
    facts: dict[str, Any]
    in_one_go: InOneGo | None = None


def load(kind: EngineKind, models: list[Model], settings: SpeechSettings) -> Engine:
    """The engine with its models. Imports only what this kind needs."""
    if kind is EngineKind.RECOGNIZER:
        from kallglot_media.speech.whisper import WhisperRecognizer

        recognizer = WhisperRecognizer(models[0], settings)
        return Engine(recognizer.transcribe, recognizer.facts(), recognizer.transcribe_all)
    if kind is EngineKind.TRANSLATOR:
        from kallglot_media.speech.argos import ArgosTranslator

        translator = ArgosTranslator(models, settings)
        return Engine(translator.translate, translator.facts(), translator.translate_all)
    from kallglot_media.speech.piper import PiperSynthesizer

    synthesizer = PiperSynthesizer(models, settings)
    return Engine(synthesizer.synthesize, synthesizer.facts())


def serve(connection: socket.socket, engine: Engine) -> None:
    """Answer requests in the order in which they come, until the other end closes."""
    reader = wire.FrameReader()
    while data := connection.recv(1 << 16):
        for request in reader.feed(data):
            if "all" in request:
                answer: dict[str, Any] = {"all": answer_all(engine, request["all"])}
            else:
                answer = _answer(engine.operation, _unpacked(request["args"]))
            connection.sendall(wire.frame({"id": request["id"], **answer}))


def answer_all(engine: Engine, requests: list[list[Any]]) -> list[dict[str, Any]]:
    """Several in one go; when that fails as a whole, one by one: each is to fail for itself."""
    unpacked = [_unpacked(arguments) for arguments in requests]
    if engine.in_one_go is not None:
        with contextlib.suppress(Exception):  # an engine may raise anything
            results = engine.in_one_go(unpacked)
            return [
                wire.pack_error(result, said=_words_of(arguments))
                if isinstance(result, Exception)
                else {"ok": wire.pack_result(result)}
                for result, arguments in zip(results, unpacked, strict=True)
            ]
    return [_answer(engine.operation, arguments) for arguments in unpacked]


def _unpacked(arguments: list[Any]) -> list[Any]:
    return [wire.unpack_pcm(arguments[0]) if isinstance(arguments[0], bytes) else arguments[0], *arguments[1:]]


def _words_of(arguments: list[Any]) -> str:
    return arguments[0] if isinstance(arguments[0], str) else ""


def _answer(operation: Operation, arguments: list[Any]) -> dict[str, Any]:
    try:
        return {"ok": wire.pack_result(operation(*arguments))}
    except Exception as error:  # an engine may raise anything; the next request must still be served
        return wire.pack_error(error, said=_words_of(arguments))


def main(argument: str) -> int:
    """Run one worker. Returns the exit status: 0 when the pool closed the socket, 2 when loading failed."""
    said = json.loads(argument)
    # Ctrl-C goes to the terminal's whole group, and systemd's SIGTERM to every process of the service: both
    # are for the server, which lets live calls finish and then ends its workers in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _die_with_parent()
    os.nice(said["niceness"])
    kind = EngineKind(said["kind"])
    models = [
        Model(kind, name, Path(path), tuple(languages), size_bytes, starter)
        for name, path, languages, size_bytes, starter in said["models"]
    ]
    with socket.socket(fileno=said["fd"]) as connection:
        connection.setblocking(True)
        return _run(connection, kind, models, SpeechSettings(**said["settings"]))


def _run(connection: socket.socket, kind: EngineKind, models: list[Model], settings: SpeechSettings) -> int:
    started_s = time.monotonic()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        try:
            engine = load(kind, models, settings)
        except SpeechSetupError as error:
            connection.sendall(wire.frame({"failed": [error.where, error.wrong, error.mend]}))
            return 2
        except Exception as error:  # libraries raise anything at all over a wrong file
            where = ", ".join(str(model.path) for model in models)
            wrong = f"does not load: {type(error).__name__}: {error}"
            connection.sendall(wire.frame({"failed": [where, wrong, "run `kallglot-media models check`"]}))
            return 2
        engine.facts["load_ms"] = (time.monotonic() - started_s) * 1000
        connection.sendall(wire.frame({"ready": engine.facts}))
        serve(connection, engine)
    return 0


def _die_with_parent() -> None:
    """A closed socket ends an idle worker; this ends one that is deep in a model when the server is killed."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
