"""Speech to train a recogniser on, as shards of log-mel frames: made ahead, so that training never waits for a voice.

    python -m train_starter.speech_data OUT --hours 20 [--texts FOLDER]

A shard is `shard-0007.npy` (frames × 80 float16, item after item) and `shard-0007.json` (what is said in each).
Shard n is the same whenever it is made; those that are there are not made again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import numpy.typing as npt
from faster_whisper.feature_extractor import FeatureExtractor
from tqdm import tqdm

from train_starter import channel
from train_starter.asr_texts import AsrTexts, asr_texts
from train_starter.mix import FULL, MIXES, Mix
from train_starter.speakers import PAUSE, RATE_HZ, Pcm16, Said, Voice, speak, trained_voice
from train_starter.splits import must_not_meet

ITEMS_PER_SHARD = 400
LONGEST_S = 12.0
SENTENCES_SHARES = {1: 0.36, 2: 0.32, 3: 0.2, 4: 0.12}
CUT_SHARE, END_CUT_SHARE, NOISE_SHARE = 0.15, 0.6, 0.05
BREATH_MS = 30
"""Before the word at which a sentence is cut off."""


@dataclass(frozen=True, slots=True)
class Item:
    """One utterance of a shard. language and text: "" for what is no speech; start and end of the speech in it.

    word_starts_ms, one for each word of the text, and phones with their starts are empty where they are not known.
    """

    frames: int
    language: str
    text: str
    speaker: str
    start_s: float
    end_s: float
    word_starts_ms: tuple[int, ...] = ()
    phones: tuple[tuple[str, int], ...] = ()


def utterance(texts: AsrTexts, rng: random.Random) -> tuple[Pcm16, Item]:
    """One to four sentences of one speaker, on a line, at most LONGEST_S long; or a noise."""
    if rng.random() < NOISE_SHARE:
        return channel.as_pcm(no_speech(rng)), Item(0, "", "", "", 0.0, 0.0, (), ((PAUSE, 0),))
    while True:
        language, text, voice, said = _said(texts, rng)
        if not texts.is_barred(language, text):  # two sentences, or half of one, may make one that is held out
            break
    pcm = said.pcm
    room = int(LONGEST_S * RATE_HZ) - len(pcm)
    lead = min(int(rng.uniform(0, 0.6) * RATE_HZ), max(0, room // 2))
    tail = min(int(rng.uniform(0.05, 0.5) * RATE_HZ), max(0, room - lead))
    heard = channel.line(np.pad(pcm, (lead, tail)), rng, texts.mix)
    start_s, end_s, later = lead / RATE_HZ, (lead + len(pcm)) / RATE_HZ, delayed(said, lead)
    return heard, Item(0, language, text, voice.speaker, start_s, end_s, later.word_starts_ms, later.phones)


def _said(texts: AsrTexts, rng: random.Random) -> tuple[str, str, Voice, Said]:
    language, text = texts.draw(rng)
    voice = trained_voice(rng, language, texts.mix)
    said = speak(text, language, voice)
    if rng.random() < CUT_SHARE and len(said.word_starts_ms) > 3:
        text, said = cut_off(text, said, rng) if rng.random() < END_CUT_SHARE else begun_late(text, said, rng)
        return language, text, voice, said
    text, said = _more(texts, rng, voice, (language, text), said)
    return language, text, voice, said


def delayed(said: Said, samples: int) -> Said:
    """The same, with what begins in it beginning later; a pause before its phones, and one after them."""
    by_ms = samples * 1000 // RATE_HZ
    if not said.phones:
        return Said(said.pcm, tuple(start + by_ms for start in said.word_starts_ms))
    phones = [(PAUSE, 0), *((name, start + by_ms) for name, start in said.phones)]
    end_ms = (samples + len(said.pcm)) * 1000 // RATE_HZ
    phones = [*((name, start) for name, start in phones if start < end_ms), (PAUSE, end_ms)]
    return Said(said.pcm, tuple(start + by_ms for start in said.word_starts_ms), tuple(phones))


def joined(first: Said, pause_samples: int, second: Said) -> Said:
    """One after the other; words and phones are known where they are of both."""
    pcm = np.concatenate([first.pcm, np.zeros(pause_samples, dtype=np.int16), second.pcm])
    then = delayed(second, len(first.pcm) + pause_samples)
    words = first.word_starts_ms + then.word_starts_ms if first.word_starts_ms and second.word_starts_ms else ()
    phones: tuple[tuple[str, int], ...] = ()
    if first.phones and second.phones:
        phones = (*first.phones, (PAUSE, len(first.pcm) * 1000 // RATE_HZ), *then.phones[1:])
    return Said(pcm, words, phones)


def _more(texts: AsrTexts, rng: random.Random, voice: Voice, line: tuple[str, str], said: Said) -> tuple[str, Said]:
    """Further sentences after the first, as many as chance wants and LONGEST_S has room for."""
    language, text = line
    wanted = rng.choices(list(SENTENCES_SHARES), list(SENTENCES_SHARES.values()))[0]
    for _ in range(wanted - 1):
        _, further = texts.draw(rng, language)
        longer = joined(said, int(rng.uniform(0.0, 0.6) * RATE_HZ), speak(further, language, voice))
        if len(longer.pcm) > (LONGEST_S - 0.2) * RATE_HZ:
            break
        text, said = f"{text} {further}", longer
    return text, said


def cut_off(text: str, said: Said, rng: random.Random) -> tuple[str, Said]:
    """The beginning of a sentence: what an interpreter hears of somebody who is still speaking."""
    words = text.split(" ")
    kept = rng.randrange(2, len(words))
    end_ms = said.word_starts_ms[kept] - BREATH_MS
    phones = tuple((name, start) for name, start in said.phones if start < end_ms)
    cut = Said(said.pcm[: end_ms * RATE_HZ // 1000], said.word_starts_ms[:kept], phones)
    return " ".join(words[:kept]).rstrip(".,?!:"), cut


def begun_late(text: str, said: Said, rng: random.Random) -> tuple[str, Said]:
    """The rest of a sentence: what an interpreter hears when its beginning has been passed on."""
    words = text.split(" ")
    left_out = rng.randrange(1, len(words) - 1)
    start_ms = said.word_starts_ms[left_out] - BREATH_MS
    later = tuple((name, max(0, start - start_ms)) for name, start in said.phones)
    first = max((n for n, (_, start) in enumerate(said.phones) if start <= start_ms), default=0)
    starts_ms = tuple(start - start_ms for start in said.word_starts_ms[left_out:])
    return " ".join(words[left_out:]), Said(said.pcm[start_ms * RATE_HZ // 1000 :], starts_ms, later[first:])


def no_speech(rng: random.Random) -> channel.Sound:
    """Silence, noise, hum, tones: half a second to six."""
    noises = np.random.default_rng(rng.getrandbits(63))
    samples = int(rng.uniform(0.5, 6.0) * RATE_HZ)
    time_s = np.arange(samples, dtype=np.float32) / RATE_HZ
    sound = channel.noise(noises, samples, rng.uniform(0, 2)) * np.float32(10 ** rng.uniform(0, 3))
    if rng.random() < 0.4:
        for _ in range(rng.randint(1, 3)):
            tone = np.sin(2 * np.pi * rng.uniform(50, 2000) * time_s) * (
                np.sin(2 * np.pi * rng.uniform(0.1, 3) * time_s) > rng.uniform(-1, 0.5)
            )
            sound = sound + np.float32(rng.uniform(200, 6000)) * tone.astype(np.float32)
    if rng.random() < 0.1:
        sound *= 0
    if rng.random() < 0.6:
        sound = channel.telephone(channel.as_pcm(sound), rng).astype(np.float32)
    return sound


def log_mel(pcm: Pcm16, extractor: FeatureExtractor) -> npt.NDArray[np.float16]:
    """frames × 80, as faster-whisper makes them."""
    return np.ascontiguousarray(extractor(pcm.astype(np.float32) / 32768).T.astype(np.float16))


def make_shard(folder: Path, number: int, texts: AsrTexts, seed: int) -> float:
    """Make a shard that is not there yet; returns its hours."""
    target = folder / f"shard-{number:04d}.npy"
    about = target.with_suffix(".json")
    if about.is_file():
        return sum(int(one["frames"]) for one in json.loads(about.read_text(encoding="utf-8"))) / 360_000
    rng, extractor = random.Random(seed * 100_003 + number), FeatureExtractor()
    frames, items = [], []
    for _ in range(ITEMS_PER_SHARD):
        pcm, item = utterance(texts, rng)
        mel = log_mel(pcm, extractor)[: int(LONGEST_S * 100)]
        frames.append(mel)
        items.append({**asdict(item), "frames": len(mel)})
    unfinished = target.with_suffix(".part.npy")
    np.save(unfinished, np.concatenate(frames))
    unfinished.rename(target)
    about.with_suffix(".part").write_text(json.dumps(items, ensure_ascii=False), encoding="utf-8")
    about.with_suffix(".part").rename(about)
    return sum(len(one) for one in frames) / 360_000


def make_speech(
    folder: Path, hours: float, corpora: Path | None, seed: int = 1, mix: Mix = FULL, workers: int = 1
) -> None:
    """Shards until there are `hours` of them; each worker is a process of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    shown = "{l_bar}{bar}| {n:.2f}/{total:.2f} h {elapsed}<{remaining}"
    given = (corpora, seed, mix)
    with (
        ProcessPoolExecutor(workers, get_context("spawn"), _begin_worker, given) as pool,
        tqdm(total=hours, desc="speech", bar_format=shown) as bar,
    ):
        started = deque(pool.submit(_make_one, folder, number, seed) for number in range(workers))
        made, number = 0.0, workers
        while started:
            more = started.popleft().result()
            made += more
            bar.update(min(more, hours - bar.n))
            if made < hours:
                started.append(pool.submit(_make_one, folder, number, seed))
                number += 1


_texts: AsrTexts
_held_out: list[str]


def _begin_worker(corpora: Path | None, seed: int, mix: Mix) -> None:
    global _texts, _held_out  # one of each for a worker's life: they take seconds to read
    _texts = asr_texts(corpora, seed, mix)
    _held_out = [text for lines in _texts.held_out.values() for text in lines]


def _make_one(folder: Path, number: int, seed: int) -> float:
    hours = make_shard(folder, number, _texts, seed)
    items = json.loads((folder / f"shard-{number:04d}.json").read_text(encoding="utf-8"))
    must_not_meet((one["text"] for one in items if one["text"]), _held_out)
    return hours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--hours", type=float, default=20.0)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mix", default="full", choices=MIXES)
    parser.add_argument("--voices", type=Path, help="folder of further Piper voices")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    mix = MIXES[given.mix].with_voices(given.voices)
    make_speech(given.out, given.hours, given.texts, given.seed, mix, given.workers)


if __name__ == "__main__":
    main()
