"""The starter recogniser's pieces and batches: what it is taught to write is what Whisper's tokenizer reads."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer
from train_starter.asr_batches import NOTHING, WINDOW_FRAMES, Batches, Vocabulary
from train_starter.asr_pieces import Whisper, frequent_pieces
from train_starter.slots import LANGUAGES

from kallglot_media.speech.models import STARTER_FOLDER

TOKENIZER = next((STARTER_FOLDER / "whisper").glob("*/tokenizer.json"))
TEXTS = [
    "Ich möchte mein Konto ändern.",
    "Ich möchte mein Paket.",
    "Where is my order?",
    "¿Dónde está?",
    "Où êtes-vous?",
]


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary(frequent_pieces(TEXTS * 3, Whisper(TOKENIZER), rare=6), LANGUAGES, ("_", "a", "b"))


def test_whispers_tokenizer_reads_what_is_written_in_pieces(vocabulary: Vocabulary) -> None:
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    for text in [*TEXTS, "Straße ñandú 7, ça va!"]:
        assert tokenizer.decode(vocabulary.pieces.encode(text)) == " " + text


def test_frequent_words_are_one_piece_and_rare_ones_are_taken_apart(vocabulary: Vocabulary) -> None:
    pieces = vocabulary.pieces
    assert len(pieces.encode("Ich möchte mein")) == 3
    assert len(pieces.encode("Where")) > len(pieces.whisper.encode("Where")) == 1
    assert set(pieces.used()) <= set(vocabulary.used)
    assert len(set(vocabulary.used)) == len(vocabulary.used)


def test_targets_are_whispers(vocabulary: Vocabulary) -> None:
    item = {"language": "de", "text": "Ich möchte mein Paket.", "start_s": 0.31, "end_s": 2.0}
    start, end = vocabulary.special("<|startoftranscript|>"), vocabulary.special("<|endoftext|>")
    seen = set()
    for seed in range(20):
        tokens, labels = vocabulary.target(item, random.Random(seed))
        assert tokens[:2] == [start, labels[0]] == [start, vocabulary.special("<|de|>")]
        assert labels[-1] == end
        assert [label for label in labels[2:] if label != NOTHING] == [*tokens[4 - (labels[2] != NOTHING) :], end]
        seen.add(tokens[3])
    assert seen == {vocabulary.special("<|notimestamps|>"), vocabulary.special("<|0.30|>")}
    tokens, labels = vocabulary.target({"language": "", "text": ""}, random.Random(1))
    assert labels == [vocabulary.special("<|nospeech|>"), NOTHING, NOTHING, end]
    assert len(tokens) == len(labels)


def test_each_position_is_told_its_phone(vocabulary: Vocabulary) -> None:
    labels = vocabulary.phone_labels({"phones": [["_", 0], ["b", 80], ["?", 120], ["a", 200]]}, 7)
    assert labels.tolist() == [0, 0, 2, NOTHING, NOTHING, 1, 1]  # 40 ms each; "?" is no phone that was seen before
    assert vocabulary.phone_labels({"phones": []}, 2).tolist() == [NOTHING, NOTHING]


@pytest.mark.parametrize("seed", range(6))
def test_each_piece_is_told_where_it_is_heard(vocabulary: Vocabulary, seed: int) -> None:
    item = {
        "language": "de", "text": "Ich möchte mein Paket.", "start_s": 0.4, "end_s": 2.0,
        "word_starts_ms": [400, 600, 1000, 1200],
        "phones": [["_", 0], ["a", 400], ["_", 1700]],
    }  # fmt: skip
    _, labels = vocabulary.target(item, random.Random(seed))
    spans, heard = vocabulary.heard_at(item, labels, 60)
    assert vocabulary.heard_at(item, labels, 40)[0][:, 1].max() == 40  # not beyond the end
    told = [(label, *span) for span, label in zip(spans, labels, strict=True) if vocabulary.is_text(label)]
    *parcel, stop = told[3:]
    assert len(parcel) > 1
    wanted = [((start - 60) // 40, (end + 60) // 40 + 1) for start, end in ((400, 600), (600, 1000), (1000, 1200))]
    assert [tuple(span) for _, *span in told[:3]] == wanted
    assert [begin for _, begin, _ in parcel] == sorted(begin for _, begin, _ in parcel)
    assert (parcel[0][1], parcel[-1][2]) == ((1200 - 60) // 40, (1700 + 60) // 40 + 1), "the word ends at the pause"
    assert stop == (vocabulary.text("Paket.")[-1], (1700 - 60) // 40, (1820 + 60) // 40 + 1)
    others = [span.tolist() for span, label in zip(spans, labels, strict=True) if not vocabulary.is_text(label)]
    assert others == [[0, 0]] * len(others)  # the language and the end are nowhere
    silence = vocabulary.special("<|nospeech|>")
    assert heard[:10].tolist() == heard[46:].tolist()[:10] == [silence] * 10
    assert heard[10:15].tolist() == [vocabulary.text("Ich")[0]] * 5
    written = vocabulary.pieces.whisper.tokenizer.decode(
        [vocabulary.used[label] for label in dict.fromkeys(heard[10:45])]
    )
    assert written.replace(" ", "") == "IchmöchtemeinPaket."


def test_words_of_unknown_place_are_nowhere(vocabulary: Vocabulary) -> None:
    item = {"language": "en", "text": "my order", "start_s": 0.0, "end_s": 1.0, "word_starts_ms": [], "phones": []}
    _, labels = vocabulary.target(item, random.Random(1))
    spans, heard = vocabulary.heard_at(item, labels, 40)
    assert not spans.any()
    assert (heard == NOTHING).all()


def test_what_is_no_speech_is_heard_as_none(vocabulary: Vocabulary) -> None:
    item = {"language": "", "text": "", "start_s": 0.0, "end_s": 0.0, "word_starts_ms": [], "phones": [["_", 0]]}
    _, labels = vocabulary.target(item, random.Random(1))
    _, heard = vocabulary.heard_at(item, labels, 40)
    assert (heard == vocabulary.special("<|nospeech|>")).all()


def shard(folder: Path, number: int, frames: list[int]) -> None:
    items = [
        {
            "frames": count,
            "language": "en",
            "text": "my order",
            "speaker": "x",
            "start_s": 0.0,
            "end_s": count / 100,
            "word_starts_ms": [0, 300],
            "phones": [["_", 0], ["a", 500]],
        }
        for count in frames
    ]
    np.save(folder / f"shard-{number:04d}.npy", np.ones((sum(frames), 80), dtype=np.float16))
    (folder / f"shard-{number:04d}.json").write_text(json.dumps(items), encoding="utf-8")


def test_batches_are_of_like_length_and_end_in_zeros(vocabulary: Vocabulary, tmp_path: Path) -> None:
    shard(tmp_path, 0, [100] * 30 + [400] * 30 + [1200] * 4)
    made = iter(Batches(tmp_path, vocabulary, random.Random(1)))
    for batch in (next(made) for _ in range(40)):
        count, bands, frames = batch.mel.shape
        assert bands == 80
        assert frames <= WINDOW_FRAMES
        assert frames % 2 == 0
        assert batch.phones.shape == (count, -(-frames // 4))
        assert (batch.phones[:, 0] == 0).all()
        assert batch.spans.shape == (*batch.labels.shape, 2)
        assert batch.tokens.shape == batch.labels.shape == (count, batch.tokens.shape[1])
        assert not batch.mel[:, :, -8:].any()
        assert batch.pieces.shape == batch.phones.shape


def test_batches_start_short_where_that_is_asked_for(vocabulary: Vocabulary, tmp_path: Path) -> None:
    shard(tmp_path, 0, [100] * 10 + [900] * 10)
    short = iter(Batches(tmp_path, vocabulary, random.Random(1), longest_frames=450))
    heard = [next(short).mel for _ in range(8)]
    assert all((mel.any(axis=1).sum(axis=1) == 100).all() for mel in heard)


def test_a_folder_without_speech_is_named(vocabulary: Vocabulary, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no shards"):
        next(iter(Batches(tmp_path, vocabulary, random.Random(1))))
