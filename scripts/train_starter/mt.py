"""Make the starter translation packages: `make starter-mt`.

From nothing it takes two to three hours of one core; `--begin-with PACKAGE` trains an earlier one on. Without
`--texts` only the grammar is there to learn from, which is what the smoke run does.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import fields, replace
from pathlib import Path

import sentencepiece
import torch

from train_starter.mt_model import Shape, Translator
from train_starter.mt_package import read_package, write_packages
from train_starter.mt_score import report, translator_of
from train_starter.mt_texts import Texts, gather, made_up
from train_starter.mt_train import Plan, Training, make_pieces
from train_starter.texts import Pair, known_pairs

SMOKE = Plan(steps=120, minutes=1.0, tokens=800, peak=3e-3, warm_up=30, everyday=0, grammar=1500, chats=0, mean_of=20)
SMOKE_SHAPE = Shape(vocabulary=900, width=96, inner=192, heads=4, encoder_layers=2, decoder_layers=1)


def main() -> None:
    """Train, write the packages, print their scores."""
    given = _options().parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    given.out.mkdir(parents=True, exist_ok=True)
    texts = gather(given.texts)
    held_out = len(texts.tune) + len(texts.test)
    print(f"pairs: {len(texts.chats)} of chats, {len(texts.everyday)} everyday; held out: {held_out}", flush=True)
    plan = _plan(given)
    if given.begin_with:
        weights, shape, pieces = read_package(given.begin_with)
        model = Translator(shape)
        model.load_state_dict(weights)
    else:
        shape = SMOKE_SHAPE if given.smoke else Shape()
        pieces = make_pieces(_for_pieces(texts), shape.vocabulary, given.out / "sentencepiece.model")
        shape = replace(shape, vocabulary=_processor(pieces).get_piece_size())
        model = Translator(shape)
    training = Training(model, _processor(pieces), texts, plan, given.out / "checkpoint.pt")
    weights = training.run()
    if given.smoke and not training.losses[-1] < training.losses[0] - 1:
        raise AssertionError(f"nothing was learnt: the loss went from {training.losses[0]} to {training.losses[-1]}")
    packages = write_packages(weights, shape, pieces, given.out, given.version)
    grammar = made_up(10 if given.smoke else 100, random.Random("report"))
    report(translator_of(packages), {"tune": texts.tune, "test": texts.test, "grammar": grammar})


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--texts", type=Path, help="folder with bcontrast/ and tatoeba-deu-eng-2018.zip")
    options.add_argument("--out", type=Path, default=Path("training/mt"))
    options.add_argument("--begin-with", type=Path, help="a package whose weights are trained on")
    options.add_argument("--version", default="0.2")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--smoke", action="store_true", help="a tiny one in a minute, to see that all of it works")
    for field in fields(Plan):
        kind = {"int": int, "float": float}[str(field.type)]
        options.add_argument(f"--{field.name.replace('_', '-')}", type=kind, help=f"default {field.default}")
    return options


def _plan(given: argparse.Namespace) -> Plan:
    plan = SMOKE if given.smoke else Plan()
    chosen = {field.name: getattr(given, field.name) for field in fields(Plan)}
    return replace(plan, **{name: value for name, value in chosen.items() if value is not None})


def _processor(pieces: bytes) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_proto=pieces)


def _for_pieces(texts: Texts) -> list[Pair]:
    return [*texts.chats, *texts.chats, *texts.everyday, *made_up(5000, random.Random(0)), *known_pairs()]


if __name__ == "__main__":
    main()
