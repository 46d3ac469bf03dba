"""Say the lines of a call for scripts/demo_call.py: python -m train_starter.call_recordings NAME --texts FOLDER

Before that each line is looked for in everything that the starter models are trained on, and its voice among the
voices; it must be in neither.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soxr
from demo_call import calls, read_call

from kallglot_media.phone.sounds import save_sound
from train_starter.grammar import read_blocks
from train_starter.speakers import HELD_OUT_VARIANTS, RATE_HZ, Voice, speak
from train_starter.splits import must_not_meet
from train_starter.texts import known_pairs, normalized, read_bcontrast, read_tatoeba

TELEPHONE_HZ = 8000
PEAK = 0.5
_FILLING = r" ?[\w']+(?: [\w']+){0,6} ?"
"""What a slot may become: up to seven words."""


def main() -> None:
    """Check, then write NAME/NN-SPEAKER.wav."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("name", choices=calls())
    options.add_argument("--texts", type=Path)
    given = options.parse_args()
    voices, lines = read_call(given.name)
    must_be_new((line["text"] for line in lines), given.texts)
    for language, voice in voices.items():
        if voice.split("+")[-1] not in HELD_OUT_VARIANTS:
            raise AssertionError(f"{voice} is trained on; write one of {', '.join(HELD_OUT_VARIANTS)} for {language}")
    for line in lines:
        said = speak(line["text"], line["language"], Voice("espeak", voices[line["language"]]))
        pcm = soxr.resample(said.pcm.astype(np.float32), RATE_HZ, TELEPHONE_HZ)
        save_sound(Path(line["file"]), (pcm / np.abs(pcm).max() * PEAK * 32767).astype(np.int16), TELEPHONE_HZ)


def must_be_new(lines: Iterable[str], corpora: Path | None) -> None:
    """Raise AssertionError when a line is a training text, or one that the grammar can make."""
    lines = list(lines)
    pairs = [*known_pairs(), *read_bcontrast(corpora, "train"), *read_tatoeba(corpora)]
    must_not_meet((text for pair in pairs for _, text in pair.items()), lines, "line")
    for block in read_blocks():
        for text in block.values():
            form = re.compile(_FILLING.join(re.escape(normalized(part)) for part in re.split(r"\{[^}]*\}", text)))
            made = [line for line in lines if form.fullmatch(normalized(line))]
            if made and normalized(re.sub(r"\{[^}]*\}", "", text)):
                raise AssertionError(f"{made[0]!r} can be made of the grammar's {text!r}")


if __name__ == "__main__":
    main()
