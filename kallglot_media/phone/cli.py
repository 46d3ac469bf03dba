"""What the commands `phone`, `demo` and `plot` do. Each returns the exit code; SetupError is the user's to mend."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console

from kallglot_media.errors import SetupError
from kallglot_media.phone.address import check_times
from kallglot_media.phone.demo import DemoFailed, missed_steps, run_demo, show_outcome
from kallglot_media.phone.demo_view import demo_console
from kallglot_media.phone.phone import Phone, PhoneSettings
from kallglot_media.phone.plot import plot_session
from kallglot_media.phone.report import PhoneReport
from kallglot_media.phone.rtp_line import RATE_HZ
from kallglot_media.phone.script import ScriptError, Step, parse_script
from kallglot_media.phone.sounds import save_sound
from kallglot_media.random_ids import RandomIds

_INTERRUPTED = 130


def phone_command(
    uri: str | None,
    *,
    listen: bool,
    settings: PhoneSettings,
    script: str | None = None,
    play: Sequence[Path] = (),
    record: Path | None = None,
    report: Path | None = None,
    console: Console | None = None,
) -> int:
    """Call `uri`, or wait to be called. 0: answered, and every step of the script done; 1: not.

    script  steps, or the name of a file with steps; None: made from `play`
    record  WAV file for what is heard; report: JSON file
    """
    if listen == (uri is not None):
        raise SetupError("phone", "needs one of a URI and --listen", "write e.g. phone sip:echo@127.0.0.1:5060")
    check_times(wait=settings.wait_s, ring=settings.ring_s)
    for option, path in (("--record", record), ("--report", report)):
        if path is not None:
            _try_to_write(option, path)
    console = console or Console(highlight=False, soft_wrap=True)
    phone = Phone(settings, steps_of(script, play), RandomIds())
    phone.text.on_line = lambda line: print(f"text: {line}", flush=True)
    job = phone.listen(lambda own: print(f"listening at {own}", flush=True)) if uri is None else phone.call(uri)
    interrupted = not _run(job)
    console.print(summary(phone.report), markup=False)
    _keep(phone, record, report)
    if interrupted:
        return _INTERRUPTED
    return 0 if phone.report.succeeded else 1


def _try_to_write(option: str, path: Path) -> None:
    """Before the call: afterwards it is too late. Raises SetupError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        there = path.exists()
        path.open("ab").close()
        if not there:
            path.unlink()
    except OSError as wrong:
        raise _not_written(option, path, wrong) from None


def _not_written(option: str, path: Path, wrong: OSError) -> SetupError:
    why = (wrong.strerror or str(wrong)).lower()
    return SetupError(f"{option} {path}", f"cannot be written: {why}", "name a file in a folder with room")


def _keep(phone: Phone, record: Path | None, report: Path | None) -> None:
    """What was heard, and the report, which is tried also where the sound had no room. Raises SetupError."""
    refused: SetupError | None = None
    if record is not None and phone.report.result == "answered":
        try:
            save_sound(record, phone.heard(), RATE_HZ)
        except OSError as wrong:
            refused = _not_written("--record", record, wrong)
    if report is not None:
        try:
            phone.report.write(report)
        except OSError as wrong:
            refused = refused or _not_written("--report", report, wrong)
    if refused is not None:
        raise refused


def steps_of(script: str | None, play: Sequence[Path]) -> tuple[Step, ...]:
    """The steps of a script, of a script file, or "say these files and listen after each". Raises ScriptError."""
    if script is None:
        steps = [step for path in play for step in ("pause 500ms", f"play {path.absolute()}", "wait silence 3s")]
        return parse_script("\n".join(steps) if steps else "wait hangup within 600s", Path.cwd())
    path = Path(script)
    try:
        is_file = path.is_file()
    except (OSError, ValueError):  # far longer than any name
        is_file = False
    if not is_file:
        return parse_script(script, Path.cwd())
    try:
        return parse_script(path.read_text("utf-8"), path.parent)
    except OSError as wrong:
        raise ScriptError(script, f"cannot be read: {wrong.strerror}", "name a file that this user may read") from None
    except UnicodeError:
        raise ScriptError(script, "is not UTF-8 text", "name a file with steps in it; sounds go with --play") from None


def summary(report: PhoneReport) -> str:
    """The call in a few lines, for a person."""
    rtp = report.rtp
    why = "" if report.result == "answered" else report.reason
    lines = [f"{report.uri}: {report.result} {why}".rstrip() + f" ({_list(report.statuses)})"]
    if report.result == "answered":
        lines.append(f"  {report.seconds:.1f} s, {report.codec}, ended by {report.ended_by or 'nobody'}")
        lines.append(
            f"  sent {rtp.sent_packets} packets, received {rtp.received_packets}, lost {rtp.lost_packets}, "
            f"jitter {rtp.jitter_ms:.1f} ms"
        )
        lines += [f"  said {played.file} at {played.start_sample / report.rate_hz:.1f} s" for played in report.played]
        if report.heard_keys:
            lines.append(f"  heard the keys {report.heard_keys}")
    lines += [f"  missed step {missed.step}: {missed.what}" for missed in report.missed]
    return "\n".join(lines)


def plot_command(session: Path, out: Path | None, *, console: Console | None = None) -> int:
    """Draw session.png and session.svg into `out`, or into the session's own folder."""
    folder = out or session
    try:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
        pictures = folder / "session.png", folder / "session.svg"
        plot_session(session, *pictures)
    except OSError as wrong:
        raise SetupError(str(folder), f"cannot be written: {wrong.strerror}", "name a folder with --out") from None
    for picture in pictures:
        (console or Console(highlight=False, soft_wrap=True)).print(str(picture))
    return 0


def demo_command(out: Path, *, as_json: bool = False, console: Console | None = None) -> int:
    """The whole demo. 0: passed; 1: something was missing or not heard; as_json: the verdict for machines."""
    console = console or demo_console()
    try:
        outcome = run_demo(out, console)
    except DemoFailed as wrong:
        console.print(f"the demo failed: {wrong}", style="red", markup=False)
        return 1
    show_outcome(outcome, console)
    for missed in missed_steps(outcome):
        console.print(missed, style="red", markup=False)
    if as_json:
        print(json.dumps(_as_json(outcome.verdict.checks)))
    passed = outcome.verdict.passed
    console.print("the demo passed" if passed else "the demo FAILED", style="bold green" if passed else "bold red")
    return 0 if passed else 1


def _as_json(checks: Sequence[Any]) -> list[dict[str, Any]]:
    return [{"check": check.name, "passed": check.passed, "detail": check.detail} for check in checks]


def _list(statuses: Sequence[int]) -> str:
    return " ".join(str(status) for status in statuses) or "no response"


def _run(job: Coroutine[Any, Any, object]) -> bool:
    """Run it to its end; SIGTERM and Ctrl-C hang up first. Whether it was let finish."""

    async def until_told() -> bool:
        task = asyncio.ensure_future(job)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            return False
        return True

    return uvloop.run(until_told())
