"""Make the starter recogniser: `make starter-asr`.

Speech is made first (in about ten minutes), then the model is trained for `--minutes`, written as OUT/model and
judged with held-out sentences in held-out voices. Whatever is there already is not made again: a run that was stopped
goes on. It begins with the model in the package; with `--from-nothing` it does not, and `--begin-with FOLDER` trains
another model of the same width on. It wants two cores of its own.
Without `--texts` only the grammar is there to learn from, which is what the smoke run does.
"""

from __future__ import annotations

import argparse
import json
import os
from functools import partial
from pathlib import Path

import numpy as np
import torch
from faster_whisper import WhisperModel

from train_starter.asr_batches import Vocabulary
from train_starter.asr_eval import make_set, score
from train_starter.asr_export import export
from train_starter.asr_model import Shape
from train_starter.asr_pieces import RARE
from train_starter.asr_start import start_from
from train_starter.asr_together import Crew, run_together
from train_starter.asr_train import BEGUN_RATE, TEXTS_FOR_PIECES, TOKENIZER, Training, vocabulary
from train_starter.mix import MIXES
from train_starter.speech_data import make_speech

SMOKE_HOURS, SMOKE_STEPS, SMOKE_WARM_UP_STEPS, SMOKE_TEXTS, SMOKE_RARE, SMOKE_EACH = 0.1, 500, 20, 2000, 20, 1

SMOKE_LAST = 5
"""Over so many showings the losses at the end are taken: each of twenty steps, which hear few utterances."""

LOSSES = "losses.json"


def main() -> None:
    """Speech, training, export, judgement."""
    given = _options().parse_args()
    out: Path = given.out
    torch.set_num_threads(1)
    mix = MIXES[given.mix].with_voices(given.voices)
    hours = SMOKE_HOURS if given.smoke else given.hours
    make_speech(out / "speech", hours, given.texts, given.seed, mix, given.workers)
    rare, looked_at = (SMOKE_RARE, SMOKE_TEXTS) if given.smoke else (RARE, TEXTS_FOR_PIECES)
    words = vocabulary(out, given.texts, given.seed, rare, mix, looked_at)
    shape = Shape(len(words.used), len(words.phones), encoder_layers=given.encoder_layers)
    if given.smoke:
        shape = Shape(shape.vocabulary, shape.phones, width=64, heads=2, encoder_layers=2, decoder_layers=1)
    (out / LOSSES).unlink(missing_ok=True)
    together = 1 if torch.cuda.is_available() else given.workers  # one process is enough for a GPU
    run_together(together, out / "meet", partial(train, given, words, shape))
    if not (out / LOSSES).is_file():
        print("stopped; the same command goes on", flush=True)
        return
    export(out / "last.pt", words, out / "model")
    must_load(out / "model")
    make_set(out / "judge", given.texts, SMOKE_EACH if given.smoke else given.each)
    print("\n".join(score(out / "model", out / "judge")))
    if given.smoke:
        must_have_learned(out)


def train(given: argparse.Namespace, words: Vocabulary, shape: Shape, crew: Crew) -> None:
    """One of the processes that train the model; the first writes OUT/last.pt and, at the end, OUT/losses.json."""
    training = Training(given.out, words, given.minutes, given.seed, shape, crew)
    if given.smoke:
        training.steps, training.warm_up_steps, training.shown_every = SMOKE_STEPS, SMOKE_WARM_UP_STEPS, 20
    if not (given.from_nothing or given.smoke):
        training.peak_rate = BEGUN_RATE
        if training.step == 0:
            start_from(training.model, given.begin_with, words.used)
    training.run()
    if crew.rank == 0 and training.progress >= 1:
        (given.out / LOSSES).write_text(json.dumps(training.shown), encoding="utf-8")


def must_load(model: Path) -> None:
    """Unmodified faster-whisper takes the model, and 30 s of silence are no speech to it."""
    whisper = WhisperModel(str(model.absolute()), device="cpu", compute_type="int8", local_files_only=True)
    segments, _ = whisper.transcribe(np.zeros(16_000 * 2, dtype=np.float32), language="de", temperature=0.0)
    list(segments)
    size_mb = sum(file.stat().st_size for file in model.iterdir()) / 1e6
    print(f"{model}: {size_mb:.1f} MB, loads in faster-whisper", flush=True)


def must_have_learned(out: Path) -> None:
    """A smoke run is too short to understand anybody, but not for its losses to fall."""
    first, *later = json.loads((out / LOSSES).read_text(encoding="utf-8"))
    last = [round(float(np.mean(losses)), 3) for losses in zip(*later[-SMOKE_LAST:], strict=True)]
    print(json.dumps({"steps": SMOKE_STEPS, "first": first, "last": last}), flush=True)
    decoder, pieces, phones, _ = (end / begin for begin, end in zip(first, last, strict=True))
    if decoder > 0.9 or max(pieces, phones) > 0.75:
        raise SystemExit(f"starter-asr: nothing was learned in {SMOKE_STEPS} steps: {first} → {last}")


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--texts", type=Path, help="folder with bcontrast/ and tatoeba-deu-eng-2018.zip")
    options.add_argument("--voices", type=Path, help="folder of further Piper voices to train with")
    options.add_argument("--out", type=Path, default=Path("training/asr"))
    options.add_argument("--begin-with", type=Path, default=TOKENIZER.parent, help="folder of a model to train on")
    options.add_argument("--from-nothing", action="store_true", help="not with the recogniser in the package")
    options.add_argument("--hours", type=float, default=48.0, help="of speech to make")
    options.add_argument("--minutes", type=float, default=90.0, help="of training")
    options.add_argument("--each", type=int, default=150, help="recordings of a language to judge with")
    options.add_argument("--mix", default="full", choices=MIXES, help="of voices, lines and texts: see mix.py")
    options.add_argument("--encoder-layers", type=int, default=8)
    options.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that train together")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--smoke", action="store_true", help="a tiny one in a minute, to see that all of it works")
    return options


if __name__ == "__main__":
    main()
