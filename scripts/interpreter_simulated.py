"""What of the interpreter's bench runs faster than time: the same code, no sockets, no clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from interpreter_policy import oracle, pass_on, real, spread
from interpreter_report import Report, curves
from interpreter_said import (
    GAP_S,
    LONG_MS,
    OTHER,
    RATE_HZ,
    SENTENCES_IN_A_LONG_ONE,
    SHIPPED,
    SPEAKERS,
    Engines,
    Size,
    percentiles,
    trimmed,
)
from interpreter_texts import pass_on_text, timed

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.audio.resample import resample
from kallglot_media.audio.segment import SegmentRules
from kallglot_media.audio.stretch import faster, shorter_pauses
from kallglot_media.call.lag import LAG_RULES, LagController
from kallglot_media.media.messages import Utterance
from kallglot_media.modes.plan import BIDIRECTIONAL_TRANSLATION, Party
from kallglot_media.modes.policy import CLAUSE_PAUSE_MS, Policy
from kallglot_media.phone.sounds import load_sound
from kallglot_media.speech.entities import entities, missing, surplus
from kallglot_media.speech.evaluate import (
    Recording,
    chrf,
    padded,
    read_pairs,
    through_telephone,
    word_error_rate,
)
from tests.speech.test_entities import three_hundred
from tests.speech.test_guards import NOBODY
from tests.support.studio import FRAME, Studio

CHATS = Path(__file__).parents[1] / "tests" / "data" / "translation" / "bcontrast-dev.tsv"
COMMAS_MS = (120, 260)
"""A fluent speaker's pause at a comma, and that of one who thinks: longer than a clause's pause."""

CLAUSE = Policy(interpret="clause", pause_ms=CLAUSE_PAUSE_MS)
KNOBS: dict[str, Policy] = {
    "turn": Policy(),
    "clause": CLAUSE,
    "clause, longest_hold_ms 2000": Policy(interpret="clause", pause_ms=CLAUSE_PAUSE_MS, longest_hold_ms=2000),
    "clause, shortest_words 6": Policy(interpret="clause", pause_ms=CLAUSE_PAUSE_MS, shortest_words=6),
    "clause, partial_ms 300": Policy(interpret="clause", pause_ms=CLAUSE_PAUSE_MS, partial_ms=300),
}


# ── policies ─────────────────────────────────────────────────────────────────────


def text_table(report: Report, engines: Engines, recordings: Sequence[Recording], size: Size) -> None:
    """Both policies on texts alone: what clauses cost where nothing is heard wrong."""
    report.say(
        "\n**Policies on texts alone**: words come as fast as people speak, and are translated as they are passed on;"
    )
    report.say(
        "no sound, no recogniser but one that ends with a full stop what ends in silence. Known: the shipped sentences;"
    )
    report.say("chats: held-out turns of customers and agents. Passed on: the first words, ms after the first sound.\n")
    report.table("texts", "pause at a comma ms", "policy", "pieces", "passed on p50 / p95, over 6 s", "chrF")
    sets = {f"known, {source}": (source, _known(recordings, source)) for source in SPEAKERS}
    sets |= {f"chats, {source}": (source, read_pairs(CHATS, source)[: size.chats]) for source in SPEAKERS}
    scores: dict[str, list[float]] = {"turn": [], "clause": []}
    for name, (source, pairs) in sets.items():
        for comma_ms in COMMAS_MS:
            for policy, rules in (("turn", Policy()), ("clause", CLAUSE)):

                def translate(text: str, before: str, made: str, way: tuple[str, str] = (source, OTHER[source])) -> str:
                    return engines.translator.translate(text, *way, before, made).text

                passed = [pass_on_text(text, source, rules, translate, comma_ms) for text, _ in pairs]
                score = chrf([made for _, made in pairs], [" ".join(one.made for one in each) for each in passed])
                scores[policy].append(score)
                firsts = [
                    each[0].at_ms
                    for (text, _), each in zip(pairs, passed, strict=True)
                    if timed(text, comma_ms)[-1].end_ms > LONG_MS
                ]
                count = sum(map(len, passed)) / len(pairs)
                report.row(name, comma_ms, policy, f"{count:.2f}", percentiles(firsts), f"{score:.1f}")
    report.results["texts"] = {policy: {"chrf": float(np.mean(each))} for policy, each in scores.items()}


def _known(recordings: Sequence[Recording], language: str) -> list[tuple[str, str]]:
    return [(one.text, one.translation) for one in recordings if one.language == language and one.translation]


def policy_table(report: Report, engines: Engines, recordings: Sequence[Recording], size: Size) -> None:
    """Utterances over 6 s by each policy, with a recogniser that knows what is said, and with the real one."""
    report.say(
        "\n**Policies in simulation**: the plane, the listening code and the translator of a call; utterances of"
    )
    report.say("four sentences, over 6 s. Oracle: a recogniser that errs in the last 300 ms of growing sound only.\n")
    report.table("recogniser", "pause s", "policy", "utterances", "pieces", "ready p50 / p95 ms", "chrF", "WER %")
    for knows, gap_s, names in (
        (True, 0.16, tuple(KNOBS)),
        (True, GAP_S, ("turn", "clause")),
        (False, GAP_S, ("turn", "clause")),
    ):
        for name in names:
            cells = _policy_row(engines, recordings, KNOBS[name], gap_s, knows=knows)
            report.row("oracle" if knows else "starter", gap_s, name, *cells)


def _policy_row(
    engines: Engines, recordings: Sequence[Recording], policy: Policy, gap_s: float, *, knows: bool
) -> tuple[object, ...]:
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
    return (
        len(texts),
        pieces,
        percentiles(first_ms),
        f"{chrf(references, made):.1f}" if texts else "–",
        f"{word_error_rate(texts):.1f}" if texts else "–",
    )


# ── lag ──────────────────────────────────────────────────────────────────────────


def lag_table(report: Report, engines: Engines, recordings: Sequence[Recording], size: Size) -> None:
    """Somebody reads all sentences again and again without a pause; their translations play behind each other."""
    clauses = []
    for one in recordings:
        speech = engines.synthesizer.synthesize(one.translation or "", OTHER[one.language], None)
        clauses.append((len(trimmed(one.pcm)) / 16_000, speech.pcm, speech.rate_hz))
    minutes = size.minutes_of_speech
    report.say(f"\n**Lag over {minutes:g} simulated minutes of speech without a pause**, made speech of real length:\n")
    report.table("speaker's pace", "made / spoken", "slope ms/s, second half", "longest s", "without hurrying ms/s")
    paces, lines = {}, {}
    for pace in (1.0, 1.15, 1.3):
        points, ratio = _lag_run(clauses, minutes, pace, hurry=True)
        slow, _ = _lag_run(clauses, minutes, pace, hurry=False)
        longest_s = max(behind for _, behind in points) / 1000
        report.row(f"{pace:.2f}", f"{ratio:.2f}", f"{_slope(points):+.2f}", f"{longest_s:.1f}", f"{_slope(slow):+.0f}")
        paces[f"{pace:.2f}"] = {"slope_ms_per_s": _slope(points), "longest_s": longest_s, "made_by_spoken": ratio}
        lines[f"{pace:.2f}"] = points
    curves(lines, report.folder / "lag.png")
    report.results["lag"] = {"minutes": minutes, "paces": paces}


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the second half, ms for each second of speech."""
    places, behind = np.array(points[len(points) // 2 :], np.float64).T
    return float(np.polyfit(places, behind, 1)[0])


def _lag_run(
    clauses: Sequence[tuple[float, Pcm16, int]], minutes: float, pace: float, *, hurry: bool
) -> tuple[list[tuple[float, float]], float]:
    """(second, ms that made speech begins late) for each clause, and how much longer the translations are."""
    lag, now_s, free_at_s = LagController(LAG_RULES), 0.0, 0.0
    points, said_s, made_s = [], 0.0, 0.0
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
            points.append((now_s, 1000 * (starts_s - now_s)))
            said_s, made_s = said_s + clause_s / pace, made_s + len(pcm) / rate_hz
    return points, made_s / said_s


# ── what the media plane does to sound ───────────────────────────────────────────


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


def loss_table(report: Report, engines: Engines, recordings: Sequence[Recording], size: Size) -> None:
    """The plane alone with loss, against the files themselves."""
    report.say("\n**Codec, jitter buffer, loss** (the media plane, simulated) against the bare engines on the files:\n")
    report.table("path", "language", "WER %", "chrF")
    found = []
    for language in SPEAKERS:
        own = [one for one in recordings if one.language == language]
        bare = [engines.recognizer.transcribe(through_telephone(padded(one.pcm)), language).text for one in own]
        rows = {"bare engines, µ-law": bare}
        for loss in size.losses:
            rng = np.random.default_rng(11)
            rows[f"{loss:.0%} lost"] = heard = []
            for one in own:
                parts = through_plane(resample(one.pcm, 16_000, RATE_HZ), loss, rng)
                texts = [engines.recognizer.transcribe(resample(p, RATE_HZ, 16_000), language).text for p in parts]
                heard.append(" ".join(text for text in texts if text))
        for name, texts in rows.items():
            errors, score = _scores(engines, own, texts, language)
            report.row(name, language, f"{errors:.1f}", f"{score:.1f}")
            found.append({"path": name, "language": language, "wer": errors, "chrf": score})
    report.results["loss"] = found


def noise_table(report: Report, engines: Engines, recordings: Sequence[Recording], size: Size) -> None:
    """How much the bare engines' own errors depend on where the sound begins: what a call may differ by."""
    report.say("\n**The bare engines' own noise**: silence before the recording, WER % / chrF:\n")
    report.table("language", *(f"{lead:.2f} s" for lead in size.leads_s))
    found = {}
    for language in SPEAKERS:
        own = [one for one in recordings if one.language == language]
        both = []
        for lead in size.leads_s:
            quiet = [np.zeros(round(seconds * 16_000), np.int16) for seconds in (lead, 0.2)]
            sounds = [through_telephone(np.concatenate([quiet[0], trimmed(one.pcm), quiet[1]])) for one in own]
            texts = [engines.recognizer.transcribe(sound, language).text for sound in sounds]
            both.append(_scores(engines, own, texts, language))
        report.row(language, *(f"{errors:.1f} / {score:.1f}" for errors, score in both))
        found[language] = {"wer": [errors for errors, _ in both], "chrf": [score for _, score in both]}
    report.results["noise"] = found


def _scores(engines: Engines, own: Sequence[Recording], texts: Sequence[str], language: str) -> tuple[float, float]:
    """Word errors, and chrF of what the translator makes of it."""
    made = [engines.translator.translate(text, language, OTHER[language]).text for text in texts]
    errors = word_error_rate([(one.text, text) for one, text in zip(own, texts, strict=True)])
    return errors, chrf([one.translation or "" for one in own], made)


# ── what is counted ──────────────────────────────────────────────────────────────


def nobody_table(report: Report, engines: Engines, _: Sequence[Recording], size: Size) -> None:
    """Everything that the media plane takes for speech in sounds without any goes to the recogniser."""
    words = cut = 0
    guards: Counter[str] = Counter()
    seconds, level = 0.0, 1.0
    while seconds < 60 * size.minutes_of_nobody:
        level = level * 0.7 if seconds else level  # the same sounds again, 3 dB quieter
        for loudest in NOBODY.values():
            sound = (loudest * level).astype(np.int16)
            seconds += len(sound) / 16_000
            for utterance in through_plane(resample(sound, 16_000, RATE_HZ), 0.0, np.random.default_rng(1)):
                cut += 1
                heard = engines.recognizer.transcribe(resample(utterance, RATE_HZ, 16_000), None)
                words += len(heard.text.split())
                guards[heard.guard or "believed"] += 1
    caught = ", ".join(f"{name} {count}" for name, count in sorted(guards.items()))
    report.say(f"\n**Nobody speaks**: {seconds / 60:.0f} min of {', '.join(NOBODY)}: {cut} utterances cut,")
    report.say(f"**{words} words** understood ({caught}).")
    report.results["nobody"] = {"minutes": seconds / 60, "utterances": cut, "words": words, "guards": dict(guards)}


def entity_table(report: Report, engines: Engines, _: Sequence[Recording], size: Size) -> None:
    """Sentences with numbers, dates, amounts, ids and addresses through the translator and its lock."""
    right = repaired = lost = 0
    sentences = three_hundred()[: size.sentences]
    for text, source, target in sentences:
        made = engines.translator.translate(text, source, target)
        wanted = entities(text, source)
        wrong = bool(missing(wanted, made.text, target) or surplus(wanted, made.text, target))
        right, repaired, lost = right + (not wrong), repaired + bool(made.repaired), lost + bool(made.missing)
    report.say(f"\n**Entities**: of {len(sentences)} sentences with numbers, dates, amounts, ids and addresses")
    report.say(
        f"{100 * right / len(sentences):.1f} % keep all; in {repaired} something was put right, {lost} are flagged."
    )
    report.results["entities"] = {"sentences": len(sentences), "right": right, "repaired": repaired, "flagged": lost}
