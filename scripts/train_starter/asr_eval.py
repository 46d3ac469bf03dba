"""Judge a recogniser with sentences and voices that were not trained on, through a telephone line.

    python -m train_starter.asr_eval make SET [--texts FOLDER] [--each 150]
    python -m train_starter.asr_eval score MODEL SET

SET is a folder of 8 kHz µ-law recordings: those listed in manifest.json, single sentences and runs of several up to
11.5 s (shown as "de+" for such in German), and noise_*.wav, in which nobody speaks. `score` prints a table: word
error rate with the language given, with it detected, with Whisper's 30 s window, how often the language was found, and
how far words are from where they were said; and how often noise became words.
"""

from __future__ import annotations

import argparse
import json
import os
import random
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import soxr
from tqdm import tqdm

from kallglot_media.audio.g711 import ulaw_encode
from kallglot_media.speech.evaluate import normalized, padded, read_sound, word_error_rate
from kallglot_media.speech.models import find_models
from kallglot_media.speech.settings import SpeechSettings
from kallglot_media.speech.types import Transcript
from kallglot_media.speech.whisper import WhisperRecognizer
from train_starter import channel
from train_starter.asr_texts import asr_texts
from train_starter.slots import LANGUAGES
from train_starter.speakers import RATE_HZ, Pcm16, Voice, held_out_voice, speak
from train_starter.speech_data import no_speech

LONG_SHARE, LONGEST_S = 0.3, 11.5
LINE_NOISE_DB = (15, 35)
LINE_LOSS = (0.0, 0.0, 0.02)
NOISES = 30


def write_ulaw(path: Path, pcm: Pcm16) -> None:
    """A WAV file of G.711 µ-law at 8 kHz: half a telephone second is 4 kB."""
    codes = ulaw_encode(np.asarray(soxr.resample(pcm, RATE_HZ, 8000), dtype=np.int16)).tobytes()
    head = b"RIFF" + (4 + 26 + 12 + 8 + len(codes)).to_bytes(4, "little") + b"WAVE"
    head += b"fmt " + (18).to_bytes(4, "little") + b"".join(
        value.to_bytes(size, "little") for value, size in ((7, 2), (1, 2), (8000, 4), (8000, 4), (1, 2), (8, 2), (0, 2))
    )  # fmt: skip
    head += b"fact" + (4).to_bytes(4, "little") + len(codes).to_bytes(4, "little")
    path.write_bytes(head + b"data" + len(codes).to_bytes(4, "little") + codes)


def on_the_line(pcm: Pcm16, rng: random.Random) -> Pcm16:
    """A call as calls are: some noise, G.711, now and then a lost frame."""
    noises = np.random.default_rng(rng.getrandbits(63))
    noisy = channel.with_noise(pcm.astype(np.float32) * np.float32(0.5), noises, rng.uniform(*LINE_NOISE_DB))
    return channel.telephone(channel.as_pcm(noisy), rng, rng.choice(LINE_LOSS))


def make_set(folder: Path, corpora: Path | None, each: int, seed: int = 77) -> None:
    """Recordings of held-out texts by held-out voices."""
    folder.mkdir(parents=True, exist_ok=True)
    texts, rng, listed = asr_texts(corpora), random.Random(seed), []
    for language in LANGUAGES:
        left = list(texts.held_out[language])
        rng.shuffle(left)
        for number in range(each):
            voice = held_out_voice(rng, language)
            one = _recording(left, language, voice, rng, several=rng.random() < LONG_SHARE)
            if one is None:
                break
            name = f"{language}_{number:03d}.wav"
            write_ulaw(folder / name, on_the_line(one.pop("pcm"), rng))
            listed.append({"file": name, "language": language, "voice": voice.speaker, **one})
    for number in range(min(NOISES, each)):
        name = f"noise_{number:02d}.wav"
        write_ulaw(folder / name, channel.as_pcm(no_speech(rng)))
    lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in listed)
    (folder / "manifest.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def _recording(
    left: list[str], language: str, voice: Voice, rng: random.Random, *, several: bool
) -> dict[str, Any] | None:
    """The next text, or the next two or three with pauses between; None when there are no more."""
    said: list[str] = []
    starts: list[int] = []
    pcm = np.zeros(0, dtype=np.int16)
    for _ in range(rng.randint(2, 3) if several else 1):
        if not left:
            break
        one = speak(left[-1], language, voice)
        pause = int(rng.uniform(0.2, 0.6) * RATE_HZ) if said else 0
        if said and len(pcm) + pause + len(one.pcm) > LONGEST_S * RATE_HZ:
            break
        begin_ms = (len(pcm) + pause) * 1000 // RATE_HZ
        starts += [begin_ms + start for start in one.word_starts_ms] or [-1] * len(left[-1].split())
        pcm = np.concatenate([pcm, np.zeros(pause, dtype=np.int16), one.pcm])
        said.append(left.pop())
    if not said:
        return None
    return {"text": " ".join(said), "pcm": pcm, "several": len(said) > 1, "word_starts_ms": starts}


def recognizer(model: Path, window: str = "auto") -> WhisperRecognizer:
    """The product's recogniser with the model in a folder."""
    settings = SpeechSettings(recognizer=str(model.absolute()), window=window, word_times=window == "auto")  # type: ignore[arg-type]
    return WhisperRecognizer(find_models(settings).recognizer(settings.recognizer), settings)


def start_errors_ms(said: dict[str, Any], heard: Transcript, lead_ms: int) -> list[float]:
    """How far the start of each word is off, where all words were heard right."""
    starts = said.get("word_starts_ms") or []
    if len(starts) != len(heard.words) or -1 in starts or normalized(said["text"]) != normalized(heard.text):
        return []
    return [abs(word.start_ms - lead_ms - start) for word, start in zip(heard.words, starts, strict=True)]


@dataclass(slots=True)
class _Tally:
    """What was said and heard of one kind of speech."""

    given: list[tuple[str, str]] = field(default_factory=list)
    detected: list[tuple[str, str]] = field(default_factory=list)
    full: list[tuple[str, str]] = field(default_factory=list)
    hits: list[bool] = field(default_factory=list)
    off_ms: list[float] = field(default_factory=list)
    took_ms: list[float] = field(default_factory=list)

    def row(self, kind: str) -> str:
        """A row of the table."""
        errors = [f"{word_error_rate(pairs):.1f} %" for pairs in (self.given, self.detected, self.full)]
        off = f"{np.median(self.off_ms):.0f} ms" if self.off_ms else "–"
        cells = [kind, str(len(self.given)), *errors, f"{100 * np.mean(self.hits):.0f} %", off]
        return f"| {' | '.join([*cells, f'{np.mean(self.took_ms):.0f}'])} |"


def score(model: Path, folder: Path) -> list[str]:
    """The rows of the table."""
    short, full = recognizer(model), recognizer(model, "full")
    tallies: defaultdict[str, _Tally] = defaultdict(_Tally)
    noises = [bool(short.transcribe(padded(read_sound(path)), None).text) for path in sorted(folder.glob("noise_*"))]
    for one in tqdm(json.loads((folder / "manifest.json").read_text(encoding="utf-8"))):
        pcm, language, text = padded(read_sound(folder / one["file"])), one["language"], one["text"]
        tally = tallies[language + ("+" if one["several"] else "")]
        told, free = short.transcribe(pcm, language), short.transcribe(pcm, None)
        tally.given.append((text, told.text))
        tally.detected.append((text, free.text))
        tally.full.append((text, full.transcribe(pcm, language).text))
        tally.hits.append(free.language == language)
        tally.off_ms += start_errors_ms(one, told, 200)
        tally.took_ms.append(told.engine_ms)
    for kind, tally in sorted(tallies.items()):
        for said, heard in tally.given[:4]:
            tqdm.write(f"{kind}: {said}\n    {heard}")
    rows = ["| speech | n | WER | detected | 30 s window | language | words off | ms |", "|---" * 8 + "|"]
    rows += [tally.row(kind) for kind, tally in sorted(tallies.items())]
    return [*rows, f"\nNoise that became words: {sum(noises)} of {len(noises)}."] if noises else rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make")
    making.add_argument("set", type=Path)
    making.add_argument("--texts", type=Path)
    making.add_argument("--each", type=int, default=150)
    scoring = commands.add_parser("score")
    scoring.add_argument("model", type=Path)
    scoring.add_argument("set", type=Path)
    given = parser.parse_args()
    if given.command == "make":
        make_set(given.set, given.texts, given.each)
    else:
        print("\n".join(score(given.model, given.set)))


if __name__ == "__main__":
    main()
