"""When and how well an utterance is passed on by a policy, in simulated time: the media plane, the listening code of a
call, and a recogniser; no sockets, no clock. What engines take is measured and added.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.audio.resample import resample
from kallglot_media.audio.segment import SegmentRules
from kallglot_media.call.listening import Clause, Listening, told_meanwhile
from kallglot_media.call.stretches import ends_sentence
from kallglot_media.media.messages import SpeechGrew, Utterance
from kallglot_media.modes.plan import BIDIRECTIONAL_TRANSLATION, Party
from kallglot_media.modes.policy import Policy
from kallglot_media.speech.types import Transcript, Word
from tests.support.studio import FRAME, Studio

RATE_HZ = 8000
LEAD_SAMPLES = 4000
FRAME_MS = 20

Hear = Callable[[Pcm16, int], Transcript]
"""(8 kHz sound, its first sample on the line's clock) -> words."""

Translate = Callable[[str, str, str], str]
"""(text, the source before it, what that became) -> words."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A piece that was passed on. ready_ms: when its translation was there, since the first sound of the line."""

    text: str
    made: str
    ready_ms: float


def pass_on(sound: Pcm16, policy: Policy, hear: Hear, translate: Translate) -> list[Passed]:
    """What a line becomes. `sound`: 8 kHz, without silence around it."""
    studio = Studio()
    studio.session(plan=BIDIRECTIONAL_TRANSLATION)
    studio.leg("c", Party.CUSTOMER, listen=told_meanwhile(SegmentRules(), policy))
    listening = Listening(policy)
    passed: list[Passed] = []
    before = ("", "")
    padded = np.concatenate([np.zeros(LEAD_SAMPLES, np.int16), sound, np.zeros(8000 + -len(sound) % FRAME, np.int16)])
    free_ms = 0.0
    for at in range(0, len(padded) - FRAME + 1, FRAME):
        studio.step({"c": padded[at : at + FRAME]})
        now_ms = 1000 * (at + FRAME - LEAD_SAMPLES) / RATE_HZ
        told_now = list(studio.events)
        studio.events.clear()
        for event in told_now:
            began_s = time.perf_counter()
            found: list[tuple[str, Sequence[Word]]] = []
            if isinstance(event, SpeechGrew):
                listening.grow(event)
                snapshot = listening.sound()
                wanted = snapshot is not None and (snapshot.paused or policy.interpret == "clause")
                if snapshot is not None and wanted and (snapshot.paused or now_ms >= free_ms):
                    heard = listening.heard(snapshot, hear(snapshot.pcm, snapshot.first_sample - LEAD_SAMPLES))
                    if heard is not None and isinstance(heard.clause, Clause):
                        found.append((heard.clause.transcript.text, heard.clause.transcript.words))
            elif isinstance(event, Utterance) and (rest := listening.rest_of(event)) is not None:
                pcm = np.frombuffer(rest.utterance.pcm, np.int16)
                told = rest.transcript or hear(pcm, rest.utterance.first_sample - LEAD_SAMPLES)
                if told.text:
                    found.append((told.text, told.words))
            for text, _ in found:
                made = translate(text, *before)
                before = (
                    ("", "") if ends_sentence(text) else (f"{before[0]} {text}".strip(), f"{before[1]} {made}".strip())
                )
                passed.append(Passed(text, made, now_ms + 1000 * (time.perf_counter() - began_s)))
            free_ms = now_ms + 1000 * (time.perf_counter() - began_s)
    return passed


def oracle(words: Sequence[Word], shaky_ms: int = 300) -> Hear:
    """A recogniser that knows what is said, and hears another word each time in what ends `shaky_ms` before the end of
    the sound or later, unless the speaker pauses there.
    """

    def hear(pcm: Pcm16, first_sample: int) -> Transcript:
        from_ms, to_ms = 1000 * first_sample / RATE_HZ, 1000 * (first_sample + len(pcm)) / RATE_HZ
        own = [word for word in words if (word.start_ms + word.end_ms) / 2 >= from_ms and word.start_ms + 80 < to_ms]
        paused = all(word.end_ms <= to_ms - 100 for word in own)
        found = []
        for word in own:
            shaky = not paused and word.end_ms > to_ms - shaky_ms
            text = f"{word.text}~{to_ms:.0f}" if shaky else word.text
            start_ms, end_ms = max(0, round(word.start_ms - from_ms)), round(word.end_ms - from_ms)
            found.append(Word(text, start_ms, max(start_ms, end_ms), 1.0))
        return Transcript(" ".join(word.text for word in found), "de", 1.0, 1.0, 0.0, tuple(found), 0.0)

    return hear


def real(recognizer: Callable[[Pcm16, str], Transcript], language: str) -> Hear:
    """The recogniser as it is."""
    return lambda pcm, _: recognizer(resample(pcm, RATE_HZ, 16_000), language)


def spread(parts: Sequence[tuple[Pcm16, str]], gap_s: float) -> tuple[Pcm16, list[Word]]:
    """Sentences said in one go with a pause between them, and when each word is said, by its letters."""
    sounds: list[Pcm16] = []
    words: list[Word] = []
    at_ms = 0.0
    for pcm, text in parts:
        length_ms, letters = 1000 * len(pcm) / RATE_HZ, sum(len(word) + 1 for word in text.split())
        so_far = 0
        for word in text.split():
            until = so_far + len(word) + 1
            start_ms, end_ms = (round(at_ms + length_ms * place / letters) for place in (so_far, until))
            words.append(Word(word, start_ms, end_ms, 1.0))
            so_far = until
        sounds += [pcm, np.zeros(round(gap_s * RATE_HZ), np.int16)]
        at_ms += length_ms + 1000 * gap_s
    return np.concatenate(sounds[:-1]), words
