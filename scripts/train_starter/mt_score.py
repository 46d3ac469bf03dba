"""How good a pair of translation packages is, through the product's own translator."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from kallglot_media.speech.argos import ArgosTranslator
from kallglot_media.speech.evaluate import score_translator
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


def report(translator: ArgosTranslator, parts: dict[str, list[Pair]]) -> None:
    """A line for each part and direction."""
    for part, pairs in parts.items():
        for source, target in DIRECTIONS if pairs else ():
            told = [(pair.de, pair.en) if source == "de" else (pair.en, pair.de) for pair in pairs]
            found = score_translator(translator, told, source, target)
            print(
                f"{part} {source}→{target}: BLEU {found.bleu:.1f}, chrF {found.chrf:.1f}, "
                f"numbers kept {found.kept:.1f} %, {found.sentences} lines, {found.engine_ms:.1f} ms each",
                flush=True,
            )


def main() -> None:
    """python -m train_starter.mt_score --texts FOLDER PACKAGE PACKAGE"""
    options = argparse.ArgumentParser(description=main.__doc__)
    options.add_argument("packages", nargs="+", type=Path)
    options.add_argument("--texts", type=Path, required=True)
    given = options.parse_args()
    texts = gather(given.texts)
    report(translator_of(given.packages), {"tune": texts.tune, "test": texts.test})


if __name__ == "__main__":
    main()
