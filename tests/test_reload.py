"""Generations: a changed file is taken when it is right, and changes nothing when it is not."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from kallglot_media import reload
from kallglot_media.config import Config, load_config
from kallglot_media.config.mode import Mode
from kallglot_media.reload import Generations

MODE = 'mode: bidirectional_translation\nsource_language: de\ntarget_language: en\nagent: {to: "sip:a@192.0.2.1"}\n'
ROUTES = "routes: [{called: support, mode: m.yaml}]\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "server.yaml").write_text("sip: {max_calls: 3}\n")
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "m.yaml").write_text(MODE)
    return tmp_path / "server.yaml"


class Taken(list[tuple[Config, int]]):
    def __call__(self, config: Config, number: int) -> None:
        self.append((config, number))


def agent_of(config: Config) -> str:
    mode = config.mode_of(config.routes[0])
    assert isinstance(mode, Mode)
    return str(mode.agent.to)


async def test_a_right_file_is_a_new_generation_and_the_old_one_stays_as_it_was(path: Path) -> None:
    taken = Taken()
    generations = Generations(old := load_config(path), taken)
    (path.parent / "m.yaml").write_text(MODE.replace("sip:a@", "sip:b@"))
    assert await generations.read()
    ((new, number),) = taken
    assert (number, agent_of(new), agent_of(old)) == (2, "sip:b@192.0.2.1", "sip:a@192.0.2.1")


@pytest.mark.parametrize("wrong", ["mode: [", "mode: bidirectional_translation\n", MODE.replace("de", "xx"), ""])
async def test_a_wrong_file_keeps_the_old_generation(path: Path, wrong: str) -> None:
    taken = Taken()
    generations = Generations(load_config(path), taken)
    (path.parent / "m.yaml").write_text(wrong)
    assert not await generations.read()
    assert (taken, generations.number, generations.counters["reloads_refused"]) == ([], 1, 1)
    (path.parent / "m.yaml").write_text(MODE)
    assert await generations.read()


async def test_a_language_that_the_engines_do_not_have_is_refused(path: Path) -> None:
    generations = Generations(load_config(path), taken := Taken())
    (path.parent / "m.yaml").write_text(MODE.replace("language: de", "language: fr"))
    assert not await generations.read()
    assert taken == []


async def test_what_server_yaml_itself_says_waits_for_a_restart(path: Path) -> None:
    generations = Generations(load_config(path), taken := Taken())
    (path.parent / path.name).write_text("sip: {max_calls: 9}\n")
    assert await generations.read()
    assert taken[0][0].server.sip.max_calls == 3


async def test_changed_files_are_noticed_new_ones_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "LOOK_EVERY_S", 0.005)
    came: asyncio.Queue[tuple[Config, int]] = asyncio.Queue()
    generations = Generations(load_config(path), lambda config, number: came.put_nowait((config, number)))
    running = asyncio.create_task(generations.run())
    try:
        (path.parent / "m.yaml").write_text("base: base.yaml\n" + MODE)
        (path.parent / "base.yaml").write_text("answer: at_once\n")
        os.utime(path.parent / "m.yaml", (1, 1))
        async with asyncio.timeout(10):
            config, number = await came.get()
        assert path.parent / "base.yaml" in config.files
        (path.parent / "base.yaml").write_text("answer: when_agent_answers\n")
        async with asyncio.timeout(10):
            config, number = await came.get()
            while number < 3:
                config, number = await came.get()
        mode = config.mode_of(config.routes[0])
        assert isinstance(mode, Mode)
        assert mode.answer == "when_agent_answers"
        generations.ask()
        async with asyncio.timeout(10):
            _, number = await came.get()
        assert number >= 4
    finally:
        running.cancel()
