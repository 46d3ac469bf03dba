"""A listener with numbers: recorded sentences through a real call, as a baresip at its other end heard them.

    python scripts/bench_listen.py [--codecs PCMU/8000/1,PCMA/8000/1,G722/8000/1]

Each phone says the sentences to sip:echo@ and keeps what comes back: through the server, with the phone's own jitter
buffer at the end. Cross-correlation over windows of a second, level, holes, and PESQ (ITU-T P.862,
narrow band) of each sentence, beside the PESQ of the codec alone where that is a table (G.711).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from media_network import SENTENCE_S, sentences

from kallglot_media.audio import g711
from tests.support.baresip import Baresip
from tests.support.correlate import gaps, match
from tests.support.processes import pass_time
from tests.support.server import Server
from tests.support.waves import Pcm16, script


def score(said: Pcm16, heard: Pcm16) -> float:
    """PESQ; not a number where the package is not installed."""
    try:
        from pesq import pesq
    except ImportError:
        return float("nan")
    return float(pesq(8000, said, heard, "nb"))


def line(codec: str, said: list[Pcm16], heard: Pcm16) -> str:
    whole = np.concatenate(said)
    found = match(whole, heard)
    size, scores, alone = SENTENCE_S * 8000, [], []
    for number, sentence in enumerate(said):
        at = found.lag_samples + number * size
        scores.append(score(sentence, heard[max(0, at) : at + size + 800]))
        law = codec.split("/")[0]
        if law in g711.ENCODERS:
            twice = g711.DECODERS[law](g711.ENCODERS[law](sentence))
            alone.append(score(sentence, twice))
    holes = gaps(heard[found.lag_samples : found.lag_samples + len(whole)], shortest_s=0.02)
    said_holes = gaps(whole, shortest_s=0.02)
    return (
        f"| {codec} | {found.overlap_s:.0f} of {len(whole) / 8000:.0f} "
        f"| {found.window_median:.4f} / {found.window_min:.4f} "
        f"| {found.gain_db:+.2f} | {len(holes)} ({len(said_holes)}) | {np.mean(scores):.2f} / {min(scores):.2f} "
        f"| {f'{np.mean(alone):.2f}' if alone else '–'} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codecs", default="PCMU/8000/1,PCMA/8000/1,G722/8000/1", help="as baresip names them")
    codecs = parser.parse_args().codecs.split(",")
    said = sentences()
    print(f"load average before: {os.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory(prefix="bench-listen-") as name, ExitStack() as stack:
        server = stack.enter_context(Server(Path(name) / "server"))
        spoken = script(1.0, *said, 60.0)
        phones = [
            stack.enter_context(Baresip(Path(name) / f"{n}", f"u{n}", microphone=spoken, codecs=codec))
            for n, codec in enumerate(codecs)
        ]
        for phone in phones:
            phone.dial(server.uri("echo"))
        for phone in phones:
            phone.wait_for("CALL_ESTABLISHED")
        pass_time(len(said) * SENTENCE_S + 3.0)
        for phone in phones:
            phone.hang_up()
        print(
            "| codec | s heard | correlation, median / worst s | level dB | holes (of the speech itself) "
            "| PESQ, mean / worst | codec alone |"
        )
        print("|---|---|---|---|---|---|---|")
        for codec, phone in zip(codecs, phones, strict=True):
            print(line(codec, said, phone.heard().pcm), flush=True)


if __name__ == "__main__":
    main()
