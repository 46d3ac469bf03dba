"""The real engines in their processes: a call's three steps, and workers that die in the middle of one."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from kallglot_media.speech.errors import SpeechSetupError
from kallglot_media.speech.evaluate import normalized, padded, read_sound, through_telephone
from kallglot_media.speech.models import MODELS_VARIABLE
from kallglot_media.speech.pool import SpeechPool
from kallglot_media.speech.settings import EngineKind, SpeechSettings
from kallglot_media.speech.types import EngineFailed, UnknownPair, UnknownVoice

pytestmark = pytest.mark.engines

PACKAGE = Path(__file__).parents[2] / "kallglot_media"
UTTERANCES = PACKAGE / "phone" / "utterances"
LINES = json.loads((UTTERANCES / "manifest.json").read_text(encoding="utf-8"))
OTHER = {"de": "en", "en": "de"}
SOON_S = 20.0


@pytest.fixture(autouse=True)
def _no_models_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MODELS_VARIABLE, raising=False)


@pytest.fixture
def changes() -> asyncio.Queue[tuple[EngineKind, bool]]:
    return asyncio.Queue()


@pytest.fixture
async def pool(changes: asyncio.Queue[tuple[EngineKind, bool]]) -> AsyncIterator[SpeechPool]:
    pool = SpeechPool(SpeechSettings(), on_change=lambda *change: changes.put_nowait(change))
    await pool.start()
    yield pool
    await pool.stop()


async def test_the_demos_lines_are_heard_translated_and_spoken(pool: SpeechPool) -> None:
    for line in LINES:
        sound = through_telephone(padded(read_sound(UTTERANCES / line["file"])))
        heard = await pool.transcribe(sound, None, deadline_s=SOON_S)
        assert (heard.language, normalized(heard.text)) == (line["language"], normalized(line["text"]))
        made = await pool.translate(heard.text, heard.language, OTHER[heard.language], deadline_s=SOON_S)
        assert normalized(made.text) == normalized(line["translation"])
        speech = await pool.synthesize(made.text, made.target, None, deadline_s=SOON_S)
        assert len(speech.pcm) > speech.rate_hz // 2
    assert {line["speaker"] for line in LINES} == {"customer", "agent"}


async def test_what_is_not_installed_is_said_by_its_type(pool: SpeechPool) -> None:
    with pytest.raises(UnknownPair):
        await pool.translate("hei", "fi", "de", deadline_s=SOON_S)
    with pytest.raises(UnknownVoice):
        await pool.synthesize("hei", "fi", None, deadline_s=SOON_S)


async def test_a_recognizer_killed_at_work_is_back_for_the_next_utterance(
    pool: SpeechPool, changes: asyncio.Queue[tuple[EngineKind, bool]]
) -> None:
    (pid,) = pool.status()[EngineKind.RECOGNIZER].pids
    minutes = np.random.default_rng(1).normal(0, 3000, 16_000 * 120) * (np.arange(16_000 * 120) // 4000 % 2)
    job = asyncio.create_task(pool.transcribe(minutes.astype(np.int16), "de", deadline_s=SOON_S))
    while not pool.status()[EngineKind.RECOGNIZER].busy:  # noqa: ASYNC110 - depends on the loop alone
        await asyncio.sleep(0)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(EngineFailed, match="the recognizer's process died"):
        await job
    line = LINES[0]
    heard = await pool.transcribe(padded(read_sound(UTTERANCES / line["file"])), "de", deadline_s=SOON_S)
    assert heard.text == line["text"]
    assert [changes.get_nowait() for _ in range(2)] == [(EngineKind.RECOGNIZER, False), (EngineKind.RECOGNIZER, True)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_what_stops_the_server_does_not_stop_the_workers(pool: SpeechPool, number: signal.Signals) -> None:
    for status in pool.status().values():
        os.kill(status.pids[0], number)
    assert (await pool.translate("Ja, bitte.", "de", "en", deadline_s=SOON_S)).text
    assert (await pool.synthesize("Yes.", "en", None, deadline_s=SOON_S)).rate_hz == 16_000


async def test_workers_give_way_to_the_media_process(pool: SpeechPool) -> None:
    for status in pool.status().values():
        nice = os.getpriority(os.PRIO_PROCESS, status.pids[0])
        assert nice >= min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)


async def test_a_wrong_choice_stops_the_start_in_one_line() -> None:
    pool = SpeechPool(SpeechSettings(voices={"de": "thorsten"}))
    with pytest.raises(
        SpeechSetupError, match=r"^speech\.synthesizer\.voices\.de: no voice 'thorsten'; write one of [^\n]*$"
    ):
        await pool.start()


SERVER = """
import asyncio, sys
from kallglot_media.speech.pool import SpeechPool
from kallglot_media.speech.settings import SpeechSettings

async def main():
    pool = SpeechPool(SpeechSettings())
    await pool.start()
    print(*(status.pids[0] for status in pool.status().values()), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_no_worker_outlives_a_server_that_was_killed() -> None:
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True, cwd=PACKAGE.parent)
    with server:
        assert server.stdout is not None
        workers = [os.pidfd_open(int(pid)) for pid in server.stdout.readline().split()]
        server.kill()
    assert len(workers) == 3
    for worker in workers:
        poll = select.poll()
        poll.register(worker, select.POLLIN)
        assert poll.poll(10_000), "a worker is still there"
        os.close(worker)
