"""Make the starter voices: `make starter-voices`. Some minutes of one core; espeak-ng must be installed."""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path

import onnx
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

from train_starter.grammar import fill, read_blocks
from train_starter.texts import known_pairs, read_bcontrast
from train_starter.voice_graph import Speaker, build
from train_starter.voice_units import RATE_HZ, collect

ESPEAK = {"de": ("de", "de_DE"), "en": ("en-us", "en_US"), "es": ("es", "es_ES"), "fr": ("fr", "fr_FR")}
SPEAKERS = (
    Speaker("alloy", 1.0, 1.0, 1.0),
    Speaker("echo", 0.87, 0.95, 1.0),
    Speaker("fable", 1.14, 1.04, 1.05),
    Speaker("onyx", 0.76, 0.89, 1.06),
    Speaker("nova", 1.5, 1.13, 0.95),
    Speaker("shimmer", 1.7, 1.17, 1.04),
)


def main() -> None:
    """Build them and say how big they are."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--texts", type=Path, help="folder with bcontrast/ and flores/: more diphones are heard in more text"
    )
    options.add_argument("--out", type=Path, default=Path("training/piper"))
    options.add_argument("--languages", nargs="+", default=list(ESPEAK), choices=list(ESPEAK))
    options.add_argument("--lines", type=int, default=1800, help="of text, for each language")
    given = options.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for language in given.languages:
        began_s = time.monotonic()
        path = make(language, lines(language, given.texts, given.lines), given.out)
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {time.monotonic() - began_s:.0f} s", flush=True)


def make(language: str, texts: Sequence[str], folder: Path) -> Path:
    """One voice, with its description beside it."""
    espeak, code = ESPEAK[language]
    path = folder / f"{code}-diphone-x_low.onnx"
    units = collect(espeak, texts)
    onnx.save(build(units, SPEAKERS), path)
    about = {
        "audio": {"sample_rate": RATE_HZ, "quality": "x_low"},
        "espeak": {"voice": espeak},
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "phoneme_map": {},
        "phoneme_id_map": DEFAULT_PHONEME_ID_MAP,
        "num_symbols": 256,
        "num_speakers": len(SPEAKERS),
        "speaker_id_map": {speaker.name: n for n, speaker in enumerate(SPEAKERS)},
        "piper_version": "1.0.0",
        "language": {"code": code},
        "dataset": "espeak-ng diphones",
    }
    path.with_name(f"{path.name}.json").write_text(json.dumps(about, ensure_ascii=False, indent=1), encoding="utf-8")
    return path


def lines(language: str, corpora: Path | None, most: int) -> list[str]:
    """What is said to cut units from: the grammar's sentences, and where there are any, chats and news."""
    rng = random.Random(language)
    blocks = read_blocks()
    found = [fill(blocks, n % len(blocks), rng).spoken[language] for n in range(3 * len(blocks))]
    if language in ("de", "en"):
        found += [text for pair in known_pairs() for one, text in pair.items() if one == language]
        chats = [dict(pair.items())[language] for pair in read_bcontrast(corpora, "train")]
        found += rng.sample(chats, min(len(chats), most // 3))
    news = corpora / "flores" / f"dev.{language}" if corpora else None
    if news is not None and news.is_file():
        found += news.read_text(encoding="utf-8").splitlines()
    return rng.sample(found, min(len(found), most))


if __name__ == "__main__":
    main()
