"""The demo's processes: what it says when something does not start, and that nothing outlives it."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from kallglot_media.phone import demo
from kallglot_media.phone.cli import demo_command
from kallglot_media.phone.demo import DemoFailed, missed_steps, run_demo, show_outcome
from tests.support.processes import until

pytestmark = [pytest.mark.loopback, pytest.mark.real_time]

DIES = "import sys; sys.exit('sip.listen: port 5060 is in use; write another port')"
NEVER_READY = (
    "import os, subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "print('pids', os.getpid(), child.pid, flush=True)\n"
    "time.sleep(600)\n"
)
READY_BUT_DEAF = """
import signal, socket, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ours.bind(("127.0.0.1", int(sys.argv[1])))
while True:
    data, peer = ours.recvfrom(65536)
    status = b"200 OK" if data.startswith(b"OPTIONS") else b"404 Not Found"
    lines = data.split(b"\\r\\n")
    kept = [line for line in lines if line.split(b":")[0] in (b"Via", b"From", b"To", b"Call-ID", b"CSeq")]
    if not data.startswith(b"ACK"):
        ours.sendto(b"\\r\\n".join([b"SIP/2.0 " + status, *kept, b"Content-Length: 0", b"", b""]), peer)
"""


def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def server(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """A program in place of the server."""
    monkeypatch.setattr(demo, "_serve_command", lambda setup: [sys.executable, "-c", program, str(setup.sip_port)])


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_server_that_does_not_start_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server(monkeypatch, DIES)
    with pytest.raises(DemoFailed, match=r"ended with 1:\nsip.listen: port 5060 is in use"):
        run_demo(tmp_path, console())


def test_a_server_that_is_never_ready_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server(monkeypatch, NEVER_READY)
    monkeypatch.setattr(demo, "READY_S", 1.0)
    with pytest.raises(DemoFailed, match="not ready after 1 s"):
        run_demo(tmp_path, console())
    _, *pids = (tmp_path / "server.log").read_text().split()
    assert len(pids) == 2
    assert not any(is_running(int(pid)) for pid in pids)


def test_a_call_that_is_refused_fails_the_demo_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server(monkeypatch, READY_BUT_DEAF)
    out = console()
    assert demo_command(tmp_path, console=out) == 1
    assert isinstance(out.file, io.StringIO)
    text = out.file.getvalue()
    assert "made no session" in text
    assert "refused" in text
    assert "404" in text


def test_the_time_limit_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server(monkeypatch, NEVER_READY)
    with pytest.raises(DemoFailed, match="not over after 2 s"):
        run_demo(tmp_path, console(), limit_s=2.0)
    _, *pids = (tmp_path / "server.log").read_text().split()
    assert len(pids) == 2
    assert not any(is_running(int(pid)) for pid in pids)


def test_sigterm_leaves_no_process_behind(tmp_path: Path) -> None:
    program = f"""
import signal, sys
from pathlib import Path
from kallglot_media.phone import cli, demo
demo._serve_command = lambda setup: [sys.executable, "-c", {NEVER_READY!r}]
sys.exit(cli.demo_command(Path({str(tmp_path)!r})))
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as ours:
        log = tmp_path / "server.log"
        until("the server's children run", lambda: log.exists() and "pids" in log.read_text(), 20.0)
        ours.send_signal(signal.SIGTERM)
        said, _ = ours.communicate(timeout=20)
    assert ours.returncode == 1
    assert "interrupted" in said
    _, *pids = log.read_text().split()
    assert len(pids) == 2
    assert not any(is_running(int(pid)) for pid in pids)


def test_the_environments_models_are_not_the_demos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLGLOT_MODELS", "/somewhere")
    server(monkeypatch, "import os, sys; sys.exit('models: ' + os.environ.get('KALLGLOT_MODELS', 'starter'))")
    with pytest.raises(DemoFailed, match="models: starter"):
        run_demo(tmp_path, console())
    assert os.environ["KALLGLOT_MODELS"] == "/somewhere"


@pytest.mark.engines
def test_the_first_two_lines_of_the_demo_pass(tmp_path: Path) -> None:
    out = console()
    outcome = run_demo(tmp_path, out, line_count=2)
    assert outcome.verdict.passed, outcome.verdict.checks
    assert len(outcome.verdict.lines) == 2
    assert missed_steps(outcome) == []
    show_outcome(outcome, out)
    assert isinstance(out.file, io.StringIO)
    text = out.file.getvalue()
    for line in outcome.verdict.lines:
        assert line.line.text in text
        assert line.lag_ms is not None
        assert 0 < line.lag_ms < outcome.mouth_to_ear_ms(line) + 200
    assert (tmp_path / "session.png").exists()
