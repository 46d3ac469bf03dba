"""configs/server.yaml: the machine, its ports, its models. Every default of the server stands here."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from kallglot_media.config.api import Api
from kallglot_media.config.listen import EVERY_INTERFACE
from kallglot_media.config.sip import Sip
from kallglot_media.config.store import ModelEndpoint, Retention, Store, Webhooks
from kallglot_media.config.types import (
    BindHost,
    Codec,
    ConfigPath,
    ExternalHost,
    Language,
    Port,
    Settings,
    bad,
    once_each,
)
from kallglot_media.media.settings import MediaSettings
from kallglot_media.speech.settings import EngineKind, SpeechSettings, workers_for

PORTS_PER_CALL = 4
"""Two legs, each with a port for RTP and one for RTCP."""


class Log(Settings):
    """What the server says about itself, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important line that is still written."""

    format: Literal["auto", "console", "json"] = "auto"
    """`console` for people, `json` for machines (one object a line), `auto`: console on a terminal, else JSON."""


_MEDIA = MediaSettings()


class Jitter(Settings):
    """How much delay evens out the network. The target moves between min and max."""

    min_ms: Annotated[int, Field(ge=20, le=1000)] = _MEDIA.jitter.min_ms
    """Never less than this."""

    target_ms: Annotated[int, Field(ge=20, le=1000, validate_default=True)] = _MEDIA.jitter.target_ms
    """Where it starts."""

    max_ms: Annotated[int, Field(ge=20, le=2000, validate_default=True)] = _MEDIA.jitter.max_ms
    """Never more than this; what comes later is lost."""

    @field_validator("target_ms", "max_ms")
    @classmethod
    def _ordered(cls, value: int, info: ValidationInfo) -> int:
        lower = "min_ms" if info.field_name == "target_ms" else "target_ms"
        if value < info.data.get(lower, 0):
            raise bad(f"is {value}, less than {lower} {info.data[lower]}", "write min_ms ≤ target_ms ≤ max_ms")
        return value


class Media(Settings):
    """Sound."""

    host: BindHost | None = None
    """The IP address that RTP is taken on; left out: that of the first SIP listener."""

    external_host: ExternalHost | None = None
    """The address that SDP names; left out: `sip.external_host`, else `media.host`."""

    ports: Annotated[tuple[Port, Port], Field(strict=False)] = (_MEDIA.first_port, _MEDIA.last_port)
    """The first and the last UDP port for RTP and RTCP; four for each call."""

    processes: Annotated[int, Field(ge=1, le=64)] | None = None
    """Media processes, each with calls of its own; left out: one for every four cores."""

    rtp_timeout_s: Annotated[float, Field(ge=1, le=3600)] = _MEDIA.rtp_timeout_s
    """A call whose peer has sent no sound for so long is ended (held calls are not)."""

    jitter: Jitter = Jitter()
    """The jitter buffer."""

    allow_latch: bool = _MEDIA.allow_latch
    """Send RTP to where the peer's RTP comes from when that is not where its SDP said (NAT)."""

    suppress_silence: bool = _MEDIA.suppress_silence
    """Send nothing to G.711 legs while there is nothing to hear, but for a packet every five seconds: a third of the
    bandwidth. Off by default, because some phones take silence for a dead line."""

    comfort_noise_dbov: Annotated[int, Field(ge=-127, le=-30)] | None = _MEDIA.comfort_noise_dbov
    """With suppress_silence: phones that take comfort noise (RFC 3389) are told to make it, this loud: -65 is a quiet
    room. Left out: silence is silent."""

    own_voice_guard: bool = _MEDIA.own_voice_guard
    """What a party was told and what comes back of it as an echo neither breaks in nor is translated."""

    codecs: Annotated[tuple[Codec, ...], Field(min_length=1)] = ("opus", "G722", "PCMU", "PCMA")
    """What is offered, best first. Of what a peer offers, its first one that is listed here is taken; trunks may
    have `codecs` of their own."""

    srtp: Literal["off", "optional", "required"] = "optional"
    """Encrypted sound. `optional`: taken when the peer offers keys, offered where the signalling is encrypted (TLS,
    WebSocket), since who reads the keys hears the call; `required`: calls without it are refused with 488."""

    @field_validator("codecs")
    @classmethod
    def _codec_once(cls, codecs: tuple[Codec, ...]) -> tuple[Codec, ...]:
        return once_each(codecs)

    @field_validator("ports")
    @classmethod
    def _range(cls, ports: tuple[int, int]) -> tuple[int, int]:
        if ports[1] < ports[0]:
            raise bad(f"is {ports[0]} to {ports[1]}", "write the lower port first, e.g. ports: [20000, 29999]")
        return ports


_SPEECH = SpeechSettings()

Workers = Annotated[int, Field(ge=1, le=256)]
DeadlineS = Annotated[float, Field(ge=0.1, le=120)]


class Recognizer(Settings):
    """Speech to text."""

    model: Annotated[str | None, Field(min_length=1, examples=["small"])] = _SPEECH.recognizer
    """A folder in `models_dir`/whisper or an absolute path; left out: the largest there, else the starter model."""

    smaller: Annotated[str | None, Field(min_length=1, examples=["tiny"])] = _SPEECH.smaller
    """A quicker model, named likewise and loaded too: it takes over while `model` cannot keep up (`when_busy`)."""

    window: Literal["auto", "full"] = _SPEECH.window
    """`auto` computes as long as the utterance is; `full` always 30 s, as Whisper was trained."""

    denoise: Annotated[int, Field(ge=0, le=4)] = _SPEECH.denoise
    """Noise is taken off before recognition, 4 the most; needs the extra `denoise`. For callers in cars and streets:
    measure with your model. What people hear and the recordings stay as they are."""

    workers: Workers | None = None
    """Processes, one model copy and one thread each; left out: one for every four cores."""

    deadline_s: DeadlineS = 8
    """An answer later than this is given up; the original voice is let through instead."""


class Translator(Settings):
    """Text to text."""

    workers: Workers | None = None
    """Processes, one thread each; left out: one for every eight cores."""

    deadline_s: DeadlineS = 5
    """An answer later than this is given up."""


class Synthesizer(Settings):
    """Text to speech."""

    voices: dict[Language, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict, examples=[{"de": "de"}])
    """language: voice. A name in `models_dir`/piper, or `VOICE#SPEAKER`; a language left out has the first one."""

    workers: Workers | None = None
    """Processes, one thread each; left out: one for every eight cores."""

    deadline_s: DeadlineS = 5
    """An answer later than this is given up."""


class Speech(Settings):
    """The engines. With no models folder the starter models serve: support calls in made voices, no people."""

    models_dir: ConfigPath | None = _SPEECH.models
    """The folder of real models; left out: the environment variable KALLGLOT_MODELS, else starter models only."""

    recognizer: Recognizer = Recognizer()
    """Speech to text."""

    translator: Translator = Translator()
    """Text to text."""

    synthesizer: Synthesizer = Synthesizer()
    """Text to speech."""

    cache_mb: Annotated[int, Field(ge=0, le=4096)] = _SPEECH.cache_bytes // 1_000_000
    """In memory, for translations and made speech that may come again, over all calls; 0 keeps nothing."""

    when_busy: Literal["refuse", "smaller", "degrade"] = _SPEECH.when_busy
    """A call that the engines would have no time for: `refuse` it with 503 and Retry-After; change to
    `recognizer.smaller` and take it, refusing what even that has no time for; or take it and `degrade`. What is given
    up when they are too busy, one after the other: partial transcripts, the larger recogniser, voices, words; the
    original voice is let through."""

    glossary: ConfigPath | None = _SPEECH.glossary
    """A YAML file of terms: how they are written, heard, translated and said. Read anew when it changes."""

    languages: tuple[Language, ...] = ()
    """Languages that no route names, for sessions that clients make."""

    longest_line: Annotated[int, Field(ge=1, le=10_000)] = _SPEECH.longest_line
    """Jobs that may wait in front of one kind of engine, over all calls; one more is refused."""

    most_at_once: Annotated[int, Field(ge=1, le=16)] = _SPEECH.most_at_once
    """Jobs that are alike and wait are done by a worker in one go, so many at most; 1: one by one."""

    longest_turn_line: Annotated[int, Field(ge=1, le=64)] = 4
    """Utterances of one person that may wait; with more the oldest is dropped, and the events say so."""

    @field_validator("when_busy")
    @classmethod
    def _has_a_smaller(cls, when_busy: str, info: ValidationInfo) -> str:
        if when_busy == "smaller" and "recognizer" in info.data and info.data["recognizer"].smaller is None:
            raise bad("is smaller, and there is no smaller recogniser", "write recognizer.smaller, e.g. smaller: tiny")
        return when_busy

    def engines(self, languages: Iterable[str] = ()) -> SpeechSettings:
        """The same, as the engines take it. languages: those that some route uses; empty: all."""
        cores = len(os.sched_getaffinity(0))
        return replace(
            _SPEECH,
            models=self.models_dir,
            recognizer=self.recognizer.model,
            smaller=self.recognizer.smaller,
            languages=tuple(sorted(set(languages))),
            voices=dict(self.synthesizer.voices),
            glossary=self.glossary,
            when_busy=self.when_busy,
            cache_bytes=self.cache_mb * 1_000_000,
            window=self.recognizer.window,
            denoise=self.recognizer.denoise,
            recognizer_workers=self.recognizer.workers or workers_for(EngineKind.RECOGNIZER, cores),
            translator_workers=self.translator.workers or workers_for(EngineKind.TRANSLATOR, cores),
            synthesizer_workers=self.synthesizer.workers or workers_for(EngineKind.SYNTHESIZER, cores),
            longest_line=self.longest_line,
            most_at_once=self.most_at_once,
        )


class Recording(Settings):
    """What is kept. A mode may switch its own recording off."""

    enabled: bool = True
    """Write the four tracks and the transcript under data_dir/sessions."""

    min_free_mb: Annotated[int, Field(ge=0, le=10_000_000)] = 200
    """With less room on the disk no new call is taken."""

    sync_s: Annotated[float, Field(ge=0, le=3600)] | None = _MEDIA.recorder_sync_s
    """How often a growing recording is made safe against power loss. 0: every half second; null: only at its end."""

    encrypt: bool = _MEDIA.seal_recordings
    """AES-256-GCM. The key is in the environment variable KALLGLOT_RECORDING_KEY, or in `key_file`."""

    key_file: ConfigPath | None = None
    """A file with the key: 64 hexadecimal digits (`openssl rand -hex 32`); behind a comma older keys, for reading."""


class Limits(Settings):
    """When things end by themselves."""

    max_call_s: Annotated[float, Field(ge=1, le=86_400)] = 7200
    """The longest call."""

    drain_s: Annotated[float, Field(ge=0, le=86_400)] = 300
    """After SIGTERM live calls may go on for so long; a second signal ends them at once."""


class Server(Settings):
    """configs/server.yaml."""

    data_dir: ConfigPath = Path("../data")
    """Recordings and transcripts; made when it is not there."""

    log: Log = Log()
    sip: Sip = Sip()
    media: Annotated[Media, Field(validate_default=True)] = Media()
    speech: Speech = Speech()
    recording: Recording = Recording()
    api: Api = Api()
    limits: Limits = Limits()

    store: Store = Store()
    retention: Retention = Retention()
    webhooks: Webhooks = Webhooks()

    llm: ModelEndpoint | None = None
    """The language model of analyses; left out: they have what can be computed."""

    embeddings: ModelEndpoint | None = None
    """The model that finds knowledge by meaning, for the API's search and for an AI with a language model; left out:
    by words."""

    routes: ConfigPath = Path("routes.yaml")
    """Which number leads where."""

    @field_validator("media")
    @classmethod
    def _fits_sip(cls, media: Media, info: ValidationInfo) -> Media:
        sip: Sip | None = info.data.get("sip")
        if sip is None:
            return media
        first, last = media.ports
        room = (last - first + 1) // PORTS_PER_CALL
        if room < sip.max_calls:
            need = first + sip.max_calls * PORTS_PER_CALL - 1
            mend = f"write ports: [{first}, {need}]" if need <= 65_535 else "lower sip.max_calls"
            raise bad(f"has room for {room} calls, sip.max_calls is {sip.max_calls}", mend, at="ports")
        host = media.host or sip.listen[0].host
        if host in EVERY_INTERFACE and not (media.external_host or sip.external_host):
            raise bad("is missing, and media.host has no address that peers can send to",
                      "write the address that phones reach this machine by, e.g. external_host: 192.0.2.10",
                      at="external_host")  # fmt: skip
        return media

    @property
    def media_host(self) -> str:
        """The address that RTP sockets bind."""
        return self.media.host or self.sip.listen[0].host

    @property
    def media_advertised_host(self) -> str:
        """The address that our SDP names."""
        return self.media.external_host or self.sip.external_host or self.media_host
