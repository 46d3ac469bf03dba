"""baresip 1.0.0 as a headless phone: microphone = a WAV file, ear = a WAV file, hands = its ctrl_tcp port.

What costs time to find out, so that it is found out once:
- `net_interface lo` fails, `net_interface 127.0.0.1` works; a `sip_certificate` line without its file stops it;
- the microphone must be S16 mono at the codec's rate, and where it ends baresip stops sending RTP;
- the ear is the `sndfile` filter (`dump-…-dec.wav`), which needs some audio player to exist; it holds received
  packets only, so loss shortens it, and any re-INVITE ends it.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from tests.support.certificates import Pair
from tests.support.processes import HOST, Child, Late, free_port, free_ports, need, until
from tests.support.waves import RATE_HZ, Pcm16, read_mono, silence, to_rate, write_wav

Event = Mapping[str, Any]

_CONFIG = """\
poll_method epoll
sip_listen {host}:{sip_port}
call_local_timeout 120
call_max_calls 20
audio_source aufile,{microphone}
audio_player aubridge,ear{sip_port}
audio_alert aubridge,alert{sip_port}
ausrc_format s16
auplay_format s16
auenc_format s16
audec_format s16
audio_level no
audio_buffer 20-160
rtp_ports {rtp_port}-{rtp_port_end}
rtcp_mux no
jitter_buffer_delay 2-10
rtp_stats yes
net_interface {host}
module_path {modules}
module g711.so
{more}module aufile.so
module aubridge.so
module sndfile.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
module_app debug_cmd.so
module_app ctrl_tcp.so
ctrl_tcp_listen {host}:{control_port}
snd_path {ear}
ringback_disabled yes
menu_bell no
statmode_default off
"""


def _more(codecs: str, mediaenc: str, rate_hz: int, tls: tuple[Pair, Path] | None) -> list[str]:
    """Lines that only some phones need."""
    wanted = {"opus.so": "opus/" in codecs, "g722.so": "G722/" in codecs}
    wanted |= {"srtp.so": bool(mediaenc), "dtls_srtp.so": mediaenc == "dtls_srtp"}
    lines = [f"module {name}\n" for name, is_wanted in wanted.items() if is_wanted]
    if rate_hz != RATE_HZ:
        lines += [f"{what}_srate {rate_hz}\n{what}_channels 1\n" for what in ("ausrc", "auplay")]
    if tls is not None:
        lines += [f"sip_certificate {tls[0].both}\n", f"sip_cafile {tls[1]}\n"]
    return lines


_MODULES = ("/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules")


@dataclass(frozen=True, slots=True)
class Heard:
    """What the phone heard, from its first to its last received packet: int16 mono at 8 kHz."""

    pcm: Pcm16
    path: Path


class Baresip:
    """One running phone.

    answer     "auto" answers at once; "manual" rings until `command("accept")`
    codecs     in order of preference, as baresip writes them
    microphone what it says, at 8 kHz; baresip stops sending where it ends
    port       where it takes calls, when that had to be known before; else a free one
    account    more of baresip's account line, e.g. ";auth_user=bob;auth_pass=secret;regint=60"
    registrar  host:port of the address it has there; empty: its own address, without logging on anywhere
    mediaenc   "srtp-mand" (keys in SDP or no call) or "dtls_srtp"; empty: plain RTP
    rate_hz    of its sound card: 16000 for G722/16000/1, 48000 for opus/48000/2, which bring modules of their own
    tls        its certificate, and the CAs that it believes: wanted by transport="tls" and by dtls_srtp
    """

    def __init__(
        self,
        folder: Path,
        user: str,
        *,
        microphone: Pcm16 | None = None,
        codecs: str = "PCMU/8000/1,PCMA/8000/1",
        transport: Literal["udp", "tcp", "tls"] = "udp",
        answer: Literal["auto", "manual"] = "auto",
        account: str = "",
        port: int | None = None,
        registrar: str = "",
        mediaenc: str = "",
        rate_hz: int = RATE_HZ,
        tls: tuple[Pair, Path] | None = None,
    ) -> None:
        program = need("baresip", "baresip-core")
        self.user, self.transport, self.folder = user, transport, folder
        self.sip_port, self.control_port, rtp_ports = port or free_port(), free_port(), free_ports(101)
        self.ear = folder / "ear"
        self.ear.mkdir(parents=True)
        said = silence(120.0) if microphone is None else microphone
        wav = write_wav(folder / "microphone.wav", to_rate(said, RATE_HZ, rate_hz), rate_hz)
        modules = next((path for path in _MODULES if Path(path).is_dir()), _MODULES[0])
        (folder / "config").write_text(
            _CONFIG.format(
                host=HOST,
                sip_port=self.sip_port,
                control_port=self.control_port,
                rtp_port=rtp_ports[0],
                rtp_port_end=rtp_ports[-1],
                microphone=wav,
                ear=self.ear,
                modules=modules,
                more="".join(_more(codecs, mediaenc, rate_hz, tls)),
            )
        )
        (folder / "contacts").write_text("")
        (folder / "accounts").write_text(
            f"<sip:{user}@{registrar or f'{HOST}:{self.sip_port}'};transport={transport}>"
            f"{'' if registrar else ';regint=0'};answermode={answer};ptime=20;audio_codecs={codecs}"
            f"{f';mediaenc={mediaenc}' if mediaenc else ''}{account}\n"
        )
        self.child = Child([program, "-f", str(folder.resolve()), "-v", "-s"], folder / "baresip.log")
        try:
            self._control = self._connect()
        except BaseException:
            self.child.stop()
            raise
        self._buffer = b""
        self.events: list[Event] = []

    @property
    def uri(self) -> str:
        """Where to call it."""
        return f"sip:{self.user}@{HOST}:{self.sip_port}" + (
            "" if self.transport == "udp" else f";transport={self.transport}"
        )

    # ── hands ────────────────────────────────────────────────────────────────────

    def command(self, name: str, params: str = "", *, timeout_s: float = 5.0) -> str:
        """Run one of baresip's long commands ("dial", "hold", "sndcode"…); what it printed. Fails when refused."""
        body = json.dumps({"command": name, "params": params, "token": "t"}).encode()
        self._control.sendall(b"%d:%s," % (len(body), body))
        deadline_s = time.monotonic() + timeout_s
        while (message := self._next(deadline_s)) is not None:
            if message.get("response"):
                assert message.get("ok"), f"baresip refused {name} {params}: {message}"
                return str(message.get("data", ""))
            self.events.append(message)
        raise self._late(f"an answer to {name}", timeout_s)

    def dial(self, uri: str) -> None:
        """Start a call and forget the events of the ones before; follow it with `wait_for`."""
        self.forget()
        self.command("dial", uri)

    def forget(self) -> None:
        """Drop the events seen so far: what follows is of the next call."""
        self.command("listcalls")
        self.events.clear()

    def hang_up(self) -> None:
        """End the call."""
        self.command("hangup")

    def wait_for(self, kind: str, timeout_s: float = 10.0, *, already: bool = True) -> Event:
        """The first event of this type ("CALL_RINGING", "CALL_ESTABLISHED", "CALL_CLOSED"…).

        already  also events seen before this call count, and are used up
        """
        if already:
            for event in self.events:
                if event.get("type") == kind:
                    self.events.remove(event)
                    return event
        deadline_s = time.monotonic() + timeout_s
        while (message := self._next(deadline_s)) is not None:
            if message.get("type") == kind:
                return message
            self.events.append(message)
        raise self._late(f"event {kind}", timeout_s)

    def wait_closed(self, timeout_s: float = 10.0) -> str:
        """Why the call ended, in baresip's words: the final response's "486 Busy Here", or "" after a BYE."""
        return str(self.wait_for("CALL_CLOSED", timeout_s).get("param", ""))

    # ── ears ─────────────────────────────────────────────────────────────────────

    def heard(self, call: int = -1, *, timeout_s: float = 5.0) -> Heard:
        """What it heard in one of its calls (the last). Ask after the call: the file is complete then."""
        until(f"{self.user} heard something", lambda: self._ears(), timeout_s)
        path = self._ears()[call]
        return Heard(read_mono(path), path)

    def said(self, call: int = -1) -> Pcm16:
        """What it sent in one of its calls (the last)."""
        return read_mono(sorted(self.ear.glob("dump-*-enc.wav"))[call])

    def _ears(self) -> list[Path]:
        return [path for path in sorted(self.ear.glob("dump-*-dec.wav")) if path.stat().st_size > 44]

    @property
    def trace(self) -> str:
        """Its log with every SIP message."""
        return self.child.log

    # ── plumbing ─────────────────────────────────────────────────────────────────

    def _connect(self) -> socket.socket:
        made: list[socket.socket] = []

        def attempt() -> bool:
            if not self.child.alive():
                raise Late(f"baresip ended while starting:\n{self.child.log[-3000:]}")
            try:
                made.append(socket.create_connection((HOST, self.control_port), 1.0))
            except OSError:
                return False
            return True

        until(f"baresip of {self.user} listens", attempt, 10.0)
        return made[0]

    def _next(self, deadline_s: float) -> dict[str, Any] | None:
        """One netstring-framed JSON message, or None at the deadline."""
        while True:
            length, colon, rest = self._buffer.partition(b":")
            if colon and len(rest) > int(length):
                self._buffer = rest[int(length) + 1 :]
                message: dict[str, Any] = json.loads(rest[: int(length)])
                return message
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return None
            self._control.settimeout(left_s)
            try:
                data = self._control.recv(65536)
            except TimeoutError:
                return None
            if not data:
                raise Late(f"baresip of {self.user} closed its control port:\n{self.child.log[-3000:]}")
            self._buffer += data

    def _late(self, what: str, timeout_s: float) -> Late:
        seen = [event.get("type") for event in self.events]
        return Late(f"{self.user}: no {what} within {timeout_s} s; saw {seen}\n{self.child.log[-4000:]}")

    def stop(self) -> None:
        """End the phone; calls that are still up get a BYE."""
        self._control.close()
        self.child.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
