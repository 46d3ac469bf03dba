"""How late are subtitles? bench_subtitles.py [--out FOLDER]

assistive_translation on a real server, the customer's sound and a page that reads along on one stream, at real time.
For each word of the recordings of the tests: from its end (speech shared out among the words by their letters: the
starter recogniser's own word times are worse) to the arrival of the first message with a translation in whose original
the word stands as it does in the final one. As a Markdown table.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kallglot_media.phone.sounds import load_sound
from kallglot_media.speech.evaluate import read_set
from tests.support.rest import Rest, make_key, speak
from tests.support.server import Server
from tests.support.stream_client import StreamClient

SHIPPED = Path(__file__).parents[1] / "tests" / "data" / "speech"
RATE_HZ = 8000
PAUSE_S = 2.5
QUIET = 300
"""Of 32,768: softer than this is silence."""
Json = dict[str, Any]


@dataclass
class Lags:
    """In ms, each word once. final: of the last word of a sentence, to its final translation."""

    translated: list[float] = field(default_factory=list)
    original: list[float] = field(default_factory=list)
    final: list[float] = field(default_factory=list)
    before_the_end: int = 0


def plain(text: str) -> list[str]:
    """Words without case and punctuation."""
    return "".join(char.lower() if char.isalnum() else " " for char in text).split()


def word_ends(pcm: Any, words: list[str]) -> list[tuple[str, float]]:
    """Each word and about where it ends, in ms."""
    loud = np.flatnonzero(np.abs(pcm) > QUIET)
    first_ms, last_ms = 1000 * loud[0] / RATE_HZ, 1000 * loud[-1] / RATE_HZ
    letters = np.cumsum([len(word) for word in words])
    return [
        (word, first_ms + (last_ms - first_ms) * upto / letters[-1]) for word, upto in zip(words, letters, strict=True)
    ]


async def one_sentence(rest: Rest, pcm: Any, ends_ms: list[tuple[str, float]], lags: Lags) -> None:
    """A session of its own for each, so that nothing of another is in the way."""
    made = rest.call(
        "POST", "/v1/sessions", {"mode": "assistive_translation", "source_language": "de", "target_language": "en"}
    )
    loop, arrived = asyncio.get_running_loop(), list[tuple[float, Json]]()
    async with StreamClient(made["stream"]["url"], made["stream"]["token"]) as client:
        await client.until("session.ready")

        async def read() -> None:
            while (message := await client.next()) is not None:
                arrived.append((loop.time(), message))

        reading = asyncio.create_task(read())
        quiet = np.zeros(round(PAUSE_S * RATE_HZ), np.int16)
        both = asyncio.gather(
            speak(client, "agent", np.zeros(len(pcm) + len(quiet), np.int16), chunk_ms=20),
            speak(client, "customer", np.concatenate([pcm, quiet]), chunk_ms=20),
        )
        began_s = loop.time()
        await both
        await client.send("session.end")
        await reading
    take(arrived, began_s, ends_ms, lags)


def take(arrived: list[tuple[float, Json]], began_s: float, ends_ms: list[tuple[str, float]], lags: Lags) -> None:
    """What the messages of one sentence say of each of its words. A piece of sound is sent when it begins."""
    shown = [
        (at_s, one) for at_s, one in arrived if one["type"].startswith("transcript.") and one["speaker"] == "customer"
    ]
    finals = [(at_s, one) for at_s, one in shown if one["type"] == "transcript.final"]
    if len(finals) != 1 or plain(finals[0][1]["text"]) != [word for word, _ in ends_ms]:
        return  # cut or heard otherwise: there is no word to measure from
    final_s = finals[0][0]
    for number, (word, end_ms) in enumerate(ends_ms):
        has = [(at_s, one) for at_s, one in shown if plain(one["text"])[number : number + 1] == [word]]
        translated = next(at_s for at_s, one in has if one.get("translation"))
        lags.translated.append(1000 * (translated - began_s) - end_ms)
        lags.original.append(1000 * (has[0][0] - began_s) - end_ms)
        lags.before_the_end += translated < final_s
    lags.final.append(1000 * (final_s - began_s) - ends_ms[-1][1])


def row(name: str, values: list[float]) -> str:
    """A line of the table."""
    if not values:
        return f"| {name} | 0 | – | – | – |"
    return f"| {name} | {len(values)} | {median(values):.0f} | {np.percentile(values, 95):.0f} | {max(values):.0f} |"


async def measure(rest: Rest) -> tuple[Lags, int]:
    """Every German recording."""
    lags = Lags()
    recordings = [one for one in read_set(SHIPPED) if one.language == "de"]
    for one in recordings:
        pcm = load_sound(SHIPPED / one.name, RATE_HZ)
        await one_sentence(rest, pcm, word_ends(pcm, plain(one.text)), lags)
    return lags, len(recordings)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("demo-output/bench-subtitles"))
    chosen = parser.parse_args()
    os.environ.pop("KALLGLOT_MODELS", None)
    folder = (chosen.out / f"{int(time.time())}").absolute()
    folder.mkdir(parents=True)
    with Server(folder, settings={"api": {"requests_per_minute": 0}}) as server:
        rest = Rest(server, make_key(server))
        lags, sentences = asyncio.run(measure(rest))
        rest.close()
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, starter models.\n")
    print("| from the end of a word, ms | n | p50 | p95 | longest |\n|---|---|---|---|---|")
    print(row("to its first translation on the page", lags.translated))
    print(row("to its first being there in the original", lags.original))
    print(row("last words: to the final translation", lags.final))
    share = 100 * lags.before_the_end / max(1, len(lags.translated))
    print(f"\n{len(lags.final)} of {sentences} sentences counted; {share:.0f} % of the words came before the final.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
