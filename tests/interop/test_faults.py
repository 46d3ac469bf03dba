"""What breaks in mid-call: an engine, the media process, the server itself, the network, the disk."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.interop.conftest import Sentence
from tests.support import sipp
from tests.support.baresip import Baresip
from tests.support.correlate import match
from tests.support.disk import enter, fill_up_to, inside, small_disk
from tests.support.processes import HOST, free_port, frozen, kill, pass_time, running, until
from tests.support.rest import Rest, make_key
from tests.support.server import Json, Server, events, read_json
from tests.support.waves import RATE_HZ, Pcm16, babble, read_wav, script

pytestmark = [pytest.mark.interop, pytest.mark.loopback, pytest.mark.engines]

LOST_AT_MOST_S = 1.0
OVER_AT_MOST_S = 1.0
"""After its media process died, by the server's clock: the call is over when the BYEs have gone out."""


@dataclass(frozen=True, slots=True)
class Call:
    """Two phones that talk through a server."""

    server: Server
    customer: Baresip
    agent: Baresip
    established_s: float
    folder: Path


@contextmanager
def call(folder: Path, *, customer: Pcm16, agent: Pcm16, settings: Json | None = None) -> Iterator[Call]:
    """A server of its own and a call through it; the test does the rest."""
    port = free_port()
    modes: dict[str, Json] = {"support": {"agent": {"to": f"sip:agent@{HOST}:{port}"}}}
    with (
        Server(folder / "server", modes=modes, settings=settings) as server,
        Baresip(folder / "agent", "agent", microphone=agent, port=port) as bob,
        Baresip(folder / "customer", "customer", microphone=customer) as alice,
    ):
        alice.dial(server.uri("support"))
        alice.wait_for("CALL_ESTABLISHED")
        established_s = time.monotonic()
        session = server.session(ended=False)
        yield Call(server, alice, bob, established_s, session)


def new_call_works(server: Server, folder: Path) -> None:
    """A fresh call is taken, answered and ended."""
    sipp.run(folder / "again", "uac_answered", remote=server.address, service="echo").check()


# ── engines ──────────────────────────────────────────────────────────────────────


def test_a_killed_engine_lets_the_original_through_and_comes_back(tmp_path: Path, sentences: list[Sentence]) -> None:
    first, second = sentences[0].pcm, sentences[2].pcm
    spoken = script(1.0, first, 7.0, second, 60.0)
    with call(tmp_path, customer=spoken, agent=script(90.0)) as live:
        killing_until(
            lambda: live.server.workers('"kind": "recogniz'),
            lambda: any(event["type"] == "interpreter.through" for event in events(live.folder)),
            timeout_s=10.0,
        )
        through = live.server.wait_event(live.folder, "interpreter.through")
        assert (through["speaker"], through["reason"]) == ("customer", "EngineFailed")
        live.server.wait_event(live.folder, "interpreter.back", 25.0)
        live.server.wait_event(live.folder, "turn.timings", 10.0)
        live.customer.hang_up()
        live.agent.wait_for("CALL_CLOSED")
        heard = live.agent.heard().pcm
        assert match(first, heard).window_median > 0.9
        assert match(first, heard).gain_db == pytest.approx(0, abs=1.5)
        assert read_json(live.server.session() / "session.json")["end_reason"] == "customer_hangup"


def killing_until(victims: Callable[[], list[int]], done: Callable[[], bool], timeout_s: float) -> None:
    """Kill every victim that shows up until `done()`."""

    def step() -> bool:
        for pid in victims():
            kill(pid)
        return done()

    until("the killing has its effect", step, timeout_s)


# ── the media process ────────────────────────────────────────────────────────────


def test_a_killed_media_process_ends_its_calls_and_the_next_one_works(tmp_path: Path) -> None:
    with call(tmp_path, customer=babble(60.0), agent=babble(60.0, seed=8)) as live:
        pass_time(3.0)
        (media,) = live.server.workers("kallglot_media.media")
        killed_at = datetime.now(UTC)
        kill(media)
        live.customer.wait_for("CALL_CLOSED", 5.0)
        live.agent.wait_for("CALL_CLOSED", 5.0)
        assert live.server.options() == 503
        folder = live.server.session()
        assert read_json(folder / "session.json")["end_reason"] == "error"
        assert seconds_to_end(folder, killed_at) <= OVER_AT_MOST_S
        until("the server takes calls again", lambda: live.server.options() == 200, 10.0)
        check_recording(folder, said_s=3.0)
        new_call_works(live.server, tmp_path)


def test_the_other_media_processes_go_on_when_one_is_killed(tmp_path: Path) -> None:
    """Two calls, two processes: the one whose process dies has its BYE within a second, the other hears no gap."""
    said = (babble(60.0), babble(60.0, seed=8))
    with (
        Server(tmp_path / "server", settings={"media": {"processes": 2}}) as server,
        Baresip(tmp_path / "first", "first", microphone=said[0]) as first,
        Baresip(tmp_path / "second", "second", microphone=said[1]) as second,
    ):
        phones = (first, second)
        for number, phone in enumerate(phones, 1):
            phone.dial(server.uri("echo"))
            phone.wait_for("CALL_ESTABLISHED")
            server.session(ended=False, count=number)
        pass_time(3.0)
        folders = server.sessions()
        killed_at = datetime.now(UTC)
        kill(server.workers("kallglot_media.media")[0])
        until("one of the calls is over", lambda: any(is_over(folder) for folder in folders), 5.0)
        [lost] = [number for number in range(2) if is_over(folders[number])]
        phones[lost].wait_for("CALL_CLOSED", 5.0)
        assert read_json(folders[lost] / "session.json")["end_reason"] == "error"
        assert seconds_to_end(folders[lost], killed_at) <= OVER_AT_MOST_S
        assert server.options() == 200, "new calls are taken all the time"
        until("there are two again", lambda: len(server.workers("kallglot_media.media")) == 2, 10.0)
        check_recording(folders[lost], said_s=3.0, said=said[lost])
        kept = 1 - lost
        assert not is_over(folders[kept])
        phones[kept].hang_up()
        until("the other one is over, too", lambda: is_over(folders[kept]), 10.0)
        assert read_json(folders[kept] / "session.json")["end_reason"] == "customer_hangup"
        heard = phones[kept].heard().pcm
        assert match(said[kept], heard).window_min > 0.9, "without a hole"


def seconds_to_end(folder: Path, since: datetime) -> float:
    """By session.json, whose `ended_at` is written after every leg got its BYE."""
    ended_at = datetime.fromisoformat(read_json(folder / "session.json")["ended_at"])
    return (ended_at - since).total_seconds()


def is_over(folder: Path) -> bool:
    return bool(read_json(folder / "session.json").get("status") == "ended")


def check_recording(folder: Path, *, said_s: float, said: Pcm16 | None = None) -> None:
    """Both files play, are equally long, and lack at most a second of what the customer said."""
    customer, agent = read_wav(folder / "customer.wav")[0], read_wav(folder / "agent.wav")[0]
    assert len(customer) == len(agent)
    found = match(babble(60.0) if said is None else said, customer[:, 0])
    assert found.window_median > 0.95, found
    assert (len(customer) - found.lag_samples) / RATE_HZ >= said_s - LOST_AT_MOST_S
    assert play_length_s(folder / "customer.wav") == pytest.approx(len(customer) / RATE_HZ, abs=0.001)


def play_length_s(path: Path) -> float:
    """How long an unrelated player takes the file to be, by its header."""
    told = subprocess.run(["soxi", "-D", str(path)], capture_output=True, text=True, check=False)
    return float(told.stdout) if told.returncode == 0 else len(read_wav(path)[0]) / RATE_HZ


# ── the server ───────────────────────────────────────────────────────────────────


def test_after_kill_9_every_recording_plays_and_a_second_is_missing_at_most(tmp_path: Path) -> None:
    with call(tmp_path, customer=babble(60.0), agent=babble(60.0, seed=8)) as live:
        pass_time(4.0)
        children = live.server.workers("")
        live.server.kill()
        said_s = time.monotonic() - live.established_s
        until("its processes end with it", lambda: not any(map(running, children)), 5.0)
        live.server.restart()
        folder = live.server.session()
        facts = read_json(folder / "session.json")
        assert (facts["status"], facts["end_reason"]) == ("ended", "error")
        check_recording(folder, said_s=said_s)
        new_call_works(live.server, tmp_path)


def test_sigterm_lets_live_calls_finish_and_takes_no_new_ones(tmp_path: Path) -> None:
    with call(
        tmp_path, customer=babble(60.0), agent=babble(60.0, seed=8), settings={"limits": {"drain_s": 30}}
    ) as live:
        pass_time(1.0)
        live.server.terminate()
        until("OPTIONS says 503", lambda: live.server.options() == 503, 3.0)
        sipp.run(tmp_path / "late", "uac_refused", remote=live.server.address, service="echo", STATUS="503").check()
        pass_time(2.0)
        assert live.server.child.alive()
        live.customer.hang_up()
        live.agent.wait_for("CALL_CLOSED")
        assert live.server.child.wait(10.0) == 0
        heard = live.agent.heard().pcm
        assert match(babble(60.0)[:16000], heard).overlap_s > 1.9
        facts = read_json(live.folder / "session.json")
        assert (facts["status"], facts["end_reason"]) == ("ended", "customer_hangup")
        check_recording(live.folder, said_s=3.0)


def test_sigterm_has_a_time_limit(tmp_path: Path) -> None:
    with call(tmp_path, customer=babble(60.0), agent=script(60.0), settings={"limits": {"drain_s": 1}}) as live:
        live.server.terminate()
        live.customer.wait_for("CALL_CLOSED", 6.0)
        live.agent.wait_for("CALL_CLOSED", 6.0)
        assert live.server.child.wait(10.0) == 0
        assert read_json(live.folder / "session.json")["status"] == "ended"


# ── the network ──────────────────────────────────────────────────────────────────


def test_a_call_without_sound_is_ended_with_a_reason(tmp_path: Path) -> None:
    """The customer's phone freezes, as when its network is gone; when it thaws it learns of the end."""
    with call(tmp_path, customer=babble(60.0), agent=script(60.0), settings={"media": {"rtp_timeout_s": 2}}) as live:
        with frozen(live.customer.child.pid):
            live.agent.wait_for("CALL_CLOSED", 6.0)
        live.customer.wait_for("CALL_CLOSED", 6.0)
        facts = read_json(live.server.session() / "session.json")
        assert facts["end_reason"] == "timeout"
        assert "no RTP from the customer" in facts["end_detail"]
        live.server.wait_event(live.folder, "rtp.lost")


# ── the disk ─────────────────────────────────────────────────────────────────────


def test_a_disk_that_fills_up_costs_the_recording_and_not_the_call(tmp_path: Path) -> None:
    """224 KiB hold about 3 s of four tracks; then the call goes on, and the log says what is missing.

    The database is on the same disk, as it is by default.
    """
    data = tmp_path / "disk"
    prefix = small_disk(data, 4096)
    said = babble(60.0)
    settings = {"data_dir": str(data), "recording": {"min_free_mb": 0}}
    with (
        Server(tmp_path / "server", settings=settings, prefix=prefix) as server,
        Baresip(tmp_path / "a", "alice", microphone=said) as alice,
    ):
        server.data = inside(server.child.pid, data)
        fill_up_to(server.data, 224)
        alice.dial(server.uri("echo"))
        alice.wait_for("CALL_ESTABLISHED")
        pass_time(7.0)
        alice.hang_up()
        until("the call is over", lambda: "session.ended" in server.log, 15.0)
        assert "recording.gap" in server.log
        assert match(said[: 6 * RATE_HZ], alice.heard().pcm).window_median > 0.95
        assert server.options() == 200


def test_clients_of_a_full_disk_are_told_and_lose_nothing(tmp_path: Path) -> None:
    """What was answered with 200 is there, what could not be kept got 503; with room again all goes on by itself."""
    data = tmp_path / "disk"
    prefix = small_disk(data, 6144)
    settings = {"data_dir": str(data), "recording": {"min_free_mb": 0}}
    long = {"system_prompt": "x" * 4_000}
    with Server(tmp_path / "server", settings=settings, prefix=prefix) as server:
        server.data = inside(server.child.pid, data)
        rest = Rest(server, make_key(server, prefix=enter(server.child.pid)))
        live = rest.session()
        fill_up_to(server.data, 0)
        kept: list[str] = []
        answer = rest.ask("POST", "/v1/agents", {"name": "0", **long})
        while answer.is_success and len(kept) < 2000:  # what SQLite has already of the disk takes some more
            kept.append(answer.json()["id"])
            answer = rest.ask("POST", "/v1/agents", {"name": str(len(kept)), **long})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (503, "service_unavailable"), answer.text
        assert "live calls go on" in error["message"]
        assert "database or disk is full" in server.log, "whoever runs the server reads why"
        assert answer.headers["retry-after"] == str(error["retry_after"])
        assert rest.call("GET", f"/v1/sessions/{live['id']}")["id"] == live["id"], "reading goes on"
        assert server.options() == 200
        (server.data / "fill").unlink()
        kept.append(rest.call("POST", "/v1/agents", {"name": "after", **long})["id"])
        assert all(rest.call("GET", f"/v1/agents/{agent_id}")["id"] == agent_id for agent_id in kept)
        assert rest.call("POST", f"/v1/sessions/{live['id']}/end")["status"] == "ended"
        rest.close()


def test_with_too_little_room_no_new_call_is_taken(tmp_path: Path) -> None:
    with Server(tmp_path / "server", settings={"recording": {"min_free_mb": 10_000_000}}) as server:
        sipp.run(tmp_path, "uac_refused", remote=server.address, service="echo", STATUS="503").check()
