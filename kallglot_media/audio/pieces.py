"""What a segmenter holds: frames, or parts of frames, in a row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kallglot_media.audio.pcm import Pcm16


class Piece(NamedTuple):
    """A frame, or a part of one. level_dbfs is only known where it was needed."""

    pcm: Pcm16
    is_speech: bool
    level_dbfs: float


def join(pieces: list[Piece]) -> Pcm16:
    """Their sound in one."""
    return np.concatenate([piece.pcm for piece in pieces])


def split(pieces: list[Piece], at: int) -> tuple[list[Piece], list[Piece]]:
    """The pieces before and after `at` samples; the one across it is divided."""
    head: list[Piece] = []
    for index, piece in enumerate(pieces):
        size = len(piece.pcm)
        if at >= size:
            head.append(piece)
            at -= size
            continue
        if at == 0:
            return head, pieces[index:]
        head.append(piece._replace(pcm=piece.pcm[:at]))
        return head, [piece._replace(pcm=piece.pcm[at:]), *pieces[index + 1 :]]
    return head, []


def end_of_speech(pieces: list[Piece], first_sample: int) -> int | None:
    """The end of the last speech in pieces that start at first_sample."""
    end = None
    for piece in pieces:
        first_sample += len(piece.pcm)
        if piece.is_speech:
            end = first_sample
    return end


def quietest_place(pieces: list[Piece], rate_hz: int) -> int:
    """The middle of the quietest of the last second, in samples from the start.

    Never the first or last piece, so that there is sound on both sides.
    """
    samples = sum(len(piece.pcm) for piece in pieces)
    quietest, place = float("inf"), samples // 2
    position = samples
    earliest = max(samples - rate_hz, samples // 2)
    for piece in reversed(pieces):
        middle = position - len(piece.pcm) // 2
        position -= len(piece.pcm)
        if position < earliest:
            break
        if piece.level_dbfs < quietest:
            quietest, place = piece.level_dbfs, middle
    return place
