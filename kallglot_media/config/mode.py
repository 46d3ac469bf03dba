"""configs/modes/*.yaml: how a session behaves. `mode`, `source_language` and `target_language` are the public names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.audio.segment import SegmentRules
from kallglot_media.audio.wav import WavError, read_wav
from kallglot_media.config.account import Account
from kallglot_media.config.announcements import Announcements
from kallglot_media.config.clauses import Clauses
from kallglot_media.config.patterns import covers
from kallglot_media.config.trunks import Pattern
from kallglot_media.config.types import ConfigPath, Language, LevelDb, Settings, SipUri, bad
from kallglot_media.media import messages
from kallglot_media.modes.plan import ASSISTIVE_TRANSLATION, BIDIRECTIONAL_TRANSLATION, Party, Plan
from kallglot_media.modes.policy import TURN_BY_TURN, Interpret, Policy

MODES = ("bidirectional_translation", "assistive_translation", "ai_agent", "help_chat_voice")
PLANS: Mapping[str, Plan] = {
    "bidirectional_translation": BIDIRECTIONAL_TRANSLATION,
    "assistive_translation": ASSISTIVE_TRANSLATION,
}
"""Who hears whom in the modes that translate between two people."""

LONGEST_MUSIC_S = 120

_GAINS = messages.Gains()
_RULES = SegmentRules()


class Target(Settings):
    """Somebody to call."""

    to: Annotated[SipUri | None, Field(examples=["sip:agent@192.0.2.20:5060"])] = None
    """Their SIP address: the host is where the call is sent to, or this server when they log on here."""

    trunk: Annotated[str | None, Field(min_length=1, examples=["carrier"])] = None
    """Instead of `to`: the trunk of sip.trunks that the call goes out over."""

    number: Annotated[
        str | None, Field(min_length=1, max_length=64, examples=["+4930123450"], validate_default=True)
    ] = None
    """The number to call over `trunk`."""

    from_: Annotated[SipUri | None, Field(alias="from", examples=["sip:interpreter@192.0.2.10"])] = None
    """Who the agent's phone shows; left out: the customer's own number."""

    ring_s: Annotated[float | None, Field(ge=1, le=600, examples=[30])] = None
    """How long the agent's phone rings; left out: sip.ring_s."""

    account: Account | None = None
    """When the agent's side asks for a password."""

    @field_validator("number")
    @classmethod
    def _one_way(cls, number: str | None, info: ValidationInfo) -> str | None:
        if not {"to", "trunk"} <= info.data.keys():
            return number
        to, trunk = info.data["to"], info.data["trunk"]
        if to is None and trunk is None:
            raise bad("is missing, and to is missing too", "write to: and a SIP address, or trunk: and number:")
        if to is not None and (trunk is not None or number is not None):
            raise bad("does not go with to", "write either to: and a SIP address, or trunk: and number:")
        if (trunk is None) != (number is None):
            raise bad("goes with trunk" if trunk is None else "is missing", "write both trunk: and number:")
        return number


class Agent(Target):
    """The person who is called when a customer calls in."""

    then: Annotated[tuple[Target, ...], Field(max_length=10, examples=[[{"to": "sip:night@192.0.2.21"}]])] = ()
    """Who is called next, one after the other, when the agent is busy, does not answer, or turns the call down."""


class Transfer(Settings):
    """Whom the agent's side may send the customer to: by transfer (REFER), or by redirecting the call (3xx)."""

    allow: Annotated[tuple[Pattern, ...], Field(examples=[["2??", "+49*", "*@192.0.2.20"]])] = ()
    """Numbers, with `*` for any characters and `?` for one, at the agent's own host or through `trunk`;
    with an @: addresses elsewhere. Nobody, unless listed."""

    trunk: Annotated[str | None, Field(min_length=1, examples=["carrier"])] = None
    """The trunk of sip.trunks that numbers are dialled over; left out: the host that the agent is called at."""

    def allows(self, number: str) -> bool:
        """Whether a number is listed, to be called at the agent's own host or over the trunk."""
        return any(covers(one, tuple(number)) for one in self.allow if "@" not in one)

    def allows_address(self, address: str) -> bool:
        """Whether an address `user@host` is listed."""
        return any(covers(one, tuple(address)) for one in self.allow if "@" in one)


class Gains(Settings):
    """The original voice under the made one, in dB; `off`: not heard."""

    original_level_db: LevelDb = _GAINS.original_level_db
    """While the translation is spoken."""

    original_idle_db: LevelDb = _GAINS.original_idle_db
    """While no translation is spoken."""

    attack_ms: Annotated[int, Field(ge=0, le=5000)] = _GAINS.attack_ms
    """How fast the original is turned down."""

    release_ms: Annotated[int, Field(ge=0, le=10_000)] = _GAINS.release_ms
    """How fast it comes back."""

    def message(self) -> messages.Gains:
        """The same, as the media process takes it."""
        return messages.Gains(self.original_level_db, self.original_idle_db, self.attack_ms, self.release_ms)


class Segment(Settings):
    """When an utterance starts and ends."""

    aggressiveness: Annotated[int, Field(ge=0, le=3)] = _RULES.aggressiveness
    """webrtcvad's mode: 3 calls the least sound speech."""

    start_ms: Annotated[int, Field(ge=20, le=1000)] = _RULES.start_ms
    """This much speech before it is believed."""

    stop_ms: Annotated[int, Field(ge=100, le=5000)] = _RULES.stop_ms
    """This much silence ends the utterance. Less answers sooner and cuts slow speakers."""

    lead_ms: Annotated[int, Field(ge=0, le=2000)] = _RULES.lead_ms
    """Kept from before the start: "p", "t", "k" are quiet."""

    tail_ms: Annotated[int, Field(ge=0, le=2000, validate_default=True)] = _RULES.tail_ms
    """Kept after the last sound."""

    longest_ms: Annotated[int, Field(ge=1000, le=30_000)] = _RULES.longest_ms
    """An utterance is cut here, at the quietest place of its last second."""

    shortest_ms: Annotated[int, Field(ge=0, le=5000, validate_default=True)] = _RULES.shortest_ms
    """Less speech than this is a click."""

    floor_dbfs: Annotated[float, Field(ge=-90, le=0)] = _RULES.floor_dbfs
    """Quieter than this is never speech."""

    @field_validator("tail_ms")
    @classmethod
    def _inside_the_silence(cls, tail_ms: int, info: ValidationInfo) -> int:
        if tail_ms > info.data.get("stop_ms", tail_ms):
            raise bad(f"is {tail_ms}, more than stop_ms {info.data['stop_ms']}", "write tail_ms ≤ stop_ms")
        return tail_ms

    @field_validator("shortest_ms")
    @classmethod
    def _below_the_longest(cls, shortest_ms: int, info: ValidationInfo) -> int:
        if shortest_ms >= info.data.get("longest_ms", shortest_ms + 1):
            raise bad(f"is {shortest_ms}, longest_ms is {info.data['longest_ms']}", "write shortest_ms < longest_ms")
        return shortest_ms

    def message(self) -> SegmentRules:
        """The same, as the media process takes it."""
        return SegmentRules(**self.model_dump())


class Hold(Settings):
    """What one party hears while the other has put the call on hold."""

    pass_on: bool = False
    """true: the other party's phone is put on hold, too, and shows it."""

    music: ConfigPath | None = None
    """A WAV file (16 bit, mono, at most 120 s) that is played again and again; left out: silence."""

    @field_validator("music")
    @classmethod
    def _plays(cls, music: Path | None) -> Path | None:
        if music is not None:
            _read_music(music)
        return music

    def sound(self) -> tuple[Pcm16, int] | None:
        """The music and its rate in Hz; None: silence."""
        return _read_music(self.music) if self.music is not None else None


def _read_music(path: Path) -> tuple[Pcm16, int]:
    """Raises the mistake that a person can mend."""
    mend = "write the path of a WAV file, e.g. one made by sox music.mp3 -r 8000 -c 1 -b 16 -e signed hold.wav"
    try:
        pcm, rate_hz = read_wav(path.read_bytes())
    except (OSError, WavError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise bad(f"is '{path}', which cannot be played: {why}", mend) from None
    if pcm.ndim != 1 or not 0 < len(pcm) <= LONGEST_MUSIC_S * rate_hz:
        length_s = len(pcm) / rate_hz
        shape = "stereo" if pcm.ndim != 1 else "mono"
        raise bad(f"is {length_s:g} s of {shape}, wanted is mono of at most {LONGEST_MUSIC_S} s", mend)
    return pcm, rate_hz


class ModeRecording(Settings):
    """What is kept of this mode's sessions."""

    enabled: bool = True
    """false: neither sound nor transcript is kept, whatever server.yaml says."""

    channels: Literal["dual"] = "dual"
    """customer.wav and agent.wav, left as spoken, right as translated."""


class Subtitles(Settings):
    """Where the agent reads what the customer says, besides the stream."""

    sip_message: bool = False
    """true: each final translation is sent to the agent's phone as a SIP MESSAGE (RFC 3428)."""

    real_time_text: bool = False
    """true: the agent's phone is offered a text line (RFC 4103): words appear while the customer speaks."""

    original: bool = True
    """true: with the original text under each final translation."""


class Mode(Settings):
    """A mode that translates between two people: bidirectional_translation.yaml, assistive_translation.yaml."""

    base: ConfigPath | None = None
    """A file with settings that this one does not say: mappings are merged, everything else here is taken instead."""

    mode: Annotated[Literal["bidirectional_translation", "assistive_translation"], Field(examples=[MODES[0]])]
    """What kind of session this is. `assistive_translation`: the agent hears the customer's own voice and reads the
    translation."""

    source_language: Annotated[Language, Field(examples=["de"])]
    """What the customer speaks and hears."""

    target_language: Annotated[Language, Field(examples=["en"])]
    """What the agent speaks and hears."""

    agent: Annotated[Agent, Field(examples=[{"to": "sip:agent@192.0.2.20:5060"}])]
    """Who is called."""

    answer: Literal["when_agent_answers", "at_once"] = "when_agent_answers"
    """When the customer's call is answered: before that they hear it ring, and pay nothing."""

    voices: dict[Language, str | None] = Field(default_factory=dict, examples=[{"en": "en"}])
    """language: voice. Left out or null: the server's voice for that language."""

    gains: Gains = Gains()
    """How loud the original voice stays."""

    segment: Segment = Segment()
    """How speech is cut into utterances."""

    interpret: Interpret = TURN_BY_TURN.interpret
    """`turn`: somebody is translated when they have finished; `clause`: clause by clause, while they go on speaking."""

    clauses: Clauses = Clauses()
    """How soon words are passed on."""

    transfer: Transfer = Transfer()
    """Whom the agent's side may send the customer to."""

    hold: Hold = Hold()
    """What a party on hold hears."""

    recording: ModeRecording = ModeRecording()
    """What is kept."""

    announcements: Announcements = Announcements()
    """What the server itself says."""

    subtitles: Subtitles = Subtitles()
    """With assistive_translation: where the agent reads along."""

    @field_validator("target_language")
    @classmethod
    def _two_languages(cls, target: str, info: ValidationInfo) -> str:
        if target == info.data.get("source_language"):
            raise bad(f"is '{target}', the same as source_language", "write the agent's language; the two must differ")
        return target

    @field_validator("voices")
    @classmethod
    def _voices_that_are_heard(cls, voices: dict[str, str | None], info: ValidationInfo) -> dict[str, str | None]:
        if not {"source_language", "target_language"} <= info.data.keys():
            return voices
        source, target = info.data["source_language"], info.data["target_language"]
        for language in voices:
            if language not in (source, target):
                raise bad("is a language that nobody hears in this mode", f"write a voice for {source} or {target}",
                          at=language)  # fmt: skip
        return voices

    @property
    def plan(self) -> Plan:
        """Who hears whom."""
        return PLANS[self.mode]

    def targets(self) -> tuple[tuple[tuple[str | int, ...], Target], ...]:
        """Whom this mode may call: place in the file, target."""
        then = ((("agent", "then", index), one) for index, one in enumerate(self.agent.then))
        return ((("agent",), self.agent), *then)

    @property
    def policy(self) -> Policy:
        """How words are made over."""
        return self.clauses.policy(self.interpret)

    def language_of(self, party: Party) -> str:
        """What this party speaks and hears."""
        return self.source_language if party is Party.CUSTOMER else self.target_language
