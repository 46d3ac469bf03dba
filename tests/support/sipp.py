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
    remote     "127.0.0.1:5060"; for a UAS anything, it is not used
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
        program = need("sipp", "sip-tester")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port, self.media_port = folder, port or free_port(), free_port()
        self._stem = f"{scenario}-{self.port}"
        path = folder / f"{self._stem}.xml"
        path.write_text(_filled((SCENARIOS / f"{scenario}.xml").read_text(), fill))
        command = [program, remote, "-sf", str(path), "-s", service, "-i", host, "-p", str(self.port), "-mi", host]
        command += ["-mp", str(self.media_port), "-m", str(calls), "-r", str(rate), "-l", str(at_once)]
        command += ["-d", str(hold_ms), "-t", transport, "-nostdin", "-timeout", str(timeout_s), "-timeout_error"]
        command += ["-trace_stat", "-fd", "1", "-stf", str(self._file("csv"))]
        command += ["-trace_err", "-error_file", str(self._file("err"))]
        command += ["-trace_msg", "-message_file", str(self._file("msg"))] if trace else []
        command += [*(["-lost", str(lost)] if lost else []), *extra]
        self.child = Child([part for part in command if part], self._file("out"), cwd=folder)
        self._timeout_s = timeout_s
        try:
            until("sipp listens", self._listening, 10.0)
        except Late as late:
            self.child.stop()
            raise Late(f"{late}\n{self.child.log[-2000:]}") from None

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
        """Bound, or already over: a refused first message can end a UAC at once."""
        return not self.child.alive() or bound(self.port)

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
