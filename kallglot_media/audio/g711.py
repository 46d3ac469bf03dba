"""ITU-T G.711: µ-law and A-law, as table look-ups over whole arrays of any shape.

The encoders follow the decision values of G.711 tables 1a–2b at 16-bit resolution, as the ITU-T
reference code (G.191) does: a sample exactly on a decision value goes away from zero when
positive and towards zero when negative.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from kallglot_media.audio.pcm import Pcm16

Codes = npt.NDArray[np.uint8]

ULAW_SILENCE = 0xFF
ALAW_SILENCE = 0xD5


def _ulaw_decode_table() -> Pcm16:
    code = ~np.arange(256, dtype=np.int32) & 0xFF  # µ-law goes out with all bits inverted
    segment, step = code >> 4 & 7, code & 0x0F
    magnitude = (((step << 3) + 0x84) << segment) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw_decode_table() -> Pcm16:
    code = np.arange(256, dtype=np.int32) ^ 0x55  # A-law goes out with even bits inverted
    segment, step = code >> 4 & 7, code & 0x0F
    magnitude = np.where(segment == 0, (step << 4) + 8, ((step << 4) + 0x108) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _ulaw_decisions() -> npt.NDArray[np.int64]:
    """Where codes 1–127 of one sign begin: 14-bit decision values ((16 + step) << segment + 1) - 33, times 4."""
    code = np.arange(1, 128, dtype=np.int64)
    return ((((code & 0x0F) + 16) << ((code >> 4) + 1)) - 33) * 4


def _alaw_decisions() -> npt.NDArray[np.int64]:
    """Where codes 1–127 of one sign begin: 13-bit decision values, times 8."""
    code = np.arange(1, 128, dtype=np.int64)
    segment, step = code >> 4, code & 0x0F
    return np.where(segment == 0, step << 4, (step + 16) << (np.maximum(segment, 1) + 3))


def _encode_table(decisions: npt.NDArray[np.int64], positive_codes: Codes, negative_codes: Codes) -> Codes:
    """uint8[65536], indexed by the sample's bits read as uint16. *_codes: of one sign, by growing magnitude."""
    samples = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int64)
    up = np.searchsorted(decisions, samples, side="right")
    down = np.searchsorted(decisions, -samples, side="left")
    return np.where(samples >= 0, positive_codes[up], negative_codes[down])


def _codes_of_sign(sign: int, invert: int) -> Codes:
    """The 128 codes of one sign, by growing magnitude, as they go on the wire."""
    return (np.arange(128) | sign).astype(np.uint8) ^ np.uint8(invert)


ULAW_TO_PCM: Pcm16 = _ulaw_decode_table()
ALAW_TO_PCM: Pcm16 = _alaw_decode_table()
PCM_TO_ULAW: Codes = _encode_table(_ulaw_decisions(), _codes_of_sign(0x00, 0xFF), _codes_of_sign(0x80, 0xFF))
PCM_TO_ALAW: Codes = _encode_table(_alaw_decisions(), _codes_of_sign(0x80, 0x55), _codes_of_sign(0x00, 0x55))
for _table in (ULAW_TO_PCM, ALAW_TO_PCM, PCM_TO_ULAW, PCM_TO_ALAW):
    _table.setflags(write=False)


def ulaw_decode(codes: Codes) -> Pcm16:
    """int16 of the same shape."""
    return ULAW_TO_PCM[codes]


def alaw_decode(codes: Codes) -> Pcm16:
    """int16 of the same shape."""
    return ALAW_TO_PCM[codes]


def ulaw_encode(pcm: Pcm16) -> Codes:
    """uint8 of the same shape."""
    return PCM_TO_ULAW[pcm.view(np.uint16)]


def alaw_encode(pcm: Pcm16) -> Codes:
    """uint8 of the same shape."""
    return PCM_TO_ALAW[pcm.view(np.uint16)]


DECODERS: dict[str, Callable[[Codes], Pcm16]] = {"PCMU": ulaw_decode, "PCMA": alaw_decode}
ENCODERS: dict[str, Callable[[Pcm16], Codes]] = {"PCMU": ulaw_encode, "PCMA": alaw_encode}
SILENCE: dict[str, int] = {"PCMU": ULAW_SILENCE, "PCMA": ALAW_SILENCE}
