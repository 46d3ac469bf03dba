"""A worker that does as it is told, for tests of the pool: fake_worker.py FD MODE [FOLDER].

MODE    good; hears (FOLDER, in every sound); refuses (cannot load); dies (at once); silent (never ready);
        once (good, but only the first time)
FOLDER  where "once" leaves its mark

A request's first argument is what to do: "crash", "hang", "fail", "unknown pair", "gate <fifo>" (answer
when somebody opens the fifo for writing); anything else is answered with its number in the order of work.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from kallglot_media.speech import wire
from kallglot_media.speech.types import Transcript, Translation, UnknownPair


def answer(number: int, text: str | bytes) -> dict[str, Any]:
    if isinstance(text, bytes):
        return {"ok": wire.pack_result(Transcript(sys.argv[3], "de", 1.0, 1.0, 0.0, (), 1.0))}
    command, _, rest = text.partition(" ")
    if command == "crash":
        os._exit(9)
    if command == "hang":
        signal.pause()
    if command == "gate":
        Path(rest).read_bytes()
    if command == "fail":
        return wire.pack_error(RuntimeError("out of memory"))
    if text == "unknown pair":
        return wire.pack_error(UnknownPair("no package translates de→fi"))
    return {"ok": wire.pack_result(Translation(f"{number} {text}", "de", "en", 1.0))}


def main() -> None:
    mode = sys.argv[2]
    connection = socket.socket(fileno=int(sys.argv[1]))
    if mode == "once":
        mark = Path(sys.argv[3]) / "started"
        mode = "dies" if mark.exists() else "good"
        mark.touch()
    if mode == "dies":
        return
    if mode == "silent":
        signal.pause()
    if mode == "refuses":
        connection.sendall(wire.frame({"failed": ["/models/x", "no such model", "put it there"]}))
        return
    connection.sendall(wire.frame({"ready": {"model": "fake"}}))
    reader = wire.FrameReader()
    number = 0
    while data := connection.recv(1 << 16):
        for request in reader.feed(data):
            asked = request.get("all") or [request["args"]]
            answers = [answer(number + place, arguments[0]) for place, arguments in enumerate(asked, start=1)]
            number += len(asked)
            told = {"all": answers} if "all" in request else answers[0]
            connection.sendall(wire.frame({"id": request["id"], **told}))


if __name__ == "__main__":
    main()
