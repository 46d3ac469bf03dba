"""The demo: a server, two phones that speak recorded lines, and a verdict from what both of them heard.

Server and phones are processes of their own; this one starts them, watches the session's
folder, and ends them by their process ids, whatever happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from kallglot_media.errors import SetupError
from kallglot_media.phone.demo_setup import AS_THE_DEMO, HOST, NOTHING_MORE, UTTERANCES, DemoSetup, Staging, prepare
from kallglot_media.phone.demo_view import ConversationView, files_table, lag_summary, verdict_table
from kallglot_media.phone.match import sound_end
from kallglot_media.phone.plot import plot_session
from kallglot_media.phone.probe import answers_options
from kallglot_media.phone.session_folder import Session, SessionFolderError, read_session
from kallglot_media.phone.sounds import load_sound
from kallglot_media.phone.verdict import Line, LineResult, Verdict, judge, load_lines

READY_S = 30.0
LIMIT_S = 110.0
_LOOK_EVERY_S = 0.1
_STOP_S = 10.0
_NOTICE_S = 4.0
"""How long after one phone has gone the other may stay."""

_GONE_LOOKS = 5
"""How often the end of a killed process group is looked for; a zombie that nobody reaps counts as there."""

_RATE_HZ = 8000


class DemoFailed(Exception):
    """The demo could not be judged at all; the message says what happened and where to look."""


@dataclass(frozen=True, slots=True)
class DemoOutcome:
    """What a run left. reports: each phone's JSON report, by speaker; ready_s: how long the server took to start."""

    setup: DemoSetup
    session: Session
    verdict: Verdict
    reports: Mapping[str, Mapping[str, Any]]
    ready_s: float

    def mouth_to_ear_ms(self, result: LineResult) -> float:
        """From a line's last sound at its phone to its translation's first sample at the other phone.

        Both phones count from the machine's one monotonic clock.
        """
        line = result.line
        speaking, hearing = self.reports[line.speaker], self.reports[line.listener]
        played = next(played for played in speaking["played"] if played["file"] == line.file)
        end_sample = played["start_sample"] + sound_end(line.sound, _RATE_HZ)
        assert result.heard is not None
        end_s: float = speaking["clock_start_monotonic_s"] + end_sample / _RATE_HZ
        first_s: float = hearing["clock_start_monotonic_s"] + result.heard.at_sample / _RATE_HZ
        return (first_s - end_s) * 1000.0


def run_demo(
    folder: Path,
    console: Console,
    *,
    limit_s: float = LIMIT_S,
    line_count: int | None = None,
    lines: Sequence[Line] | None = None,
    mode: Mapping[str, Any] = NOTHING_MORE,
    staging: Staging = AS_THE_DEMO,
) -> DemoOutcome:
    """One call with the demo's lines, only the first `line_count` of them, or other `lines`; `mode`: more settings.

    Raises DemoFailed when it cannot be judged, or SetupError when it could not even begin.
    """
    lines = load_lines(UTTERANCES, _RATE_HZ)[:line_count] if lines is None else lines
    return asyncio.run(_until_told(_run(folder, console, limit_s, lines, mode, staging)))


async def _until_told(job: Coroutine[Any, Any, DemoOutcome]) -> DemoOutcome:
    """SIGTERM and Ctrl-C end the processes too, which are in sessions of their own. Raises DemoFailed then."""
    task = asyncio.ensure_future(job)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise DemoFailed("interrupted") from None


async def _run(
    folder: Path, console: Console, limit_s: float, lines: Sequence[Line], mode: Mapping[str, Any], staging: Staging
) -> DemoOutcome:
    setup = prepare(folder, lines, mode, staging)
    try:
        async with asyncio.timeout(limit_s), _process(setup, "server", _serve_command(setup)) as server:
            ready_s = await _until_ready(setup, server)
            console.print(f"server ready in {ready_s:.1f} s, at {setup.customer_calls}\n", style="dim")
            await _converse(setup, server, console)
            await _stop(server)
    except TimeoutError:
        raise DemoFailed(f"not over after {limit_s:.0f} s; look into {setup.folder}") from None
    return _outcome(setup, lines, ready_s)


async def _converse(setup: DemoSetup, server: asyncio.subprocess.Process, console: Console) -> None:
    """The call itself: both phones until they are done, and the session until it is on disk."""
    async with (
        _process(setup, "agent", _phone_command(setup, "agent")) as agent,
        _process_after(setup, agent, "customer") as customer,
    ):
        view: ConversationView | None = None
        left_s = _NOTICE_S
        while left_s > 0 and (agent.returncode is None or customer.returncode is None):
            if server.returncode is not None:
                raise DemoFailed(f"the server ended with {server.returncode} in the call:\n{tail(setup.log('server'))}")
            if customer.returncode is not None or agent.returncode is not None:
                left_s -= _LOOK_EVERY_S  # one side has gone; the other has this long to notice
            if view := view or _view(setup, console):
                view.update()
            await asyncio.sleep(_LOOK_EVERY_S)
    await _until_written(setup)
    if view := view or _view(setup, console):
        view.finish()


def _view(setup: DemoSetup, console: Console) -> ConversationView | None:
    folder = session_folder(setup.data_dir)
    return None if folder is None else ConversationView(console, folder)


def session_folder(data_dir: Path) -> Path | None:
    """The only session's folder, once it is there."""
    return next((path for path in sorted(data_dir.glob("sessions/*")) if path.is_dir()), None)


def _outcome(setup: DemoSetup, lines: Sequence[Line], ready_s: float) -> DemoOutcome:
    folder = session_folder(setup.data_dir)
    if folder is None:
        raise DemoFailed(f"the server made no session: the call did not reach it.{_phone_words(setup)}")
    try:
        session = read_session(folder)
        heard = {speaker: load_sound(setup.heard(speaker), session.rate_hz) for speaker in setup.scripts}
        reports = {speaker: json.loads(setup.report(speaker).read_text("utf-8")) for speaker in setup.scripts}
    except (SessionFolderError, SetupError, OSError) as wrong:
        raise DemoFailed(f"{wrong}{_phone_words(setup)}") from None
    return DemoOutcome(setup, session, judge(session, lines, heard), reports, ready_s)


def _phone_words(setup: DemoSetup) -> str:
    """What the phones and the server said last, for a person who has to find out why."""
    return "".join(f"\n── {name}.log\n{tail(setup.log(name))}" for name in ("customer", "agent", "server"))


def tail(path: Path, lines: int = 12) -> str:
    """The last lines of a log, or that there is none."""
    try:
        return "\n".join(path.read_text("utf-8", "replace").splitlines()[-lines:]) or "(empty)"
    except FileNotFoundError:
        return "(not written)"


# ── processes ────────────────────────────────────────────────────────────────────


def _serve_command(setup: DemoSetup) -> list[str]:
    return [sys.executable, "-m", "kallglot_media.cli", "serve", str(setup.config)]


def _phone_command(setup: DemoSetup, speaker: str) -> list[str]:
    where = ["--listen", f"{HOST}:{setup.agent_port}"] if speaker == "agent" else [setup.customer_calls]
    files = ["--record", str(setup.heard(speaker)), "--report", str(setup.report(speaker))]
    script = ["--script", str(setup.scripts[speaker])]
    return [sys.executable, "-m", "kallglot_media.cli", "phone", *where, *script, *files, *setup.staging.phones]


@contextlib.asynccontextmanager
async def _process(setup: DemoSetup, name: str, command: Sequence[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A child with its output in its log. Real models of the machine's owner are not for the demo."""
    own = setup.staging.own_models
    env = {name: value for name, value in os.environ.items() if own or name != "KALLGLOT_MODELS"}
    with setup.log(name).open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, env=env, start_new_session=True
        )
    try:
        yield process
    finally:
        await _stop(process)


@contextlib.asynccontextmanager
async def _process_after(
    setup: DemoSetup, agent: asyncio.subprocess.Process, name: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The customer's phone, started when the agent's one can be called."""
    for _ in range(round(READY_S / _LOOK_EVERY_S)):
        if agent.returncode is not None or "listening" in tail(setup.log("agent")):
            break
        await asyncio.sleep(_LOOK_EVERY_S)
    if agent.returncode is not None or "listening" not in tail(setup.log("agent")):
        raise DemoFailed(f"the agent's phone did not start:\n{tail(setup.log('agent'))}")
    async with _process(setup, name, _phone_command(setup, name)) as process:
        yield process


async def _stop(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, then SIGKILL to what is left of its process group: no child may outlive the demo."""
    try:
        if process.returncode is None:
            process.terminate()
            async with asyncio.timeout(_STOP_S):
                await process.wait()
    except TimeoutError:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            for _ in range(_GONE_LOOKS):
                os.killpg(process.pid, signal.SIGKILL)
                await asyncio.sleep(_LOOK_EVERY_S)
        await process.wait()


async def _until_ready(setup: DemoSetup, server: asyncio.subprocess.Process) -> float:
    """Seconds until it answered OPTIONS with 200. Raises DemoFailed."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < READY_S:
        if server.returncode is not None:
            raise DemoFailed(f"the server ended with {server.returncode}:\n{tail(setup.log('server'))}")
        if await asyncio.to_thread(answers_options, HOST, setup.sip_port):
            return time.monotonic() - began_s
        await asyncio.sleep(_LOOK_EVERY_S)
    raise DemoFailed(f"the server was not ready after {READY_S:.0f} s:\n{tail(setup.log('server'))}")


async def _until_written(setup: DemoSetup) -> None:
    """Wait until session.json says that the session has ended; what is missing then, the verdict will say."""
    if (folder := session_folder(setup.data_dir)) is None:
        return
    for _ in range(round(_STOP_S / _LOOK_EVERY_S)):
        with contextlib.suppress(OSError, ValueError):
            if json.loads((folder / "session.json").read_text("utf-8")).get("status") == "ended":
                return
        await asyncio.sleep(_LOOK_EVERY_S)


# ── what a person sees ───────────────────────────────────────────────────────────


def show_outcome(outcome: DemoOutcome, console: Console) -> None:
    """Draw the plot, list the files, and print the verdict."""
    setup = outcome.setup
    pictures = [setup.folder / "session.png", setup.folder / "session.svg"]
    plot_session(outcome.session.folder, *pictures)
    files = [path for path in sorted(outcome.session.folder.iterdir()) if path.is_file()]
    files += [setup.heard(speaker) for speaker in setup.scripts]
    console.print(f"files in {setup.folder}", style="bold")
    console.print(files_table([*files, *pictures], setup.folder))
    console.print()
    console.print(verdict_table(outcome.verdict))
    console.print()
    console.print(lag_summary(outcome.verdict), style="bold")


def missed_steps(outcome: DemoOutcome) -> list[str]:
    """Waits of the phones' scripts that ran out, as sentences."""
    return [
        f"{speaker}'s phone, step {missed['step']}: {missed['what']}"
        for speaker, report in outcome.reports.items()
        for missed in report.get("missed", ())
    ]
