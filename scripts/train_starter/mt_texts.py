"""The sentence pairs that the starter translator learns from, and those that it is judged with.

Judged with are the chats of BConTrasT's dev part: every second one chooses among checkpoints ("tune"), the others score
("test"). No pair that has a line of them, either side, is trained on; lines of up to three words ("Vielen Dank.") are
everybody's and excepted.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kallglot_media.speech.sentences import sentences
from train_starter.grammar import fill, read_blocks
from train_starter.splits import block_is_held_out, must_not_meet
from train_starter.texts import Pair, known_pairs, normalized, read_bcontrast, read_tatoeba

EVERYBODYS_WORDS = 3
MOST_OF_A_NAME = 8000
"""Pairs of Tatoeba that speak of Tom, who is in every tenth."""

_TOM = re.compile(r"\b(Tom|Mary|Maria|Marie)\b")
_SYLLABLES = re.findall(r"[bcdfghklmnprstvwz]{1,2}[aeio]l?", "babelbobradadeldodrafafelfigagografahelkakelkokralalilo"
    "mamelmimonaninopapepiporarirosaselsisotateltitotravavivowawizazizo")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Texts:
    """chats: of the domain; everyday: Tatoeba's; tune, test: held out."""

    chats: list[Pair]
    everyday: list[Pair]
    tune: list[Pair]
    test: list[Pair]


def gather(corpora: Path | None) -> Texts:
    """What the folder has, split and checked."""
    dev = read_bcontrast(corpora, "dev")
    half = len(dev) // 2
    tune, test = dev[:half], dev[half:]
    barred = {normalized(text) for pair in dev for _, text in pair.items() if not _is_everybodys(text)}
    turns = read_bcontrast(corpora, "train")
    chats = _without([*turns, *(part for pair in turns for part in by_sentences(pair))], barred)
    everyday = _without(_less_alike(read_tatoeba(corpora, most_words=22)), barred)
    trained = [text for pair in (*chats, *everyday) for _, text in pair.items()]
    held_out = [text for pair in dev for _, text in pair.items()]
    must_not_meet(_long(trained), _long(held_out), "line")
    return Texts(chats, everyday, tune, test)


def by_sentences(pair: Pair) -> Iterator[Pair]:
    """The sentences of a turn one by one, where both sides have as many of about the same length."""
    de, en = sentences(pair.de), sentences(pair.en)
    if len(de) == len(en) > 1 and all(1 / 2 < len(a) / len(b) < 2 for a, b in zip(de, en, strict=True)):
        yield from (Pair(a, b) for a, b in zip(de, en, strict=True))


def made_up(count: int, rng: random.Random) -> list[Pair]:
    """Sentences of the grammar, as they are written and as they are said, every fourth with a name that nobody has."""
    blocks = read_blocks()
    usable = [number for number in range(len(blocks)) if not block_is_held_out(number)]
    pairs = []
    for _ in range(count):
        sentence = fill(blocks, rng.choice(usable), rng)
        form = rng.choice((sentence.written, sentence.spoken))
        pairs.append(
            _renamed(Pair(form["de"], form["en"]), rng) if rng.random() < 0.25 else Pair(form["de"], form["en"])
        )
    return pairs


def one_epoch(texts: Texts, rng: random.Random, *, everyday: int, grammar: int, chats: int) -> list[Pair]:
    """Pairs for one round: all chats so many times, a sample of everyday sentences, new sentences of the grammar."""
    sample = rng.sample(texts.everyday, min(everyday, len(texts.everyday)))
    return [*texts.chats * chats, *sample, *made_up(grammar, rng), *known_pairs()]


def as_heard(text: str, rng: random.Random) -> str:
    """One source in fifteen as a recogniser without marks and capitals writes it."""
    if rng.random() > 1 / 15:
        return text
    return re.sub(r"[.,!?;:]+(?=\s|$)", "", text).lower()


def _renamed(pair: Pair, rng: random.Random) -> Pair:
    """A word that both sides have, and that begins with a capital in the middle of a sentence, made another one."""
    shared = set(re.findall(r"(?<=[a-zäöüß,] )[A-ZÄÖÜ][a-zäöüß]+", pair.de)) & set(re.findall(r"[A-Z]\w+", pair.en))
    if not shared:
        return pair
    old = rng.choice(sorted(shared))
    new = "".join(rng.choice(_SYLLABLES) for _ in range(rng.randrange(2, 4))).capitalize() + rng.choice(
        ("", "n", "r", "s")
    )
    return Pair(*(re.sub(rf"\b{old}\b", new, text) for text in (pair.de, pair.en)))


def _less_alike(pairs: Sequence[Pair]) -> list[Pair]:
    """At most two translations of a sentence, and not so many of Tom."""
    seen: Counter[str] = Counter()
    kept = []
    for pair in random.Random(1).sample(pairs, len(pairs)):
        keys = [f"{language} {normalized(text)}" for language, text in pair.items()]
        keys += ["Tom"] if _TOM.search(pair.en) else []
        if all(seen[key] < (MOST_OF_A_NAME if key == "Tom" else 2) for key in keys):
            kept.append(pair)
            seen.update(keys)
    return kept


def _without(pairs: Iterable[Pair], barred: set[str]) -> list[Pair]:
    return [pair for pair in pairs if not any(normalized(text) in barred for _, text in pair.items())]


def _is_everybodys(text: str) -> bool:
    return len(normalized(text).split()) <= EVERYBODYS_WORDS


def _long(texts: Iterable[str]) -> list[str]:
    return [text for text in texts if not _is_everybodys(text)]
