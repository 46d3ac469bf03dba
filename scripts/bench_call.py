"""What does a real call cost in recognition and translation? bench_call.py [--out FOLDER]

The recordings of the tests (sentences that the starter models know, in voices they were not trained on) are
spoken through SIP, RTP, G.711 and the jitter buffer, and what the transcript says is scored beside the bare
engines on the same files, in one run. As a Markdown table.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path

from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kallglot_media.phone.demo import DemoOutcome, run_demo
from kallglot_media.phone.sounds import load_sound
from kallglot_media.phone.verdict import Line
from kallglot_media.speech.argos import ArgosTranslator
from kallglot_media.speech.evaluate import Recording, chrf, padded, read_set, through_telephone, word_error_rate
from kallglot_media.speech.models import find_models
from kallglot_media.speech.settings import SpeechSettings
from kallglot_media.speech.whisper import WhisperRecognizer

SHIPPED = Path(__file__).parents[1] / "tests" / "data" / "speech"
SPEAKERS = {"de": "customer", "en": "agent"}
OTHER = {"de": "en", "en": "de"}
SECONDS_A_LINE = 20.0
_RATE_HZ = 8000


def lines_of(recordings: Sequence[Recording]) -> list[Line]:
    """The set as a conversation: a German line, an English one, and so on."""
    lines = [
        Line(
            file=str(SHIPPED / one.name),
            speaker=SPEAKERS[one.language],
            language=one.language,
            text=one.text,
            translation=one.translation or "",
            sound=load_sound(SHIPPED / one.name, _RATE_HZ),
        )
        for one in recordings
    ]
    sides = [[line for line in lines if line.language == language] for language in SPEAKERS]
    return [line for pair in zip_longest(*sides) for line in pair if line is not None]


def bare(lines: Sequence[Line]) -> dict[str, tuple[str, str]]:
    """file -> (text, translation) by the engines alone, through the telephone's codec."""
    settings = SpeechSettings()
    models = find_models(settings)
    recognizer = WhisperRecognizer(models.recognizer(None), settings)
    translator = ArgosTranslator(models.packages(), settings)
    by_file = {str(SHIPPED / one.name): one for one in read_set(SHIPPED)}
    found = {}
    for line in lines:
        heard = recognizer.transcribe(through_telephone(padded(by_file[line.file].pcm)), line.language)
        words = translator.translate(heard.text, line.language, OTHER[line.language]) if heard.text else None
        found[line.file] = heard.text, words.text if words else ""
    return found


def in_call(outcome: DemoOutcome) -> dict[str, tuple[str, str]]:
    """file -> (text, translation) by the transcript of the call; empty where a line has no turn."""
    found = {}
    for result in outcome.verdict.lines:
        turn = result.turn
        found[result.line.file] = (turn.text or "", turn.translation or "") if turn else ("", "")
    return found


def row(name: str, language: str, lines: Sequence[Line], found: dict[str, tuple[str, str]]) -> str:
    """Word error rate of what was heard, and chrF of what it was translated to."""
    own = [line for line in lines if line.language == language]
    errors = word_error_rate([(line.text, found[line.file][0]) for line in own])
    score = chrf([line.translation for line in own], [found[line.file][1] for line in own])
    missing = sum(not found[line.file][0] for line in own)
    return f"| {language} | {name} | {len(own)} | {errors:.1f} % | {score:.1f} | {missing} |"


def main() -> int:
    """Exit code 1 when the recordings of the call are not equal in length: then nothing else counts."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--out", type=Path, default=Path("demo-output/bench-call"))
    chosen = arguments.parse_args()
    os.environ.pop("KALLGLOT_MODELS", None)
    recordings = [one for one in read_set(SHIPPED) if one.language in SPEAKERS and one.translation]
    lines = lines_of(recordings)
    outcome = run_demo(chosen.out, Console(file=io.StringIO()), limit_s=SECONDS_A_LINE * len(lines), lines=lines)
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, starter models.\n")
    print("| language | path | lines | WER | chrF | lines without a turn |\n|---|---|---|---|---|---|")
    alone, called = bare(lines), in_call(outcome)
    for language in SPEAKERS:
        print(row("bare engines, 8 kHz µ-law", language, lines, alone))
        print(row("a real call", language, lines, called))
    return 0 if outcome.verdict.checks[0].passed else 1


if __name__ == "__main__":
    sys.exit(main())
