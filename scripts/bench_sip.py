"""How many calls a core sets up and ends, beside sippy; and whether open dialogs and transactions slow it down.

    make bench-sip                    or: python scripts/bench_sip.py [--quick] [--sippy FOLDER/bin/python]

On the wire: SIPp calls, a back-to-back user agent on one core (ours, then sippy's b2bua_simple) passes the call on,
SIPp answers: INVITE 100 180 200 ACK BYE 200 on both sides. The rate rises until a call fails or anybody has to send
something twice; what is printed is the last rate at which nobody had to. All of them run at a real-time priority where
that is allowed, so that neighbours on the machine cost nobody anything.
In memory: two agents, no sockets, the clock in our hands. Prints Markdown.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import gc
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kallglot_media.random_ids import RandomIds  # noqa: E402
from kallglot_media.sip.agent import SipAgent  # noqa: E402
from kallglot_media.sip.events import IncomingCall, MediaOffered, Peer  # noqa: E402
from kallglot_media.sip.parser import parse_message  # noqa: E402
from kallglot_media.sip.settings import AgentSettings  # noqa: E402
from tests.support.processes import Child, bound, free_port, until  # noqa: E402
from tests.support.server import serve_command, write_config  # noqa: E402
from tests.support.sipp import Sipp  # noqa: E402

SDP = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\n"
)
CALLER, CALLEE = Peer("udp", "192.0.2.1", 5060), Peer("udp", "192.0.2.2", 5060)
OURS, OTHERS = {0}, {1}
"""The core of whoever is measured, and that of SIPp."""

HOLD_MS = 200
WIDE = ("-buff_size", "4194304")
"""Room for a burst in SIPp's sockets."""


# ── on the wire ──────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Load:
    """What a rate came to. core: the share of one core that the measured process used."""

    asked: int
    got: float
    failed: int
    again: int
    core: float

    @property
    def is_clean(self) -> bool:
        """Nobody failed, nobody had to say anything twice, and the rate was really reached."""
        return not self.failed and not self.again and self.got >= 0.95 * self.asked


Start = Callable[[Path, int, int], Child]


def ours(folder: Path, port: int, callee: int) -> Child:
    """Our stack with a glue of forty lines."""
    command = [sys.executable, str(ROOT / "scripts" / "bench_b2bua.py"), str(port), str(callee)]
    return Child(command, folder / "ours.log", cwd=ROOT, env={"PYTHONPATH": str(ROOT)})


def whole(folder: Path, port: int, callee: int) -> Child:
    """The server as it is installed, bridging to an agent: RTP ports, interpreters, session folders and the store."""
    settings = {
        "sip": {"max_calls": 5000, "guard": {"invites_per_s": 0}},
        "media": {"ports": [20_000, 65_000]},
        "log": {"level": "warning"},
        "recording": {"enabled": False},
    }
    modes = {"service": {"agent": {"to": f"sip:agent@127.0.0.1:{callee}"}}}
    config = write_config(folder / "server", sip_port=port, settings=settings, modes=modes)
    return Child(serve_command(config), folder / "server.log", cwd=ROOT)


def sippy(python: Path) -> Start:
    """sippy's own example of a B2BUA, without its message log."""

    def start(folder: Path, port: int, callee: int) -> Child:
        command = [str(python.parent / "b2bua_simple"), "-f", "-l", "127.0.0.1", "-p", str(port)]
        command += ["-n", f"127.0.0.1:{callee}", "-L", "/dev/null"]
        return Child(command, folder / "sippy.log", env={"SIPLOG_BEND": "none"})

    return start


def load(start: Start, rate: int, seconds: float) -> Load:
    """One rate for so long."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        calls = round(rate * seconds)
        timeout_s = round(seconds) + 60
        callee = Sipp(
            folder / "callee", "bench_uas", calls=calls, timeout_s=timeout_s, at_once=20_000, trace=False, extra=WIDE
        )
        pin(callee.child.pid, OTHERS)
        with callee, start(folder, port, callee.port) as measured:
            pin(measured.pid, OURS)
            until("it listens", lambda: bound(port) or not measured.alive(), 30.0)
            time.sleep(1.0)
            before_s, began_s = cpu_s(measured.pid), time.monotonic()
            with Sipp(
                folder / "caller",
                "bench_uac",
                remote=f"127.0.0.1:{port}",
                calls=calls,
                rate=float(rate),
                at_once=20_000,
                timeout_s=timeout_s,
                hold_ms=HOLD_MS,
                trace=False,
                extra=WIDE,
            ) as caller:
                pin(caller.child.pid, OTHERS)
                result = caller.wait()
            took_s = time.monotonic() - began_s
            core = (cpu_s(measured.pid) - before_s) / took_s
            there = callee.wait(40.0) if not result.failed else None
        again = result.retransmissions + (there.retransmissions if there is not None else 0)
        return Load(rate, calls / max(took_s - HOLD_MS / 1000, 0.1), result.failed, again, core)


def pin(pid: int, cores: set[int]) -> None:
    """Give it its core, before whatever else runs on this machine, where that is allowed (root)."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), cores)
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(int(task.name), os.SCHED_RR, os.sched_param(10))


def cpu_s(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def climb(name: str, start: Start, rates: Sequence[int], seconds: float) -> None:
    """Rates one after the other until one is not clean twice."""
    best: Load | None = None
    for rate in rates:
        found = load(start, rate, seconds)
        if not found.is_clean:
            found = load(start, rate, seconds)
        print(
            f"| {name} | {rate} | {found.got:.0f} | {found.failed} | {found.again} | {found.core:.0%} "
            f"| {1e3 * found.core / max(found.got, 1e-9):.2f} |",
            flush=True,
        )
        if not found.is_clean:
            break
        best = found
    if best is not None:
        print(f"| **{name}** | **{best.asked}** | clean | | | {best.core:.0%} | |", flush=True)


# ── in memory ────────────────────────────────────────────────────────────────────


class Pair:
    """A caller, a callee that answers at once, and the clock."""

    def __init__(self, *, session_s: int = 0) -> None:
        settings = AgentSettings(max_calls=1_000_000, max_transactions=1_000_000, session_expires_s=session_s)
        self.caller, self.callee = SipAgent(RandomIds(), settings), SipAgent(RandomIds(), settings)
        self.caller.set_address("udp", CALLER.host, CALLER.port)
        self.callee.set_address("udp", CALLEE.host, CALLEE.port)
        self.now_s = 0.0
        self.answered = 0

    def call(self, *, hangup: bool, gap_s: float) -> None:
        """One call, and time for its timers."""
        call = self.caller.invite(
            to="sip:b@192.0.2.2", from_="sip:a@192.0.2.1", destination=CALLEE, sdp=SDP, now_s=self.now_s
        )
        self.drain()
        if hangup:
            self.caller.hangup(call, self.now_s)
            self.drain()
        self.pass_time(self.now_s + gap_s)

    def pass_time(self, until_s: float) -> None:
        """Everything that is due until then, each at its time."""
        while True:
            due = [due_s for one in (self.caller, self.callee) if (due_s := one.next_time_s()) is not None]
            if not due or min(due) > until_s:
                break
            self.now_s = max(self.now_s, min(due))
            for agent in (self.caller, self.callee):
                agent.on_time(self.now_s)
            self.drain()
        self.now_s = until_s

    def drain(self) -> None:
        """Carry what is sent, answer what comes."""
        busy = True
        while busy:
            busy = False
            for agent, here, other in ((self.caller, CALLER, self.callee), (self.callee, CALLEE, self.caller)):
                for data, _ in agent.take_datagrams():
                    other.receive(data, here, self.now_s)
                    busy = True
                for event in agent.take_events():
                    busy = True
                    if isinstance(event, IncomingCall):
                        agent.ring(event.call, self.now_s)
                        agent.answer(event.call, SDP, self.now_s)
                        self.answered += 1
                    elif isinstance(event, MediaOffered):
                        agent.answer_offer(event.call, SDP, self.now_s)


def set_ups(pair: Pair, calls: int, *, hangup: bool, gap_s: float = 0.004) -> float:
    """Calls per second of CPU, both ends together."""
    before, answered = time.process_time(), pair.answered
    for _ in range(calls):
        pair.call(hangup=hangup, gap_s=gap_s)
    if pair.answered - answered != calls:
        raise SystemExit(f"{calls} calls placed, {pair.answered - answered} answered")
    return calls / (time.process_time() - before)


def rss_kb() -> int:
    """Memory of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def dialogs(most: int, simulated_s: float = 3600.0) -> None:
    """Memory and CPU of open dialogs, with session timers of half an hour, refreshed every quarter.

    Each count in a process of its own: memory that an earlier one gave back would hide what the next one takes.
    """
    print("| open dialogs | KB for each, one end | CPU ms for each and hour, one end | set-ups/s, both ends |")
    print("|---|---|---|---|", flush=True)
    for count in (most // 10, most // 5, most // 2, most):
        child = get_context("fork").Process(target=_dialogs, args=(count, simulated_s))
        child.start()
        child.join()
        if child.exitcode:
            raise SystemExit(child.exitcode)


def _dialogs(count: int, simulated_s: float) -> None:
    pair = Pair(session_s=1800)
    set_ups(pair, 50, hangup=True)  # whatever is made once
    pair.pass_time(pair.now_s + 64.0)
    empty_kb = rss_kb()
    rate = set_ups(pair, count, hangup=False)
    pair.pass_time(pair.now_s + 64.0)  # transactions of these calls are over; their dialogs stay
    each_kb = (rss_kb() - empty_kb) / count / 2
    before_s = time.process_time()
    pair.pass_time(pair.now_s + simulated_s)
    hour_ms = 1e3 * (time.process_time() - before_s) / count / 2 * 3600 / simulated_s
    refreshed = pair.callee.counters["session_refreshed"] + pair.caller.counters["session_refreshed"]
    if pair.callee.open_dialogs != count or refreshed < count:
        raise SystemExit(f"{count} dialogs were made, {pair.callee.open_dialogs} are open, {refreshed} refreshes")
    print(f"| {count} | {each_kb:.1f} | {hour_ms:.2f} | {rate:.0f} |", flush=True)


def parsing() -> None:
    """Microseconds for one message."""
    head = (
        "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK{0};rport\r\nMax-Forwards: 70\r\n"
        'From: "Anna" <sip:+4930123@carrier.example>;tag=f{0}\r\nTo: <sip:+4940555@192.0.2.1>{1}\r\n'
        "Call-ID: {0}@192.0.2.7\r\nCSeq: 1 {2}\r\nContact: <sip:192.0.2.7:5060>\r\n"
        "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK\r\nSupported: timer, 100rel\r\nUser-Agent: bench\r\n"
    )
    body = SDP.decode()
    kinds = {
        "INVITE with SDP": ("INVITE sip:+4940555@192.0.2.1 SIP/2.0\r\n", "", "INVITE", body),
        "200 with SDP": ("SIP/2.0 200 OK\r\n", ";tag=t", "INVITE", body),
        "BYE": ("BYE sip:kallglot@192.0.2.1 SIP/2.0\r\n", ";tag=t", "BYE", ""),
    }
    print("| message | bytes | µs to parse |\n|---|---|---|")
    for name, (start, tag, method, text) in kinds.items():
        more = f"Content-Type: application/sdp\r\nContent-Length: {len(text)}\r\n\r\n{text}"
        made = [(start + head.format(f"x{number}", tag, method) + more).encode() for number in range(20_000)]
        before_s = time.process_time()
        for data in made:
            parse_message(data)
        each_us = 1e6 * (time.process_time() - before_s) / len(made)
        print(f"| {name} | {len(made[0])} | {each_us:.1f} |", flush=True)


def transactions(most: int) -> None:
    """Microseconds for one OPTIONS, which is one server transaction, while others are open."""
    print("| open transactions | µs for one more: receive, answer, its timers |\n|---|---|")
    for count in (100, most):
        agent = SipAgent(RandomIds(), AgentSettings(max_transactions=1_000_000))
        agent.set_address("udp", CALLEE.host, CALLEE.port)
        # One lives for 64*T1 = 32 s: so many of them are open when one comes each 32 s / count.
        gap_s, now_s, number = 32.0 / count, 0.0, 0

        def one(agent: SipAgent = agent, gap_s: float = gap_s) -> None:
            nonlocal now_s, number
            number += 1
            now_s += gap_s
            agent.receive(options(number), CALLER, now_s)
            agent.take_datagrams()
            while (due_s := agent.next_time_s()) is not None and due_s <= now_s:
                agent.on_time(now_s)

        for _ in range(count + 100):
            one()
        there = agent.open_transactions
        before_s = time.process_time()
        for _ in range(20_000):
            one()
        print(f"| {there} | {1e6 * (time.process_time() - before_s) / 20_000:.1f} |", flush=True)


def options(number: int) -> bytes:
    """A request that makes a transaction and no dialog."""
    return (
        "OPTIONS sip:ping@192.0.2.2 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{number};rport\r\nMax-Forwards: 70\r\n"
        f"From: <sip:a@192.0.2.1>;tag=f{number}\r\nTo: <sip:ping@192.0.2.2>\r\nCall-ID: o{number}\r\n"
        "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def machine() -> str:
    """Day, Python, processor and kernel."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    model = names[0] if names else platform.machine()
    today = datetime.datetime.now(datetime.UTC).date()
    return f"{today}, CPython {platform.python_version()}, {os.cpu_count()} cores of {model}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few seconds: that it works, no numbers to quote")
    parser.add_argument("--sippy", type=Path, help="the python of an environment that has sippy")
    parser.add_argument("--no-wire", action="store_true", help="only what is measured in memory")
    parser.add_argument("--no-memory", action="store_true", help="only what is measured on the wire")
    options = parser.parse_args()
    print(f"{machine()}\n")
    if not options.no_wire:
        seconds, rates = (2.0, [50]) if options.quick else (6.0, [100, 200, 300, 400, 500, 600, 800])
        print("| B2BUA on one core | calls/s asked | calls/s | failed | sent again | of the core | CPU ms/call |")
        print("|---|---|---|---|---|---|---|")
        climb("kallglot", ours, rates, seconds)
        if options.sippy is not None:
            version = subprocess.run(
                [options.sippy, "-c", "import importlib.metadata as m; print(m.version('sippy'))"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
            climb(f"sippy {version}", sippy(options.sippy), rates, seconds)
        climb("kallglot, whole server", whole, [20] if options.quick else [10, 20, 50, 100, 150, 200], seconds)
        print()
    if options.no_memory:
        return
    dialogs(500 if options.quick else 5000)
    print()
    calls = 200 if options.quick else 3000
    both = set_ups(Pair(), calls, hangup=True)
    print("| in memory, calls/s of one core | both ends | each end |\n|---|---|---|")
    print(f"| set up and ended | {both:.0f} | {2 * both:.0f} |\n")
    parsing()
    print()
    transactions(600 if options.quick else 6000)


if __name__ == "__main__":
    main()
