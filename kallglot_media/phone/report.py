"""What a phone tells about its call, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kallglot_media.phone.performer import Missed, Played


@dataclass(slots=True)
class RtpReport:
    """Sound on the wire. withheld_packets: of the sent ones, lost on purpose; refused: datagrams that were no RTP of
    this call, by reason.
    """

    sent_packets: int = 0
    received_packets: int = 0
    lost_packets: int = 0
    jitter_ms: float = 0.0
    withheld_packets: int = 0
    refused: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class PhoneReport:
    """One call. Positions in samples count from the moment the call was answered, at `rate_hz`.

    result                   "answered", or why not: "refused", "not answered", "not called", "unacceptable"
    statuses                 the SIP statuses of the INVITE, received or sent, in order
    ended_by                 "local", "remote", "timeout" or "error"
    clock_start_monotonic_s  the machine's monotonic clock at sample 0, to compare phones with
    first_audio_ms           when the first packet came, after the answer
    first_speech_ms          when the first speech was heard
    heard_keys               DTMF that the other side sent
    text                     what the screen showed at the end; text_packets: by what became of them
    missed                   waits of the script that ran out, and steps that the end of the call cut off
    """

    uri: str
    result: str = "not answered"
    statuses: list[int] = field(default_factory=list)
    reason: str = ""
    ended_by: str = ""
    codec: str = ""
    rate_hz: int = 8000
    seconds: float = 0.0
    clock_start_monotonic_s: float = 0.0
    first_audio_ms: float | None = None
    first_speech_ms: float | None = None
    rtp: RtpReport = field(default_factory=RtpReport)
    played: list[Played] = field(default_factory=list)
    missed: list[Missed] = field(default_factory=list)
    heard_keys: str = ""
    text: str = ""
    text_packets: dict[str, int] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        """The call was answered and the script was carried out."""
        return self.result == "answered" and not self.missed

    def to_json(self) -> dict[str, Any]:
        """Plain values; what was played also in ms."""
        values = asdict(self)
        for played in values["played"]:
            played["start_ms"] = played["start_sample"] * 1000 / self.rate_hz
            played["end_ms"] = played["end_sample"] * 1000 / self.rate_hz
        return values

    def write(self, path: Path) -> None:
        """As indented JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n", "utf-8")
