"""What control and a media process say to each other, over a Unix socket as msgpack.

The same values pass when a test drives `MediaPlane` by hand, without a process.
Every `*_sample` is a position on the session's clock: samples at `rate_hz` since
the session's first tick. The recording starts at sample 0 of that clock, so a
position is also a place in the WAV files.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kallglot_media.audio.segment import SegmentRules
from kallglot_media.media.keys import DtlsPeer as DtlsPeer
from kallglot_media.media.keys import SrtpKeys as SrtpKeys
from kallglot_media.modes.plan import Party, Plan
from kallglot_media.rtp.realtime_text import BACKSPACE as BACKSPACE
from kallglot_media.rtp.realtime_text import LINE_SEPARATOR as LINE_SEPARATOR

# ── control → media ──────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Start a session's clock; with `folder`, its recording too.

    folder  absolute path of an existing folder for customer.wav and agent.wav, or None
    """

    session_id: str
    folder: str | None = None
    rate_hz: int = 8000


@dataclass(frozen=True, slots=True)
class OpenLeg:
    """Give a leg an RTP port. Answered by `LegOpened` or `LegRefused`.

    host  the local address to bind
    text  with another one for real-time text, if there is one left
    """

    session_id: str
    leg_id: str
    party: Party
    host: str
    text: bool = False


@dataclass(frozen=True, slots=True)
class OpenStreamLeg:
    """A leg without a port: its sound comes as StreamAudioIn and goes as StreamAudioOut."""

    session_id: str
    leg_id: str
    party: Party


@dataclass(frozen=True, slots=True)
class StreamAudioIn:
    """What the party of a stream leg says. sound: µ-law at 8 kHz, any length."""

    leg_id: str
    sound: bytes


@dataclass(frozen=True, slots=True)
class SetRemote:
    """Where the leg's RTP goes and how it is coded, after offer and answer.

    codec              "opus", "G722", "PCMU" or "PCMA"
    send_payload_type  what the peer wants to receive; dtmf_* None when not agreed
    ptime_ms           how long the packets are that the peer wishes to receive
    send, receive      False while the direction is held (RFC 3264 section 8.4)
    dtmf_clock_hz      of the agreed telephone-event
    keys, dtls         how RTP is encrypted; neither: it is not
    rtcp_mux           RTCP goes to the RTP port (RFC 5761)
    rtcp_port          where the peer wants RTCP when that is not the port above RTP's
    comfort_noise      the peer makes noise of RFC 3389 packets while we suppress silence
    """

    leg_id: str
    host: str
    port: int
    codec: str
    send_payload_type: int
    receive_payload_type: int
    dtmf_send_payload_type: int | None = None
    dtmf_receive_payload_type: int | None = None
    ptime_ms: int = 20
    send: bool = True
    receive: bool = True
    dtmf_clock_hz: int = 8000
    keys: SrtpKeys | None = None
    dtls: DtlsPeer | None = None
    rtcp_mux: bool = False
    rtcp_port: int | None = None
    comfort_noise: bool = False


@dataclass(frozen=True, slots=True)
class SetText:
    """Where a leg's real-time text goes and under which numbers (RFC 4103), after offer and answer.

    port   0: the peer has no text line
    *_red_payload_type  None: without redundancy
    cps    characters a second that the peer takes, on average
    send   False while the direction is held
    """

    leg_id: str
    host: str = ""
    port: int = 0
    send_text_payload_type: int = 98
    send_red_payload_type: int | None = None
    receive_text_payload_type: int = 98
    receive_red_payload_type: int | None = None
    generations: int = 2
    cps: int = 30
    send: bool = True
    keys: SrtpKeys | None = None


@dataclass(frozen=True, slots=True)
class SendText:
    """Characters for the peer's screen, as T.140 has them: backspaces and line separators included."""

    leg_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Gains:
    """Levels of the mix, in dB relative to the talker's own voice.

    original_level_db  the original voice while made speech plays over it; None: not heard
    original_idle_db   the original voice while no made speech plays; None: not heard
    attack_ms          how fast the original is turned down when made speech starts
    release_ms         how fast it comes back
    """

    original_level_db: float | None = -18.0
    original_idle_db: float | None = -18.0
    attack_ms: int = 20
    release_ms: int = 300


@dataclass(frozen=True, slots=True)
class SetPlan:
    """Who hears whom from the next tick on.

    through  talkers whose original voice is let through at 0 dB for now, because their
             words cannot be made over (an engine failed, or both speak the same language)
    """

    session_id: str
    plan: Plan
    gains: Gains = field(default_factory=Gains)
    through: tuple[Party, ...] = ()


@dataclass(frozen=True, slots=True)
class Listen:
    """Cut this leg's voice into utterances (rules), or stop doing so (None)."""

    leg_id: str
    rules: SegmentRules | None


@dataclass(frozen=True, slots=True)
class Play:
    """Queue made speech for a listener; it starts on the next tick after what is queued.

    pcm      int16 little-endian mono at `rate_hz`; the plane's own rate saves a resampling
    play_id  comes back in PlayoutStarted and PlayoutFinished
    """

    leg_id: str
    play_id: str
    pcm: bytes
    rate_hz: int


@dataclass(frozen=True, slots=True)
class PlayTone:
    """Loop a call-progress tone ("ringback", "busy", "congestion") until StopTone or Play."""

    leg_id: str
    tone: str


@dataclass(frozen=True, slots=True)
class PlayLoop:
    """Like PlayTone, with sound of one's own: music for who is held. pcm: int16 little-endian mono at `rate_hz`."""

    leg_id: str
    pcm: bytes
    rate_hz: int


@dataclass(frozen=True, slots=True)
class StopTone:
    leg_id: str


@dataclass(frozen=True, slots=True)
class SendDtmf:
    """Press keys on the peer's side: RFC 4733 events in place of sound, one after another from the next tick on.

    Counted as `dtmf_not_agreed` and left out when the peer agreed to no events.
    """

    leg_id: str
    digits: str
    duration_ms: int = 160


@dataclass(frozen=True, slots=True)
class Clear:
    """Throw away what the leg has not yet heard (barge-in), within one tick."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class CloseLeg:
    """Free the leg's port. An utterance under way is flushed first; LegClosed follows."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class CloseSession:
    """Close what legs are left and finish the recording; SessionClosed follows."""

    session_id: str


ToMedia = (
    OpenSession
    | OpenLeg
    | OpenStreamLeg
    | StreamAudioIn
    | SetRemote
    | SetText
    | SendText
    | SetPlan
    | Listen
    | Play
    | PlayTone
    | PlayLoop
    | StopTone
    | SendDtmf
    | Clear
    | CloseLeg
    | CloseSession
)

# ── media → control ──────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class LegOpened:
    """fingerprint: of the certificate for DTLS-SRTP, as SDP has it; empty when there is none. text_port: 0: none."""

    leg_id: str
    host: str
    port: int
    fingerprint: str = ""
    text_port: int = 0


@dataclass(frozen=True, slots=True)
class TextShown:
    """All real-time text so far has gone to the peer, with its redundancy. count: of the SendText that came."""

    leg_id: str
    count: int


@dataclass(frozen=True, slots=True)
class LegRefused:
    """No port, or an unknown session: `why` names the place and the mend."""

    leg_id: str
    why: str


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    leg_id: str
    at_sample: int


@dataclass(frozen=True, slots=True)
class SpeechDropped:
    """What SpeechStarted announced was only a click: no utterance comes of it."""

    leg_id: str
    at_sample: int


@dataclass(frozen=True, slots=True)
class SpeechGrew:
    """What somebody has said since the last of these, while they still speak (SegmentRules.partial_ms).

    pcm                int16 little-endian mono at rate_hz; the first one of an utterance has its lead-in
    first_sample       position of pcm[0]; where it is not the end of the one before, an utterance begins
    speech_end_sample  end of the last speech frame so far
    paused             the talker has just been silent for SegmentRules.pause_ms
    """

    leg_id: str
    pcm: bytes
    rate_hz: int
    first_sample: int
    speech_end_sample: int
    paused: bool


@dataclass(frozen=True, slots=True)
class Utterance:
    """Somebody said something.

    pcm                 int16 little-endian mono at rate_hz, lead-in and tail included
    first_sample        position of pcm[0] on the session's clock
    speech_end_sample   end of the last speech frame: where the talker stopped
    ended_by            "silence", "longest" or "close"
    """

    leg_id: str
    pcm: bytes
    rate_hz: int
    first_sample: int
    speech_end_sample: int
    ended_by: str


@dataclass(frozen=True, slots=True)
class StreamAudioOut:
    """What the party of a stream leg is to hear: up to 100 ms of µ-law at 8 kHz. Silence is not sent."""

    leg_id: str
    first_sample: int
    sound: bytes


@dataclass(frozen=True, slots=True)
class StreamCleared:
    """A stream leg was cleared: all StreamAudioOut of before is to be thrown away, none of it follows."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class PlayoutStarted:
    """The first sample of `play_id` went on the wire."""

    leg_id: str
    play_id: str
    at_sample: int


@dataclass(frozen=True, slots=True)
class PlayoutFinished:
    """`play_id` was heard to its end, or cleared after `played_samples` of `total_samples`."""

    leg_id: str
    play_id: str
    at_sample: int
    played_samples: int
    total_samples: int


@dataclass(frozen=True, slots=True)
class Dtmf:
    """A key was pressed. Reported once per press, when it ends. RFC 4733."""

    leg_id: str
    digit: str
    duration_ms: int
    at_sample: int


@dataclass(frozen=True, slots=True)
class RtpLost:
    """No RTP for `silent_ms`; said once until RTP comes back."""

    leg_id: str
    silent_ms: int


@dataclass(frozen=True, slots=True)
class LegStats:
    """Counters of one leg by name, and gauges: see docs/media.md for each. mos: None while nothing can be said."""

    leg_id: str
    counters: dict[str, int]
    jitter_ms: float
    loss_ratio: float
    mos: float | None = None
    peer_mos: float | None = None
    lost: tuple[int, ...] = ()  # since the last one: first sample, samples, first sample, … of what was made up


@dataclass(frozen=True, slots=True)
class LegClosed:
    leg_id: str
    stats: LegStats


@dataclass(frozen=True, slots=True)
class RecordingGap:
    """The disk refused to take sound; silence stands in the file for these samples."""

    session_id: str
    first_sample: int
    samples: int
    why: str


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """path: absolute; samples: per channel; sha256: of the whole file."""

    path: str
    party: Party
    samples: int
    rate_hz: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SessionClosed:
    session_id: str
    samples: int
    files: tuple[RecordedFile, ...] = ()


@dataclass(frozen=True, slots=True)
class PlaneStats:
    """How the tick keeps time, every few seconds.

    late_ticks    by kind: "over_1ms", "over_5ms", "over_20ms"
    skipped       frames given up because the process was more than 5 frames late
    lateness_*_ms    over the last period
    """

    legs: int
    sessions: int
    ticks: int
    skipped: int
    late_ticks: dict[str, int]
    lateness_p99_ms: float
    cpu_s: float
    lateness_max_ms: float = 0.0


FromMedia = (
    LegOpened
    | LegRefused
    | TextShown
    | SpeechStarted
    | SpeechDropped
    | SpeechGrew
    | Utterance
    | StreamAudioOut
    | StreamCleared
    | PlayoutStarted
    | PlayoutFinished
    | Dtmf
    | RtpLost
    | LegStats
    | LegClosed
    | RecordingGap
    | SessionClosed
    | PlaneStats
)
