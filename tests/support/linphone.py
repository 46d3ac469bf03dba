"""linphonec 5.1 as a headless phone: an offer unlike baresip's, and an adaptive jitter buffer.

It offers `RTP/AVP 0 8 96 97 18 98 101`-like lists with telephone-event at three clock rates and
rtcp-xr lines. With `use_ipv6=0` alone it signals over IPv4 and offers `c=IN IP6 fd00::2`;
the bind addresses below and the command `ipv6 disable` cure that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from tests.support.processes import HOST, Child, free_port, free_ports, need
from tests.support.waves import Pcm16, read_mono, write_wav

_CONFIG = """\
[sip]
sip_port={sip_port}
sip_tcp_port={sip_port}
sip_tls_port=-1
default_proxy=-1
use_ipv6=0
register_only_when_network_is_up=0
guess_hostname=0
contact=sip:{user}@{host}
bind_address={host}
media_encryption=none
use_rfc2833=1
[net]
firewall_policy=none
[rtp]
bind_address={host}
audio_rtp_port={rtp_port}
[sound]
echocancellation=0
agc=0
[misc]
log_collection=0
prefer_basic_chat_room=1
[video]
enabled=0
capture=0
display=0
"""

_CODECS = (("opus", 48000, 2), ("PCMU", 8000, 1), ("PCMA", 8000, 1), ("G722", 8000, 1), ("GSM", 8000, 1))
_MORE_CODECS = (("speex", 16000, 1), ("speex", 8000, 1), ("speex", 32000, 1), ("BV16", 8000, 1), ("L16", 44100, 2))


class Linphone:
    """One running linphonec that says `microphone` and keeps what it hears.

    codec  the only one that it offers; it adds those that its file does not name, so that all must be named
    """

    def __init__(
        self, folder: Path, user: str, *, microphone: Pcm16, codec: str = "PCMU", auto_answer: bool = False
    ) -> None:
        program = need("linphonec", "linphone-cli")
        self.user, self.sip_port = user, free_port()
        for name in (".config", ".local/share/linphone"):
            (folder / name).mkdir(parents=True)
        config = folder / "linphonerc"
        codecs = "".join(
            f"[audio_codec_{number}]\nmime={name}\nrate={rate_hz}\nchannels={channels}\nenabled={int(name == codec)}\n"
            for number, (name, rate_hz, channels) in enumerate((*_CODECS, *_MORE_CODECS))
        )
        text = _CONFIG.format(host=HOST, user=user, sip_port=self.sip_port, rtp_port=free_ports(100)[0])
        config.write_text(text + codecs)
        self._ear = folder / "ear.wav"
        home = {
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / ".config"),
            "XDG_DATA_HOME": str(folder / ".local/share"),
        }
        answer = ["-a"] if auto_answer else []
        self.child = Child([program, "-c", str(config), *answer, "-d", "0"], folder / "log", env=home, typed=True)
        self.enter("ipv6 disable")
        self.enter("soundcard use files")
        self.enter(f"play {write_wav(folder / 'microphone.wav', microphone)}")
        self.enter(f"record {self._ear}")

    @property
    def uri(self) -> str:
        """Where to call it."""
        return f"sip:{self.user}@{HOST}:{self.sip_port}"

    def enter(self, command: str) -> None:
        """One of its commands: "call URI", "terminate", a digit for DTMF…"""
        self.child.enter(command)

    def dial(self, uri: str, *, timeout_s: float = 10.0) -> None:
        """Call, and wait until it is answered."""
        self.enter(f"call {uri}")
        self.child.wait_log("connected", timeout_s)

    def hang_up(self) -> None:
        """End the call, and wait until it is over: its file is complete then."""
        self.enter("terminate")
        self.child.wait_log("ended", 5.0)

    def heard(self) -> Pcm16:
        """What it heard. Ask after the phone has stopped."""
        return read_mono(self._ear)

    def stop(self) -> None:
        """End the phone."""
        if self.child.alive():
            self.enter("quit")
        self.child.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
