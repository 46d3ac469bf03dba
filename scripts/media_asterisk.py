"""Asterisk beside the media plane in the same bench: a Dial bridge, with and without MixMonitor, and transcoding.

It is Debian's package in the folder that `scripts/interop_asterisk.sh` makes. SIPp sets the calls up, both of their
ends; the sound is that of `rtp_load`, as for everybody else. MixMonitor writes both directions as the two channels of
one raw file, which is the least that it can do with a recording of two tracks.
"""

from __future__ import annotations

import asyncio
import functools
import os
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from media_load import HOST, PAYLOAD_TYPES, WARM_UP_S, Load, Packets, Result, above, used

from tests.support.asterisk import MAIN, ROOT
from tests.support.processes import bound, free_port

SCENARIOS = Path(__file__).resolve().parent / "sipp"
CALLS_A_SECOND = 40
_START_S, _SETTLE_S = 90.0, 60.0  # a busy machine takes its time
_RTP_PORTS = (30_000, 39_999)

_FILES = {
    "asterisk.conf": MAIN,
    "pjsip.conf": """\
[global]
type=global
endpoint_identifier_order=ip,anonymous
[udp]
type=transport
protocol=udp
bind={host}:{port}
[phone](!)
type=endpoint
context=load
disallow=all
direct_media=no
rtp_symmetric=yes
media_address={host}
bind_rtp_to_media_address=yes
[anonymous](phone)
allow=ulaw
[answers](phone)
allow={codec}
aors=answers
[answers]
type=aor
contact=sip:load@{host}:{answering}
""",
    "extensions.conf": """\
[load]
exten => bridge,1,Dial(PJSIP/answers,30)
exten => record,1,MixMonitor({folder}/${{UNIQUEID}}.raw,D)
 same => n,Dial(PJSIP/answers,30)
""",
    "rtp.conf": "[general]\nrtpstart={first}\nrtpend={last}\nstrictrtp=yes\n",
    "logger.conf": "[logfiles]\nconsole => error\n",
    "modules.conf": "[modules]\nautoload=yes\nnoload => res_hep.so\nnoload => res_hep_pjsip.so\n",
}


def asterisk_is_missing() -> str | None:
    """What would have to be done to have it; None when it is there."""
    if not (ROOT / "usr/sbin/asterisk").exists():
        return "scripts/interop_asterisk.sh"
    if os.geteuid() != 0:
        return "needs root"
    return None if shutil.which("sipp") else "scripts/install_peers.sh"


async def asterisk(
    what: str, extension: str, codec: str, program: Path, legs: int, seconds: float, packets: Packets
) -> Result:
    """legs / 2 calls to `extension`, whose answering side speaks `codec`."""
    with tempfile.TemporaryDirectory(prefix="bench-asterisk-") as name:
        folder, answering = Path(name), free_port()
        files = [packets["PCMU", False], packets[codec, False]]
        async with (
            _running(folder, codec, answering) as (child, port),
            Load(program, legs, seconds + 2 * WARM_UP_S, files) as load,
        ):
            ports = await load.ports()
            async with _calls(folder, f"{HOST}:{port}", extension, codec, answering, ports) as to:
                load.speak(to)
                await asyncio.sleep(WARM_UP_S)
                used_s, period_s = await used(lambda: [child.pid], seconds)
                return Result(what, legs, period_s, used_s, await load.told())


@asynccontextmanager
async def _running(folder: Path, codec: str, answering: int) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """An Asterisk of its own, and its SIP port."""
    port = free_port()
    values = {
        "folder": folder, "host": HOST, "port": port, "answering": answering, "first": _RTP_PORTS[0],
        "last": _RTP_PORTS[1], "codec": {"PCMU": "ulaw", "G722": "g722"}[codec],
    }  # fmt: skip
    for file, text in _FILES.items():
        (folder / file).write_text(text.format(**values))
    child = await asyncio.create_subprocess_exec(
        *above(), "chroot", str(ROOT), "/usr/sbin/asterisk", "-C", str(folder / "asterisk.conf"), "-f", "-n",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await _until(lambda: bound(port), _START_S, "Asterisk does not listen")
        await asyncio.sleep(2.0)  # modules that are loaded after the SIP port is open
        yield child, port
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


@asynccontextmanager
async def _calls(
    folder: Path, server: str, extension: str, codec: str, answering: int, ports: list[int]
) -> AsyncIterator[list[int]]:
    """Calls that are up: where each of the load's ports is to send to."""
    scenario = (SCENARIOS / "load_uas.xml").read_text()
    for mark, value in {"@TYPE@": str(PAYLOAD_TYPES[codec]), "@CODEC@": codec}.items():
        scenario = scenario.replace(mark, value)
    (folder / "load_uas.xml").write_text(scenario)
    shutil.copy(SCENARIOS / "load_uac.xml", folder)
    count = len(ports) // 2
    sides = {"load_uas": (ports[1::2], answering, []), "load_uac": (ports[::2], free_port(), [server])}
    children = []
    try:
        for side, (own, port, to) in sides.items():
            (folder / f"{side}.csv").write_text("SEQUENTIAL\n" + "".join(f"{it};\n" for it in own))
            more = ["-s", extension, "-r", str(CALLS_A_SECOND), "-d", "3600000"] if to else ["-d", "3600000"]
            children.append(
                await asyncio.create_subprocess_exec(
                    "sipp", *to, "-sf", f"{side}.xml", "-inf", f"{side}.csv", "-i", HOST, "-mi", HOST, "-p", str(port),
                    "-mp", str(free_port(and_at=(2,))), "-m", str(count), "-l", str(count + 1), "-nostdin",
                    "-trace_logs", "-log_file", f"{side}.log", *more, cwd=folder,
                    stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
                )
            )  # fmt: skip
            await _until(functools.partial(bound, port), 10.0, "SIPp does not listen")
        found: dict[int, int] = {}

        def all_up() -> bool:
            found.update(_sound_ports(folder))
            return len(found) == len(ports)

        await _until(all_up, count / CALLS_A_SECOND + _SETTLE_S, "calls are missing")
        yield [found[port] for port in ports]
    finally:
        for child in children:
            if child.returncode is None:
                child.kill()
            await child.wait()


def _sound_ports(folder: Path) -> dict[int, int]:
    """Port of the load → port of Asterisk, as the scenarios logged them."""
    logs = [path.read_text() for path in folder.glob("load_*.log")]
    return {int(own): int(other) for log in logs for own, other in re.findall(r"SOUND (\d+) (\d+)", log)}


async def _until(ready: Callable[[], bool], timeout_s: float, complaint: str) -> None:
    deadline_s = asyncio.get_running_loop().time() + timeout_s
    while not ready():
        if asyncio.get_running_loop().time() > deadline_s:
            raise OSError(f"{complaint} after {timeout_s:.0f} s")
        await asyncio.sleep(0.1)
