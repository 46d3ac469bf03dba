"""SIPp as a scripted peer: runs a scenario of tests/interop/sipp and returns its verdict and counts.

`@NAME@` in a scenario is replaced before it runs, because SIPp cannot take a status code from its command line.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from tests.support.processes import HOST, Child, Late, bound, free_port, need, until

SCENARIOS = Path(__file__).resolve().parents[1] / "interop" / "sipp"
_STARTS = 5
_VIDEO = 2
"""SIPp binds a port for video at this distance above its media port, whether there is video or not."""
_NO_PORT = "RTP socket"
"""Of "Unable to bind audio RTP socket" and "…video…", with which it ends."""


@dataclass(frozen=True, slots=True)
class Result:
    """What SIPp says after its last call.

    code      0: every call went as the scenario says; 1: at least one did not
    calls     calls made or taken
    failed    calls that did not go as the scenario says
    retransmissions  messages it had to send again
    errors    its error log, empty when all went well
    messages  every SIP message, when traced
    """

    code: int
    calls: int
    failed: int
    retransmissions: int
    errors: str
    messages: str

    def check(self) -> Self:
        """Fails with SIPp's own words unless every call went as the scenario says."""
        assert self.code == 0, f"sipp ended with {self.code}, {self.failed} of {self.calls} calls failed\n" + (
            self.errors[-3000:] or self.messages[-3000:]
        )
        return self


class Sipp:
    """One SIPp process that runs one scenario.

    scenario   name of a file in tests/interop/sipp, without .xml; `fill` replaces its @NAMES@
    remote     "127.0.0.1:5060"; empty for a UAS
    rate       new calls per second; at_once: how many may be up together
    hold_ms    the length of the scenario's plain <pause/>
    port       where it listens, when that had to be known before; else a free one
    host       where it listens, signalling and sound
    trace      keep every message; costs more than the call itself
    lost       percentage of its own messages that SIPp drops in each direction
    """

    def __init__(
        self,
        folder: Path,
        scenario: str,
        *,
        remote: str = "",
        service: str = "service",
        calls: int = 1,
        rate: float = 10.0,
        at_once: int = 50,
        hold_ms: int = 500,
        transport: Literal["u1", "t1"] = "u1",
        lost: int = 0,
        extra: Sequence[str] = (),
        port: int | None = None,
        timeout_s: int = 60,
        host: str = HOST,
        trace: bool = True,
        **fill: str,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port = folder, port or free_port()
        self._stem, self._timeout_s, self._calls_others = f"{scenario}-{self.port}", timeout_s, bool(remote)
        path = folder / f"{self._stem}.xml"
        path.write_text(_filled((SCENARIOS / f"{scenario}.xml").read_text(), fill))
        command = [need("sipp", "sip-tester"), remote, "-sf", str(path), "-s", service, "-i", host, "-mi", host]
        command += ["-p", str(self.port), "-m", str(calls), "-r", str(rate), "-l", str(at_once)]
        command += ["-d", str(hold_ms), "-t", transport, "-nostdin", "-timeout", str(timeout_s), "-timeout_error"]
        command += ["-trace_stat", "-fd", "1", "-stf", str(self._file("csv"))]
        command += ["-trace_err", "-error_file", str(self._file("err"))]
        command += ["-trace_msg", "-message_file", str(self._file("msg"))] if trace else []
        command += [*(["-lost", str(lost)] if lost else []), *extra]
        self.child = self._start([part for part in command if part])

    def _start(self, command: list[str]) -> Child:
        """Start it; again with another media port when somebody took one of its two between looking and binding."""
        for _ in range(_STARTS):
            self._file("err").unlink(missing_ok=True)
            self.media_port = free_port(and_at=(_VIDEO,))
            self.child = Child([*command, "-mp", str(self.media_port)], self._file("out"), cwd=self.folder)
            try:
                until("sipp listens", self._listening, 10.0)
            except Late as late:
                self.child.stop()
                raise Late(f"{late}\n{self.child.log[-2000:]}") from None
            if self.child.alive() or _NO_PORT not in self._text("err"):
                break
        if not self._calls_others and not self.child.alive():
            raise Late(f"sipp ended before anybody called it:\n{self._text('err')[-2000:] or self.child.log[-2000:]}")
        return self.child

    @property
    def address(self) -> str:
        """Where a UAS scenario listens."""
        return f"{HOST}:{self.port}"

    def wait(self, timeout_s: float | None = None) -> Result:
        """The verdict, once all calls are over."""
        code = self.child.wait(self._timeout_s + 10 if timeout_s is None else timeout_s)
        counts = self._counts()
        return Result(
            code=code,
            calls=counts.get("TotalCallCreated", 0),
            failed=counts.get("FailedCall(C)", 0),
            retransmissions=counts.get("Retransmissions(C)", 0),
            errors=self._text("err"),
            messages=self.messages,
        )

    @property
    def messages(self) -> str:
        """Every SIP message so far."""
        return self._text("msg")

    def received(self) -> list[str]:
        """The start lines of what it received, in order."""
        return re.findall(r"message received .*?\n\n(.+?)\r?\n", self.messages)

    def stop(self) -> None:
        """End it, whatever its calls do."""
        self.child.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _listening(self) -> bool:
        """All its ports are its own, or it is already over: a refused first message can end a UAC at once."""
        ports = (self.port, self.media_port, self.media_port + _VIDEO)
        return not self.child.alive() or all(bound(port, by=self.child.pid) for port in ports)

    def _file(self, ending: str) -> Path:
        return self.folder / f"{self._stem}.{ending}"

    def _text(self, ending: str) -> str:
        path = self._file(ending)
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def _counts(self) -> dict[str, int]:
        rows = list(csv.DictReader(self._text("csv").splitlines(), delimiter=";"))
        return {name: int(value) for name, value in rows[-1].items() if name and _whole(value)} if rows else {}


def run(folder: Path, scenario: str, **settings: object) -> Result:
    """Run a UAC scenario to its end; see Sipp for the settings."""
    with Sipp(folder, scenario, **settings) as sipp:  # type: ignore[arg-type]
        return sipp.wait()


def _filled(text: str, fill: dict[str, str]) -> str:
    for name, value in fill.items():
        text = text.replace(f"@{name}@", value)
    left = set(re.findall(r"@[A-Z_]+@", text))
    assert not left, f"the scenario wants {sorted(left)}"
    return text


def _whole(value: object) -> bool:
    return isinstance(value, str) and value.strip().lstrip("-").isdigit()
