"""How good a pair of translation packages is, through the product's own translator."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import sacrebleu

from kallglot_media.speech.argos import ArgosTranslator
from kallglot_media.speech.entities import entities, missing
from kallglot_media.speech.models import Model
from kallglot_media.speech.settings import EngineKind, SpeechSettings
from train_starter.mt_package import DIRECTIONS
from train_starter.mt_texts import gather
from train_starter.texts import Pair


def translator_of(packages: Sequence[Path]) -> ArgosTranslator:
    """The product's translator with these packages, named translate-FROM_TO-VERSION."""
    models = [
        Model(EngineKind.TRANSLATOR, path.stem, path, tuple(path.stem.split("-")[1].split("_")), 0, starter=True)
        for path in packages
    ]
    return ArgosTranslator(models, SpeechSettings())


def score(translator: ArgosTranslator, pairs: Sequence[Pair], source: str, target: str) -> dict[str, float]:
    """BLEU, chrF, and in percent how many of the entities that must come through did so."""
    told, right = zip(*(((p.de, p.en) if source == "de" else (p.en, p.de)) for p in pairs), strict=True)
    made = [translator.translate(text, source, target).text for text in told]
    wanted = [[one for one in entities(text, source) if one.strict] for text in told]
    lost = sum(len(missing(there, text, target)) for there, text in zip(wanted, made, strict=True))
    count = sum(map(len, wanted))
    return {
        "BLEU": sacrebleu.corpus_bleu(made, [list(right)]).score,
        "chrF": sacrebleu.corpus_chrf(made, [list(right)]).score,
        "entities": 100 * (1 - lost / max(1, count)),
        "lines": len(pairs),
    }


def main() -> None:
    """python -m train_starter.mt_score --texts FOLDER PACKAGE PACKAGE"""
    options = argparse.ArgumentParser(description=main.__doc__)
    options.add_argument("packages", nargs="+", type=Path)
    options.add_argument("--texts", type=Path, required=True)
    given = options.parse_args()
    texts = gather(given.texts)
    translator = translator_of(given.packages)
    for part, pairs in (("tune", texts.tune), ("test", texts.test)):
        for source, target in DIRECTIONS:
            found = score(translator, pairs, source, target)
            print(part, f"{source}→{target}", *(f"{name} {value:.1f}" for name, value in found.items()), flush=True)


if __name__ == "__main__":
    main()
