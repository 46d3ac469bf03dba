"""The interpreter's numbers as Markdown: bench_interpreter.py [--out FOLDER] [--parts NAME,…]

One run, starter models, this machine. Calls are real ones (server, SIP, RTP, two phones, on loopback); what is
said to be simulated runs the same code faster than time. Recordings: tests/data/speech, sentences that the starter
models know, in voices that they were not trained on.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import io
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from interpreter_policy import oracle, pass_on, real, spread

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.audio.segment import SegmentRules
from kallglot_media.audio.stretch import faster, shorter_pauses
from kallglot_media.call.lag import LAG_RULES, LagController
from kallglot_media.measure.eval_plot import plot_scores
from kallglot_media.measure.evaluation import Plan, as_markdown, evaluate
from kallglot_media.measure.evaluation import as_json as scores_as_json
from kallglot_media.measure.latency import Lags, lags
from kallglot_media.measure.outcome import Way
from kallglot_media.measure.samples import read_samples
from kallglot_media.media.messages import Utterance
from kallglot_media.modes.plan import BIDIRECTIONAL_TRANSLATION, Party
from kallglot_media.modes.policy import CLAUSE_PAUSE_MS, Policy
from kallglot_media.phone.demo import DemoOutcome, run_demo
from kallglot_media.phone.session_folder import STAGES
from kallglot_media.phone.sounds import load_sound, save_sound
from kallglot_media.phone.verdict import Line
from kallglot_media.speech.argos import ArgosTranslator
from kallglot_media.speech.entities import entities, missing, surplus
from kallglot_media.speech.evaluate import Recording, chrf, padded, read_set, through_telephone, word_error_rate
from kallglot_media.speech.models import find_models
from kallglot_media.speech.piper import PiperSynthesizer
from kallglot_media.speech.settings import SpeechSettings
from kallglot_media.speech.whisper import WhisperRecognizer
from tests.speech.test_entities import three_hundred
from tests.speech.test_guards import NOBODY
from tests.support.studio import FRAME, Studio

SHIPPED = Path(__file__).parents[1] / "tests" / "data" / "speech"
SPEAKERS = {"de": "customer", "en": "agent"}
OTHER = {"de": "en", "en": "de"}
POLICIES: dict[str, dict[str, Any]] = {
    "turn, only at its end": {"interpret": "turn", "clauses": {"pause_ms": 0}},
    "turn": {"interpret": "turn"},
    "clause": {"interpret": "clause"},
}
RATE_HZ = 8000
GAP_S = 0.28
"""Between the sentences of a long utterance: it ends none (500 ms do), and no turn either (320 ms)."""

LEADS_S = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Silence before a recording: what a recogniser makes of it should not depend on that, and does."""

LONG_MS = 6000
SENTENCES_IN_A_LONG_ONE = 4
SHORT_LINES, LONG_LINES = 8, 4
LOSSES = (0.0, 0.01, 0.03, 0.05)


@dataclass(frozen=True, slots=True)
class Engines:
    """The bare engines, in this process."""

    recognizer: WhisperRecognizer
    translator: ArgosTranslator
    synthesizer: PiperSynthesizer

    @classmethod
    def load(cls) -> Engines:
        settings = SpeechSettings()
        models = find_models(settings)
        return cls(
            WhisperRecognizer(models.recognizer(None), settings),
            ArgosTranslator(models.packages(), settings),
            PiperSynthesizer(models.voices(), settings),
        )


# ── what is said ─────────────────────────────────────────────────────────────────


def trimmed(pcm: Pcm16) -> Pcm16:
    """Without the silence around it."""
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > 300)
    return pcm[loud[0] : loud[-1] + 1]


def line_of(parts: Sequence[Recording], language: str, folder: Path, name: str) -> Line:
    """Several sentences spoken by one person without a pause between them."""
    gap = np.zeros(int(GAP_S * RATE_HZ), np.int16)
    sounds = [trimmed(load_sound(SHIPPED / one.name, RATE_HZ)) for one in parts]
    sound = np.concatenate([piece for each in sounds for piece in (each, gap)][:-1])
    save_sound(folder / name, sound, RATE_HZ)
    return Line(
        file=str((folder / name).absolute()),
        speaker=SPEAKERS[language],
        language=language,
        text=" ".join(one.text for one in parts),
        translation=" ".join(one.translation or "" for one in parts),
        sound=sound,
    )


def conversation(recordings: Sequence[Recording], size: int, folder: Path) -> list[Line]:
    """The set in utterances of `size` sentences: a German one, an English one, and so on."""
    sides = []
    for language in SPEAKERS:
        own = [one for one in recordings if one.language == language]
        groups = [own[at : at + size] for at in range(0, len(own) - size + 1, size)]
        sides.append([line_of(group, language, folder, f"{language}{size}-{n}.wav") for n, group in enumerate(groups)])
    return [line for pair in zip_longest(*sides) for line in pair if line is not None]


# ── calls ────────────────────────────────────────────────────────────────────────


def call(folder: Path, lines: Sequence[Line], policy: str) -> DemoOutcome:
    """One call, by one policy."""
    limit_s = 30.0 + sum(len(line.sound) / RATE_HZ + 8.0 for line in lines)
    return run_demo(folder, Console(file=io.StringIO()), limit_s=limit_s, lines=lines, mode=POLICIES[policy])


def added_ms(outcome: DemoOutcome) -> list[float]:
    """Of each turn that had nothing before it in line: end of its speech to first sample, minus what engines took."""
    timings = [turn.timings for turn in outcome.session.turns if turn.timings.to_first_ms is not None]
    return [
        one.to_first_ms - one.engine_ms
        for one in timings
        if one.to_first_ms is not None and one.engine_ms is not None and (one.stages["playout_wait"] or 0.0) < 60
    ]


def translation_chrf(outcome: DemoOutcome, lines: Sequence[Line]) -> float:
    """All that was translated for each listener against all that should have been."""
    references, found = [], []
    for speaker in SPEAKERS.values():
        turns = sorted((turn for turn in outcome.session.turns if turn.speaker == speaker), key=lambda it: it.start_ms)
        references.append(" ".join(line.translation for line in lines if line.speaker == speaker))
        found.append(" ".join(turn.translation or "" for turn in turns))
    return chrf(references, found)


def percentiles(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{np.percentile(known, 50):.0f} / {np.percentile(known, 95):.0f}" if known else "–"


def ear_voice(both: Sequence[Lags]) -> list[float | None]:
    return [
        turn.ear_voice_ms for each in both for turn in each.turns if turn.said.end_ms - turn.said.start_ms > LONG_MS
    ]


CALL_PARTS = {
    "calls": (1, SHORT_LINES, tuple(POLICIES)),
    "long-calls": (SENTENCES_IN_A_LONG_ONE, LONG_LINES, ("turn", "clause")),
}
"""Name -> sentences in an utterance, how many utterances, by which policies."""


def calls_table(folder: Path, recordings: Sequence[Recording], part: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    size, count, policies = CALL_PARTS[part]
    lines = conversation(recordings, size, folder / "in")[:count]
    name = f"{count} of {size} sentence{'s in a row' if size > 1 else ''}"
    print(
        "\n**Real calls**, one at a time; ms p50 / p95. Added: end of speech to the first translated sample on the wire"
    )
    print("minus the time in the engines. The rest from the recorded tracks alone.\n")
    print("| utterances | policy | turns | added | gap after the end | ear-voice span > 6 s | overlap s | chrF |")
    print("|---|---|---|---|---|---|---|---|")
    outcomes: dict[tuple[str, str], DemoOutcome] = {}
    for policy in policies:
        outcome = outcomes[name, policy] = call(folder / f"{len(outcomes)}", lines, policy)
        both = lags(outcome.session)
        gaps = [turn.gap_ms for each in both for turn in each.turns]
        overlap_s = sum(turn.overlap_ms for each in both for turn in each.turns) / 1000
        print(
            f"| {name} | {policy} | {len(outcome.session.turns)} | {percentiles(added_ms(outcome))} "
            f"| {percentiles(gaps)} | {percentiles(ear_voice(both))} | {overlap_s:.1f} "
            f"| {translation_chrf(outcome, lines):.1f} |",
            flush=True,
        )
    stages_table(outcomes)


def stages_table(outcomes: dict[tuple[str, str], DemoOutcome]) -> None:
    print("\nWhere the time goes, ms mean:\n\n| utterances | policy | " + " | ".join(STAGES) + " |")
    print("|---" * (2 + len(STAGES)) + "|")
    for (name, policy), outcome in outcomes.items():
        known = [turn.timings.stages for turn in outcome.session.turns if turn.timings.to_first_ms is not None]
        means = [np.mean([stages[stage] or 0.0 for stages in known]) for stage in STAGES]
        print(f"| {name} | {policy} | " + " | ".join(f"{mean:.0f}" for mean in means) + " |")


# ── simulated ────────────────────────────────────────────────────────────────────


def through_plane(pcm: Pcm16, loss: float, rng: np.random.Generator) -> list[Pcm16]:
    """G.711, jitter buffer, concealment, voice detection: the utterances that the media plane cuts."""
    studio = Studio()
    studio.session(plan=BIDIRECTIONAL_TRANSLATION)
    peer = studio.leg("c", Party.CUSTOMER, listen=SegmentRules())
    sound = np.concatenate([np.zeros(4000, np.int16), pcm, np.zeros(8000 + -len(pcm) % FRAME, np.int16)])
    for at in range(0, len(sound) - FRAME + 1, FRAME):
        if rng.random() < loss:
            peer.skip()
            studio.step()
        else:
            studio.step({"c": sound[at : at + FRAME]})
    return [np.frombuffer(event.pcm, np.int16) for event in studio.take(Utterance) if isinstance(event, Utterance)]


def loss_table(engines: Engines, recordings: Sequence[Recording], runs: int = 3) -> None:
    print("\n**Codec, jitter buffer, loss** (the media plane, simulated) against the bare engines on the files:\n")
    print("| path | language | WER % | chrF |\n|---|---|---|---|")
    from kallglot_media.audio.resample import resample

    for language in SPEAKERS:
        own = [one for one in recordings if one.language == language]
        rows: dict[str, list[tuple[Recording, str]]] = {
            "bare engines, µ-law": [
                (one, engines.recognizer.transcribe(through_telephone(padded(one.pcm)), language).text) for one in own
            ]
        }
        for loss in LOSSES:
            rng = np.random.default_rng(11)
            heard = rows[f"{loss:.0%} lost"] = []
            for _ in range(1 if not loss else runs):
                for one in own:
                    parts = through_plane(resample(one.pcm, 16_000, RATE_HZ), loss, rng)
                    texts = [engines.recognizer.transcribe(resample(p, RATE_HZ, 16_000), language).text for p in parts]
                    heard.append((one, " ".join(text for text in texts if text)))
        for name, pairs in rows.items():
            errors = word_error_rate([(one.text, text) for one, text in pairs])
            made = [engines.translator.translate(text, language, OTHER[language]).text for _, text in pairs]
            score = chrf([one.translation or "" for one, _ in pairs], made)
            print(f"| {name} | {language} | {errors:.1f} | {score:.1f} |", flush=True)


def noise_table(engines: Engines, recordings: Sequence[Recording]) -> None:
    """How much the bare engines' own errors depend on where the sound begins: what a call may differ by."""
    print("\n**The bare engines' own noise**: silence before the recording, WER %:\n")
    print("| language | " + " | ".join(f"{lead:.2f} s" for lead in LEADS_S) + " |")
    print("|---" * (1 + len(LEADS_S)) + "|")
    for language in SPEAKERS:
        own = [one for one in recordings if one.language == language]
        cells = []
        for lead in LEADS_S:
            quiet = [np.zeros(round(seconds * 16_000), np.int16) for seconds in (lead, 0.2)]
            sounds = [through_telephone(np.concatenate([quiet[0], trimmed(one.pcm), quiet[1]])) for one in own]
            heard = [engines.recognizer.transcribe(sound, language).text for sound in sounds]
            cells.append(f"{word_error_rate(list(zip([one.text for one in own], heard, strict=True))):.1f}")
        print(f"| {language} | " + " | ".join(cells) + " |", flush=True)


SIMULATED: dict[str, Policy] = {
    "turn": Policy(),
    "clause": Policy(interpret="clause", pause_ms=CLAUSE_PAUSE_MS),
    "clause, longest_hold_ms 2000": Policy(interpret="clause", pause_ms=CLAUSE_PAUSE_MS, longest_hold_ms=2000),
    "clause, shortest_words 6": Policy(interpret="clause", pause_ms=CLAUSE_PAUSE_MS, shortest_words=6),
    "clause, partial_ms 300": Policy(interpret="clause", pause_ms=CLAUSE_PAUSE_MS, partial_ms=300),
}


def policy_table(engines: Engines, recordings: Sequence[Recording]) -> None:
    """Utterances over 6 s by each policy, with a recogniser that knows what is said, and with the real one."""
    print(
        "\n**Policies in simulation**: the plane, the listening code and the translator of a call; utterances of four"
    )
    print("sentences, over 6 s. Oracle: a recogniser that errs in the last 300 ms of growing sound and nowhere else.\n")
    print("| recogniser | pause s | policy | utterances | pieces | words ready after p50 / p95 ms | chrF | WER % |")
    print("|---|---|---|---|---|---|---|---|")
    for knows in (True, False):
        for gap_s in (0.16, GAP_S):
            for name, policy in SIMULATED.items():
                cells = policy_row(engines, recordings, policy, gap_s, knows=knows)
                print(f"| {'oracle' if knows else 'starter'} | {gap_s} | {name} | {cells} |", flush=True)


def policy_row(engines: Engines, recordings: Sequence[Recording], policy: Policy, gap_s: float, *, knows: bool) -> str:
    first_ms: list[float] = []
    references, made, texts, pieces = [], [], [], 0
    size = SENTENCES_IN_A_LONG_ONE
    for language, other in OTHER.items():
        own = [one for one in recordings if one.language == language]
        for at in range(0, len(own) - size + 1, size):
            parts = own[at : at + size]
            said = [(trimmed(load_sound(SHIPPED / one.name, RATE_HZ)), one.text) for one in parts]
            sound, words = spread(said, gap_s)
            if len(sound) * 1000 <= LONG_MS * RATE_HZ:
                continue
            hear = oracle(words) if knows else real(engines.recognizer.transcribe, language)

            def translate(text: str, before: str, made_before: str, pair: tuple[str, str] = (language, other)) -> str:
                return engines.translator.translate(text, *pair, before, made_before).text

            passed = pass_on(sound, policy, hear, translate)
            first_ms += [passed[0].ready_ms] if passed else []
            pieces += len(passed)
            references.append(" ".join(one.translation or "" for one in parts))
            made.append(" ".join(one.made for one in passed))
            texts.append((" ".join(one.text for one in parts), " ".join(one.text for one in passed)))
    late = percentiles(first_ms)
    return f"{len(texts)} | {pieces} | {late} | {chrf(references, made):.1f} | {word_error_rate(texts):.1f}"


def loss_calls_table(folder: Path, losses: Sequence[float]) -> None:
    """The whole set through real calls with loss, beside the bare engines: what `kallglot-media eval` does."""
    ways = tuple(Way("a call", "turn", loss_percent=100 * loss, jitter_ms=20) for loss in losses)
    print("\n**Real calls with loss and 20 ms of jitter** (`kallglot-media eval`):\n")
    scores = evaluate(read_samples(SHIPPED), Plan(ways, folder, SpeechSettings()))
    print(as_markdown(scores), flush=True)
    (folder / "scores.json").write_text(scores_as_json(scores), "utf-8")
    plot_scores(scores, folder / "scores.png")


def lag_table(engines: Engines, recordings: Sequence[Recording], minutes: int = 30) -> None:
    """Somebody reads all sentences again and again without a pause; their translations play behind each other."""
    clauses = []
    for one in recordings:
        speech = engines.synthesizer.synthesize(one.translation or "", OTHER[one.language], None)
        clauses.append((len(trimmed(one.pcm)) / 16_000, speech.pcm, speech.rate_hz))
    print(f"\n**Lag over {minutes} simulated minutes of speech without a pause**, made speech of real length:\n")
    print("| speaker's pace | made / spoken | slope ms/s, second half | longest backlog s | without hurrying ms/s |")
    print("|---|---|---|---|---|")
    for pace in (1.0, 1.15, 1.3):
        slope, longest_s, ratio = lag_run(clauses, minutes, pace, hurry=True)
        alone, _, _ = lag_run(clauses, minutes, pace, hurry=False)
        print(f"| {pace:.2f} | {ratio:.2f} | {slope:+.2f} | {longest_s:.1f} | {alone:+.0f} |", flush=True)


def lag_run(
    clauses: Sequence[tuple[float, Pcm16, int]], minutes: int, pace: float, *, hurry: bool
) -> tuple[float, float, float]:
    lag, now_s, free_at_s = LagController(LAG_RULES), 0.0, 0.0
    places, behind, said_s, made_s = [], [], 0.0, 0.0
    lengths: dict[tuple[int, float], float] = {}
    while now_s < 60 * minutes:
        for n, (clause_s, pcm, rate_hz) in enumerate(clauses):
            now_s += clause_s / pace
            speed = round(lag.next_speed(max(0.0, free_at_s - now_s)), 2) if hurry else 1.0
            if (n, speed) not in lengths:
                sound = faster(shorter_pauses(pcm, rate_hz, 80), rate_hz, speed) if speed > 1.0 else pcm
                lengths[n, speed] = len(sound) / rate_hz
            starts_s = max(now_s + 0.1, free_at_s)
            free_at_s = starts_s + lengths[n, speed]
            places.append(now_s)
            behind.append(1000 * (starts_s - now_s))
            said_s, made_s = said_s + clause_s / pace, made_s + len(pcm) / rate_hz
    half = len(places) // 2
    slope = float(np.polyfit(places[half:], behind[half:], 1)[0])
    return slope, max(behind) / 1000, made_s / said_s


def nobody_table(engines: Engines, minutes: int = 10) -> None:
    """Everything that the media plane takes for speech in sounds without any goes to the recogniser."""
    from kallglot_media.audio.resample import resample

    words = cut = 0
    guards: dict[str, int] = {}
    seconds = 0.0
    while seconds < 60 * minutes:
        for sound in NOBODY.values():
            seconds += len(sound) / 16_000
            for utterance in through_plane(resample(sound, 16_000, RATE_HZ), 0.0, np.random.default_rng(1)):
                cut += 1
                heard = engines.recognizer.transcribe(resample(utterance, RATE_HZ, 16_000), None)
                words += len(heard.text.split())
                guards[heard.guard or "believed"] = guards.get(heard.guard or "believed", 0) + 1
    caught = ", ".join(f"{name} {count}" for name, count in sorted(guards.items()))
    print(f"\n**Nobody speaks**: {seconds / 60:.0f} min of {', '.join(NOBODY)}: {cut} utterances cut, ", end="")
    print(f"**{words} words** understood ({caught}).")


def entity_table(engines: Engines) -> None:
    right = repaired = lost = 0
    sentences = three_hundred()
    for text, source, target in sentences:
        made = engines.translator.translate(text, source, target)
        wanted = entities(text, source)
        wrong = bool(missing(wanted, made.text, target) or surplus(wanted, made.text, target))
        right, repaired, lost = right + (not wrong), repaired + bool(made.repaired), lost + bool(made.missing)
    print(f"\n**Entities**: of {len(sentences)} sentences with numbers, dates, amounts, ids and addresses ", end="")
    print(f"{100 * right / len(sentences):.1f} % keep all; in {repaired} something was put right, {lost} are flagged.")


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--out", type=Path, default=Path("demo-output/bench-interpreter"))
    arguments.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    chosen = arguments.parse_args()
    parts = chosen.parts.split(",")
    if not set(parts) <= set(PARTS):
        arguments.error(f"--parts: write some of {', '.join(PARTS)}")
    os.environ.pop("KALLGLOT_MODELS", None)
    recordings = [one for one in read_set(SHIPPED) if one.language in SPEAKERS and one.translation]
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M}, {platform.machine()}, {os.cpu_count()} cores, starter models.")
    engines = Engines.load() if set(parts) & set(SIMULATED_PARTS) else None
    if engines is not None:
        for name, table in SIMULATED_PARTS.items():
            if name in parts:
                table(engines, recordings)
    for name in CALL_PARTS:
        if name in parts:
            calls_table(chosen.out / name, recordings, name)
    for name, losses in LOSS_PARTS.items():
        if name in parts:
            loss_calls_table(chosen.out / name, losses)
    if "cores" in parts:
        sys.stdout.flush()
        command = [sys.executable, str(Path(__file__).with_name("bench_calls_per_core.py"))]
        subprocess.run([*command, "--plot", str(chosen.out / "calls-per-core.png")], check=True)


SIMULATED_PARTS: dict[str, Callable[[Engines, Sequence[Recording]], None]] = {
    "entities": lambda engines, _: entity_table(engines),
    "nobody": lambda engines, _: nobody_table(engines),
    "lag": lag_table,
    "loss": loss_table,
    "noise": noise_table,
    "policies": policy_table,
}
LOSS_PARTS = {"loss-calls": LOSSES[:2], "more-loss-calls": LOSSES[2:]}
PARTS = (*SIMULATED_PARTS, *CALL_PARTS, *LOSS_PARTS, "cores")


if __name__ == "__main__":
    main()
