"""What of the media plane can be set, in one place; config quotes these defaults."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field

from kallglot_media.rtp.jitter import JitterRules


@dataclass(frozen=True, slots=True)
class MediaSettings:
    """
    first_port, last_port  RTP takes an even port of this range and RTCP the odd one above it
    jitter                 how much sound each leg keeps in reserve against uneven arrival
    rtp_timeout_s          no RTP for this long is reported once (RtpLost)
    allow_latch            follow a leg's RTP to another address than its SDP named: for phones
                           behind NAT. Another port of the same address is always followed
    latch_s                how long after SetRemote an address may be learnt this way
    dscp                   mark of outgoing RTP: 46 is Expedited Forwarding, RFC 3246
    raise_priority         run above other processes (SCHED_RR, else nice −15) when the system allows
    own_voice_guard        what a leg was told and what comes back of it as an echo is not taken for speech
    suppress_silence       G.711 legs that have nothing to hear get a packet every five seconds only
    comfort_noise_dbov     with suppress_silence: peers that take comfort noise (RFC 3389) are to make it this loud;
                           None: nothing is said, and silence is truly silent
    recorder_sync_s        each recording is synced so often against power loss, while the disk keeps up; 0: with each
                           half second, None: at its end. A killed process loses nothing by it: what was written is
                           the system's. Once a second costs a tenth of what the whole plane does
    seal_recordings        encrypt them with the key of the environment (media.sealed)
    recorder_line_mb       sound that may wait for a slow disk before it is left out
    """

    first_port: int = 20_000
    last_port: int = 29_999
    jitter: JitterRules = field(default_factory=JitterRules)
    rtp_timeout_s: float = 30.0
    allow_latch: bool = True
    latch_s: float = 5.0
    dscp: int = 46
    raise_priority: bool = True
    own_voice_guard: bool = True
    suppress_silence: bool = False
    comfort_noise_dbov: int | None = None
    recorder_sync_s: float | None = 5.0
    seal_recordings: bool = False
    recorder_line_mb: int = 64

    def __post_init__(self) -> None:
        if not 1 <= self.first_port <= self.last_port <= 65_535:
            raise ValueError(f"media.ports: want 1 <= first <= last <= 65535, got {self.first_port}–{self.last_port}")
        if self.comfort_noise_dbov is not None and not -127 <= self.comfort_noise_dbov <= 0:
            raise ValueError(f"media.comfort_noise_dbov: is {self.comfort_noise_dbov}, write -127 to 0")
        if self.rtp_timeout_s < 1.0:
            raise ValueError(f"media.rtp_timeout_s: is {self.rtp_timeout_s}, write at least 1")
        if not 0 <= self.dscp <= 63:
            raise ValueError(f"media.dscp: is {self.dscp}, write 0 to 63")

    def to_json(self) -> str:
        """For the media process's command line."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> MediaSettings:
        """The settings that `to_json` wrote. Raises ValueError, TypeError or KeyError for anything else."""
        values = json.loads(text)
        return cls(**{**values, "jitter": JitterRules(**values["jitter"])})
