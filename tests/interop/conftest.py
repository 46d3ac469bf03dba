"""What the interop tests share: one server for all that need not break it, the demo's sentences, an ear."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

import kallglot_media.phone
from kallglot_media.speech.models import find_models
from kallglot_media.speech.settings import SpeechSettings
from kallglot_media.speech.whisper import WhisperRecognizer
from tests.support.asterisk import asterisk_version
from tests.support.matrix import Matrix, versions
from tests.support.processes import HOST, free_port
from tests.support.recognise import Ear
from tests.support.server import Json, Server
from tests.support.waves import Pcm16, read_mono

IDLE_DB = -18.0
"""How loud the original is under the number `under`."""

UTTERANCES = Path(kallglot_media.phone.__file__).parent / "utterances"


@dataclass(frozen=True, slots=True)
class Sentence:
    """A recorded sentence that the starter models know."""

    speaker: str
    language: str
    text: str
    translation: str
    pcm: Pcm16


@pytest.fixture(scope="session")
def sentences() -> list[Sentence]:
    """The demo's sentences in their order: customer and agent in turn."""
    return [
        Sentence(
            speaker=line["speaker"],
            language=line["language"],
            text=line["text"],
            translation=line["translation"],
            pcm=read_mono(UTTERANCES / line["file"]),
        )
        for line in json.loads((UTTERANCES / "manifest.json").read_text("utf-8"))
    ]


@pytest.fixture(scope="session")
def ear() -> Ear:
    """The starter recogniser, in this process."""
    settings = SpeechSettings()
    return Ear(WhisperRecognizer(find_models(settings).recognizer(None), settings))


class Place:
    """A server, and the ports where its agents will be. Its numbers, besides echo and interpreter:

    support    rings at the agent's port, as the shipped mode does
    impatient  rings at impatient_port, for 1.5 s
    dead       nobody is there, for 2 s
    alone      as support, and only the translation is heard
    under      the original is heard at IDLE_DB; open: at its full level
    assistive  the agent hears the customer's own voice and reads along
    typed      the same, as real-time text
    at_once    the caller is answered at once and hears it ring
    clauses    as alone, clause by clause, while they speak
    """

    def __init__(self, folder: Path) -> None:
        self.impatient_port, dead_port = free_port(), free_port()
        _write_agent(folder / "modes", free_port())
        modes: dict[str, Json] = {
            "support": {"base": _AGENT},
            "impatient": {"agent": {"to": f"sip:agent@{HOST}:{self.impatient_port}", "ring_s": 1.5}},
            "dead": {"agent": {"to": f"sip:agent@{HOST}:{dead_port}", "ring_s": 2}},
            "alone": {"base": _AGENT, "gains": {"original_level_db": "off", "original_idle_db": "off"}},
            "under": {"base": _AGENT, "gains": {"original_level_db": IDLE_DB, "original_idle_db": IDLE_DB}},
            "open": {"base": _AGENT, "gains": {"original_level_db": 0.0, "original_idle_db": 0.0}},
            "at_once": {"base": _AGENT, "answer": "at_once"},
            "clauses": {
                "base": _AGENT,
                "interpret": "clause",
                "gains": {"original_level_db": "off", "original_idle_db": "off"},
            },
            "assistive": {
                "mode": "assistive_translation",
                "base": _AGENT,
                "subtitles": {"sip_message": True},
                "gains": {"original_level_db": "off", "original_idle_db": "off"},
            },
            "typed": {"mode": "assistive_translation", "base": _AGENT, "subtitles": {"real_time_text": True}},
        }
        self.server = Server(folder, modes=modes)

    def new_agent_port(self) -> int:
        """A port where the next agent is to listen: one that no agent had.

        A phone that is stopped leaves requests unanswered, which the server repeats for 32 s. The first
        thing that SIPp hears at its port has to be the call that it waits for.
        """
        port = free_port()
        self.server.reload(lambda: _write_agent(self.server.folder / "modes", port))
        return port


_AGENT = "agent.yaml"


def _write_agent(modes: Path, port: int) -> None:
    """The part of the modes that says where the agent is, put there whole."""
    modes.mkdir(parents=True, exist_ok=True)
    new = modes / "agent.new"
    new.write_text(f"agent: {{to: 'sip:agent@{HOST}:{port}'}}\n", encoding="utf-8")
    new.rename(modes / _AGENT)


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One server for all tests that need not break it: they all leave it as they found it."""
    there = Place(tmp_path_factory.mktemp("place"))
    with there.server:
        yield there


@pytest.fixture(scope="session")
def server(place: Place) -> Server:
    """The same server."""
    return place.server


REPORT = "KALLGLOT_INTEROP_REPORT"
"""The environment variable with the file that the matrix is written to; without it none is."""
README = "KALLGLOT_INTEROP_README"
"""The same for README.md, which has one row for each peer."""
MATRIX = Matrix()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note each phase of a test that says which feature it proves."""
    report = yield
    for mark in item.iter_markers("feature"):
        MATRIX.add(mark.args[0], mark.args[1], item.name, report.outcome)
    there = getattr(item, "funcargs", {}).get("place")
    if report.failed and isinstance(there, Place):
        report.sections.append(("the shared server's log", there.server.log[-8000:]))
    return report


def pytest_sessionfinish() -> None:
    """Write the page."""
    path = os.environ.get(REPORT)
    if path and MATRIX.rows:
        today = datetime.now(UTC).date().isoformat()
        Path(path).write_text(MATRIX.page(versions(asterisk_version()), today), encoding="utf-8")
        readme = os.environ.get(README)
        if readme:
            Path(readme).write_text(MATRIX.into(Path(readme).read_text("utf-8")), encoding="utf-8")
