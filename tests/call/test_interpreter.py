"""From an utterance to made speech, with engines that play a script."""

import asyncio
from typing import Any

import pytest

from kallglot_media.call.direction import Deadlines, Direction
from kallglot_media.call.interpreter import Interpreter
from kallglot_media.call.listening import Clause, Heard
from kallglot_media.call.turn import Turn, TurnTimings
from kallglot_media.media.messages import PlayoutStarted, SpeechGrew
from kallglot_media.modes.plan import Party
from kallglot_media.modes.policy import TURN_BY_TURN, Policy
from kallglot_media.speech.types import Context, Hints, Pcm16, Transcript
from tests.support.call_world import FakeEngines, utterance

CUSTOMER_TO_AGENT = Direction(Party.CUSTOMER, Party.AGENT, "de", "en", voices={"en": "amy"})


class FakeFloor:
    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.plays: list[tuple[Party, str, int]] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.through: list[tuple[Party, bool]] = []
        self.timings: list[tuple[int, int, TurnTimings]] = []
        self.partials: list[tuple[str, str]] = []
        self.watched = True
        self.idle = asyncio.Event()

    def next_sequence(self) -> int:
        return len(self.turns) + 1

    def turn_done(self, turn: Turn) -> None:
        self.turns.append(turn)

    def turn_played(self, sequence: int, first_sample_ms: int, timings: TurnTimings) -> None:
        self.timings.append((sequence, first_sample_ms, timings))

    def partial(self, talker: Party, text: str, stable: str, language: str, start_ms: int) -> None:
        self.partials.append((text, stable))

    def partials_wanted(self) -> bool:
        return self.watched

    def event(self, kind: str, at_sample: int | None = None, **fields: Any) -> None:
        self.events.append((kind, fields))

    def play(self, listener: Party, play_id: str, pcm: Pcm16, rate_hz: int) -> None:
        self.plays.append((listener, play_id, len(pcm)))

    def let_through(self, talker: Party, on: bool, reason: str) -> None:
        self.through.append((talker, on))

    def became_idle(self) -> None:
        self.idle.set()


class Scene:
    """An interpreter, its floor and a clock that stands still unless told."""

    def __init__(self, direction: Direction = CUSTOMER_TO_AGENT, policy: Policy = TURN_BY_TURN) -> None:
        self.engines = FakeEngines(
            heard={
                4000: ("Guten Tag.", "de"),
                4160: ("Ich habe eine Frage zu meiner Bestellung. Wo ist sie?", "de"),
                4320: ("", "de"),
                4480: ("Hello.", "en"),
            }
        )
        self.floor = FakeFloor()
        self.clock_s = 100.0
        self.interpreter = Interpreter(
            direction, self.engines, self.floor, lambda: self.clock_s, Deadlines(1.0, 1.0, 1.0), policy=policy
        )

    async def hear_all(self, *lengths: int) -> None:
        task = asyncio.create_task(self.interpreter.run())
        for samples in lengths:
            self.interpreter.hear(utterance(Party.CUSTOMER, samples))
        await self.floor.idle.wait()
        self.interpreter.close()
        await task

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.floor.events]


async def test_words_become_a_turn_and_speech_in_the_listeners_ear() -> None:
    scene = Scene()
    await scene.hear_all(4000)
    (turn,) = scene.floor.turns
    assert (turn.speaker, turn.language, turn.text) == ("customer", "de", "Guten Tag.")
    assert turn.translation is not None
    assert (turn.translation.language, turn.translation.text) == ("en", "<en>Guten Tag.")
    # the first word starts 240 ms into the sound, whose first sample is 12000 - 4000
    assert (turn.start_ms, turn.end_ms) == (1240, 1500)
    assert scene.floor.plays == [(Party.AGENT, "1.0", 800)]
    assert ("synthesize", "<en>Guten Tag.", "en", "amy") in scene.engines.asked


async def test_the_first_sentence_plays_while_the_second_is_made() -> None:
    scene = Scene()
    await scene.hear_all(4160)
    assert [play_id for _, play_id, _ in scene.floor.plays] == ["1.0", "1.1"]


async def test_silence_makes_no_turn_and_no_speech() -> None:
    scene = Scene()
    await scene.hear_all(4320)
    assert scene.floor.turns == []
    assert scene.floor.plays == []
    assert scene.kinds() == ["utterance.empty"]


async def test_timings_add_up_to_what_the_waveform_shows() -> None:
    scene = Scene()
    await scene.hear_all(4000)
    scene.clock_s += 0.030
    scene.interpreter.playout_started(PlayoutStarted("sess_1/agent", "1.0", at_sample=16_400))
    ((sequence, first_sample_ms, timings),) = scene.floor.timings
    assert (sequence, first_sample_ms) == (1, 2050)
    assert timings.speech_end_to_first_sample_ms == pytest.approx(550)
    parts = (timings.endpoint_ms, timings.recognize_ms, timings.translate_ms, timings.synthesize_ms)
    assert sum(parts) + timings.playout_wait_ms == pytest.approx(550)
    assert timings.engine_ms == pytest.approx(15)


@pytest.mark.parametrize("broken", ["transcribe", "translate", "synthesize"])
async def test_a_dead_engine_lets_the_voice_through_until_it_is_back(broken: str) -> None:
    scene = Scene()
    scene.engines.broken = {broken}
    task = asyncio.create_task(scene.interpreter.run())
    for _ in range(2):
        scene.floor.idle.clear()
        scene.interpreter.hear(utterance(Party.CUSTOMER, 4000))
        await scene.floor.idle.wait()
    # this utterance was not heard live, so it is played as it was; the next one was
    assert scene.floor.plays == [(Party.AGENT, "through.8000", 4000)]
    assert scene.floor.through == [(Party.CUSTOMER, True)]
    assert scene.kinds() == ["interpreter.through"] * 2
    assert len(scene.floor.turns) == (0 if broken == "transcribe" else 2), "what was understood is kept"
    scene.engines.broken = set()
    scene.interpreter.hear(utterance(Party.CUSTOMER, 4000))
    scene.interpreter.close()
    await task
    assert scene.floor.through[-1] == (Party.CUSTOMER, False)
    assert scene.kinds()[-1] == "interpreter.back"


async def test_noise_does_not_count_as_a_recovered_engine() -> None:
    scene = Scene()
    scene.engines.broken = {"translate"}
    await scene.hear_all(4000, 4320)
    assert scene.floor.through == [(Party.CUSTOMER, True)]


async def test_a_full_line_gives_up_the_oldest_and_says_so() -> None:
    scene = Scene()
    scene.engines.gate = asyncio.Event()
    task = asyncio.create_task(scene.interpreter.run())
    scene.interpreter.hear(utterance(Party.CUSTOMER, 4000))
    await asyncio.sleep(0)  # the first is with the engine now
    for end_sample in (20_000, 30_000, 40_000, 50_000, 60_000):
        scene.interpreter.hear(utterance(Party.CUSTOMER, 4000, speech_end_sample=end_sample))
    scene.engines.gate.set()
    scene.interpreter.close()
    await task
    assert [fields["first_ms"] for kind, fields in scene.floor.events if kind == "utterance.dropped"] == [2000]
    assert [turn.end_ms for turn in scene.floor.turns] == [1500, 3750, 5000, 6250, 7500]


async def test_after_the_call_words_are_written_down_but_not_spoken() -> None:
    scene = Scene()
    scene.interpreter.hear(utterance(Party.CUSTOMER, 4000))
    scene.interpreter.close()
    await scene.interpreter.run()
    assert [turn.text for turn in scene.floor.turns] == ["Guten Tag."]
    assert scene.floor.plays == []


async def test_one_caller_hears_each_language_in_the_other() -> None:
    scene = Scene(Direction(Party.CUSTOMER, Party.CUSTOMER, None, "en", pair=("de", "en")))
    await scene.hear_all(4000, 4480)
    assert [turn.translation and turn.translation.language for turn in scene.floor.turns] == ["en", "de"]
    assert [listener for listener, _, _ in scene.floor.plays] == [Party.CUSTOMER, Party.CUSTOMER]


async def test_someone_who_already_speaks_the_listeners_language_is_let_through() -> None:
    scene = Scene(Direction(Party.CUSTOMER, Party.AGENT, None, "en"))
    await scene.hear_all(4480)
    assert scene.floor.through == [(Party.CUSTOMER, True)]
    assert scene.floor.turns[0].translation is None


# ── while somebody speaks ────────────────────────────────────────────────────────


class Talking(Scene):
    """Somebody speaks, and the recogniser understands `hypotheses`, by the length of the sound in samples."""

    def __init__(self, policy: Policy, hypotheses: dict[int, str]) -> None:
        super().__init__(policy=policy)
        self.engines.heard |= {samples: (text, "de") for samples, text in hypotheses.items()}
        self.tasks = [
            asyncio.create_task(self.interpreter.run()),
            asyncio.create_task(self.interpreter.glimpse()),
        ]

    async def grow(self, first_sample: int, samples: int, *, paused: bool = False) -> None:
        pcm = b"\1\0" * samples
        self.interpreter.grow(SpeechGrew("sess_1/customer", pcm, 8000, first_sample, first_sample + samples, paused))
        for _ in range(20):
            await asyncio.sleep(0)

    async def close(self) -> None:
        self.interpreter.close()
        await asyncio.gather(*self.tasks)


async def test_subtitles_come_while_somebody_speaks() -> None:
    talking = Talking(TURN_BY_TURN, {4000: "Guten Tag.", 8000: "Guten Tag. Ich habe"})
    await talking.grow(8000, 4000)
    await talking.grow(12_000, 4000)
    assert talking.floor.partials == [("Guten Tag.", ""), ("Guten Tag. Ich habe", "Guten Tag.")]
    assert talking.floor.turns == []
    await talking.close()


async def test_by_turns_and_unwatched_only_a_pause_is_worth_a_look() -> None:
    talking = Talking(TURN_BY_TURN, {8000: "Guten Tag."})
    talking.floor.watched = False
    await talking.grow(8000, 4000)
    assert talking.engines.hints == []
    await talking.grow(12_000, 4000, paused=True)
    assert [turn.text for turn in talking.floor.turns] == ["Guten Tag."], "without waiting for the utterance's end"
    await talking.close()


async def test_a_clause_is_spoken_before_its_speaker_has_finished() -> None:
    talking = Talking(Policy(interpret="clause"), {4000: "Guten Tag. Ich", 8000: "Guten Tag. Ich habe"})
    await talking.grow(8000, 4000)
    await talking.grow(12_000, 4000)
    assert [turn.text for turn in talking.floor.turns] == ["Guten Tag."]
    assert [play_id for _, play_id, _ in talking.floor.plays] == ["1.0"]
    await talking.close()


@pytest.mark.parametrize(
    ("whole", "turns"),
    [
        ("Guten Tag, Frau Braun.", ["Guten Tag.", "Frau Braun."]),
        ("Guter Rat, Frau Braun.", ["Guten Tag."]),
        ("Guten Tag.", ["Guten Tag."]),
    ],
)
async def test_a_rest_that_is_not_believed_alone_is_listened_to_with_its_beginning(
    whole: str, turns: list[str]
) -> None:
    """What was passed on stays as it is: where the whole begins otherwise, the rest is not made up out of it."""
    talking = Talking(TURN_BY_TURN, {4000: "Guten Tag.", 12_000: whole})
    talking.engines.doubtful = {8000}
    await talking.grow(8000, 4000, paused=True)
    talking.floor.idle.clear()
    talking.interpreter.hear(utterance(Party.CUSTOMER, 12_000, speech_end_sample=20_000))
    await talking.floor.idle.wait()
    assert [turn.text for turn in talking.floor.turns] == turns
    assert ("utterance.empty" in [kind for kind, _ in talking.floor.events]) == (len(turns) == 1)
    await talking.close()


async def test_a_rest_of_a_long_utterance_is_not_listened_to_again() -> None:
    talking = Talking(Policy(longest_held_s=1.0), {4000: "Guten Tag."})
    talking.engines.doubtful = {8000}
    await talking.grow(8000, 4000, paused=True)
    talking.floor.idle.clear()
    talking.interpreter.hear(utterance(Party.CUSTOMER, 12_000, speech_end_sample=20_000))
    await talking.floor.idle.wait()
    assert len(talking.engines.hints) == 2
    await talking.close()


async def test_a_sentence_that_goes_on_is_translated_with_its_beginning() -> None:
    long = "ich habe am Mittwoch etwas bestellt,"
    talking = Talking(Policy(interpret="clause"), {4000: f"{long} das", 8000: f"{long} das nicht"})
    await talking.grow(8000, 4000)
    await talking.grow(12_000, 4000)
    talking.engines.heard |= dict.fromkeys(range(20000), ("das nicht kam.", "de"))
    talking.floor.idle.clear()
    talking.interpreter.hear(utterance(Party.CUSTOMER, 12_000, speech_end_sample=20_000))
    await talking.floor.idle.wait()
    assert talking.engines.befores == [None, Context(long, f"<en>{long}")]
    await talking.close()


async def test_engines_that_have_no_time_for_glimpses_cost_nothing_else() -> None:
    talking = Talking(TURN_BY_TURN, {})
    talking.engines.broken = {"transcribe"}
    await talking.grow(8000, 4000)
    talking.engines.broken = set()
    assert talking.floor.through == []
    talking.floor.idle.clear()
    talking.interpreter.hear(utterance(Party.CUSTOMER, 4000))
    await talking.floor.idle.wait()
    assert [turn.text for turn in talking.floor.turns] == ["Guten Tag."]
    await talking.close()


# ── catching up ──────────────────────────────────────────────────────────────────


async def test_who_is_behind_speaks_faster_and_says_so() -> None:
    scene = Scene()
    scene.engines.speech_s = 5.0
    await scene.hear_all(4000, 4000, 4000)
    assert scene.engines.speeds == pytest.approx([1.0, 1.08, 1.16])
    assert [fields["speed"] for kind, fields in scene.floor.events if kind == "lag"] == [1.08, 1.16]
    scene.interpreter.playout_started(PlayoutStarted("sess_1/agent", "3.0", at_sample=90_000))
    ((_, _, timings),) = scene.floor.timings
    assert [timings.backlog_ms, timings.speed] == pytest.approx([10_000, 1.16])


async def test_who_is_hopelessly_behind_writes_down_what_is_not_spoken() -> None:
    scene = Scene()
    scene.engines.speech_s = 25.0
    await scene.hear_all(4000, 4000)
    assert [play_id for _, play_id, _ in scene.floor.plays] == ["1.0"]
    assert len(scene.floor.turns) == 2
    assert scene.kinds()[-1] == "interpreter.skipped"


async def test_clauses_that_wait_are_made_over_as_one() -> None:
    talking = Talking(Policy(interpret="clause"), {})
    clause = Clause(Transcript("Guten Tag.", "de", 1.0, 0.9, 0.0, (), 5.0), 0, 500, 4000, 8000)
    following = Clause(Transcript("Und ja.", "de", 1.0, 0.8, 0.0, (), 5.0), 500, 900, 7200, 8000)
    english = Clause(Transcript("Hello.", "en", 1.0, 0.8, 0.0, (), 5.0), 900, 1200, 9600, 8000)
    for each in (clause, following, english):
        talking.interpreter.on_heard(Heard("", "", 0, each.transcript.language, each))
    talking.floor.idle.clear()
    await talking.floor.idle.wait()
    assert [(turn.text, turn.start_ms, turn.end_ms) for turn in talking.floor.turns] == [
        ("Guten Tag. Und ja.", 0, 900),
        ("Hello.", 900, 1200),
    ]
    await talking.close()


async def test_what_was_passed_on_early_in_the_listeners_language_is_heard_as_it_was_said() -> None:
    talking = Talking(Policy(), {})
    said = Transcript("Hello.", "en", 1.0, 0.8, 0.0, (), 5.0)
    talking.interpreter.on_heard(Heard("", "", 0, "en", Clause(said, 900, 1200, 9600, 8000, 7200, bytes(4800))))
    talking.floor.idle.clear()
    await talking.floor.idle.wait()
    assert [(play_id, samples) for _, play_id, samples in talking.floor.plays] == [("through.7200", 2400)]
    await talking.close()


# ── which language ───────────────────────────────────────────────────────────────


async def test_someone_who_changes_over_to_the_listeners_language_is_let_through_and_comes_back() -> None:
    scene = Scene()
    await scene.hear_all(4000, 4480, 4000)
    assert scene.floor.through == [(Party.CUSTOMER, True), (Party.CUSTOMER, False)]
    assert [turn.translation is None for turn in scene.floor.turns] == [False, True, False]
    assert scene.engines.hints[0] == Hints(usual="de", among=("de", "en"))
    assert scene.engines.hints[1].before == "Guten Tag."


async def test_by_configuration_a_speaker_is_taken_at_their_word() -> None:
    scene = Scene(policy=Policy(follow_language=False))
    await scene.hear_all(4480)
    assert scene.floor.through == []
    assert scene.floor.turns[0].language == "de"
