"""`kallglot-media doctor`: everything outside the program that a call needs, green or what to do.

Each check is a function of the configuration that yields findings and changes nothing that stays.
"""

from __future__ import annotations

import importlib.util
import math
import os
import resource
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from kallglot_media.config import Config, Listen
from kallglot_media.config.answering import AnsweringMode
from kallglot_media.errors import SetupError
from kallglot_media.speech.model_check import check as check_model
from kallglot_media.speech.models import PIVOT, Installed, find_models
from kallglot_media.speech.settings import EngineKind

RECORDED_BYTES_PER_S = 2 * 2 * 2 * 8000
"""Two files, two channels, 16 bits, 8 kHz."""

_OWN_FILES = 200
_FILES_PER_CALL = 8
_TICK_S = 0.02


class State(StrEnum):
    """How bad it is: WARN serves calls, BAD does not."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw. mend: what to do about it; empty when there is nothing to do."""

    check: str
    state: State
    saw: str
    mend: str = ""


Check = Callable[[Config], Iterator[Finding]]


def examine(config: Config) -> Iterator[Finding]:
    """Every check, one after the other."""
    for check in CHECKS:
        yield from check(config)


def check_python(_: Config) -> Iterator[Finding]:
    """The interpreter."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    ok = sys.version_info >= (3, 11)
    yield Finding("python", State.OK if ok else State.BAD, version, "" if ok else "install Python 3.11 or newer")


def check_sip_ports(config: Config) -> Iterator[Finding]:
    """Can the SIP listeners be bound? A server that already runs holds them, and that is said."""
    for listen in config.server.sip.listen:
        name = f"{listen.transport} {listen.host}:{listen.port}"
        error = _bind_error(listen)
        if error is None:
            yield Finding("sip port", State.OK, f"{name} is free")
        else:
            mend = "stop what holds it (perhaps this server runs already), or write another address in sip.listen"
            yield Finding("sip port", State.BAD, f"{name}: {error}", mend)


def _bind_error(listen: Listen) -> str | None:
    kind = socket.SOCK_DGRAM if listen.transport == "udp" else socket.SOCK_STREAM
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    with socket.socket(family, kind) as one:
        if kind == socket.SOCK_STREAM:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((listen.host, listen.port))
        except OSError as why:
            return (why.strerror or str(why)).lower()
    return None


def check_rtp_ports(config: Config) -> Iterator[Finding]:
    """Are the ports free that max_calls calls need?"""
    media, host = config.server.media, config.server.media_host
    first, last = media.ports
    need = config.server.sip.max_calls * 4
    free = 0
    for port in range(first, last + 1):
        if free == need:
            break
        free += _bind_error(Listen(transport="udp", host=host, port=port)) is None
    if free == need:
        yield Finding("rtp ports", State.OK, f"{need} of {first}-{last} are free on {host}, enough for max_calls")
        return
    mend = "write a wider media.ports, an address of this machine as media.host, or a lower sip.max_calls"
    state = State.WARN if free >= 4 else State.BAD
    yield Finding("rtp ports", state, f"{free} of the {need} ports for max_calls can be bound on {host}", mend)


def check_libraries(_: Config) -> Iterator[Finding]:
    """Are the engines' libraries installed? Looks, does not import: that takes seconds."""
    wanted = {
        "recognition": ("ctranslate2", "faster_whisper"),
        "translation": ("ctranslate2", "sentencepiece"),
        "speech synthesis": ("piper", "onnxruntime"),
        "voice detection": ("webrtcvad",),
    }
    for what, modules in wanted.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        if not missing:
            yield Finding("libraries", State.OK, f"{what}: {', '.join(modules)}")
            continue
        mend = "run scripts/setup.sh" + (", or pip install 'kallglot-media[tts]'" if "piper" in missing else "")
        yield Finding("libraries", State.BAD, f"{what}: {', '.join(missing)} not installed", mend)


def check_models(config: Config) -> Iterator[Finding]:
    """Are the models whole, and do they cover what the routes need?"""
    settings = config.engines()
    try:
        installed = find_models(settings)
        used = installed.used(settings)
    except SetupError as why:
        yield Finding("models", State.BAD, f"{why.where}: {why.wrong}", why.mend)
        return
    for model in used:
        name = f"{model.kind} {model.name}"
        try:
            check_model(model)
        except SetupError as why:
            yield Finding("models", State.BAD, f"{name}: {why.where}: {why.wrong}", why.mend)
            continue
        if not model.starter:
            yield Finding("models", State.OK, f"{name}: {model.path}")
    for kind, limits in dict.fromkeys((model.kind, model.limits) for model in used if model.starter):
        yield Finding("models", State.WARN, f"starter {kind}: {limits}", "install real models, see docs/models.md")
    yield from _check_languages(config, installed)


def _check_languages(config: Config, installed: Installed) -> Iterator[Finding]:
    directions = {model.languages for model in installed.packages()}
    spoken = {language for model in installed.voices() for language in model.languages}
    heard = installed.recognizer(config.engines().recognizer).languages
    both = _pairs(config)
    for source, target in sorted(both):
        lacks, how = [], "translated"
        if "*" not in heard and source not in heard:
            lacks.append(f"a recogniser for {source}")
        if (source, target) not in directions:
            how = f"translated through {PIVOT}"
            if not {(source, PIVOT), (PIVOT, target)} <= directions:
                lacks.append(f"a translation package {source} to {target}")
        if target not in spoken:
            lacks.append(f"a voice for {target}")
        yield _language_finding(f"{source} to {target}", lacks, f"heard, {how}, spoken")
    for language in sorted(set(config.languages()) - {one for pair in both for one in pair}):
        lacks = [] if "*" in heard or language in heard else [f"a recogniser for {language}"]
        lacks += [] if language in spoken else [f"a voice for {language}"]
        yield _language_finding(language, lacks, "heard, spoken")
    yield from _check_voices(config, {model.name for model in installed.of(EngineKind.SYNTHESIZER)})


def _language_finding(what: str, lacks: list[str], works: str) -> Finding:
    if lacks:
        mend = "bring it with `kallglot-media models pull`, see docs/models.md"
        return Finding("languages", State.BAD, f"{what} lacks {', '.join(lacks)}", mend)
    return Finding("languages", State.OK, f"{what}: {works}")


def _check_voices(config: Config, names: set[str]) -> Iterator[Finding]:
    asked = {(f"speech.synthesizer.voices.{lang}", v) for lang, v in config.server.speech.synthesizer.voices.items()}
    for path, mode in config.modes.items():
        asked |= {(f"{path.name} voices.{lang}", voice) for lang, voice in mode.voices.items() if voice}
    for where, voice in sorted(asked):
        if voice not in names:
            yield Finding(
                "voices", State.BAD, f"{where}: no voice '{voice}'", f"write one of: {', '.join(sorted(names))}"
            )


def _pairs(config: Config) -> set[tuple[str, str]]:
    """Every direction that some route translates in."""
    both = [(mode.source_language, mode.target_language) for mode in config.modes.values() if mode.target_language]
    both += [route.languages for route in config.routes if route.languages]
    both += [
        (mode.source_language, mode.human_language)
        for mode in config.modes.values()
        if isinstance(mode, AnsweringMode) and mode.human_language != mode.source_language
    ]
    return {pair for one, other in both for pair in ((one, other), (other, one))}


def check_codecs(_: Config) -> Iterator[Finding]:
    """The sound formats on the wire."""
    import numpy as np

    from kallglot_media.audio.g711 import DECODERS, ENCODERS

    every = np.arange(256, dtype=np.uint8)
    for name, decode in DECODERS.items():
        pcm = decode(every)
        same = bool(np.array_equal(decode(ENCODERS[name](pcm)), pcm))
        mend = "" if same else "the tables are wrong: reinstall"
        yield Finding("codecs", State.OK if same else State.BAD, name, mend)


def check_disk(config: Config) -> Iterator[Finding]:
    """Can recordings be written, and for how long?"""
    folder = config.server.data_dir
    there = next((one for one in (folder, *folder.parents) if one.exists()), Path("/"))
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        mend = f"make it and give it to this user: sudo install -d -o {os.getuid()} {folder}"
        if not there.is_dir():
            mend = f"{there} is a file: write another data_dir"
        yield Finding("disk", State.BAD, f"data_dir {folder} cannot be written", mend)
        return
    free_bytes = shutil.disk_usage(there).free
    hours = free_bytes / RECORDED_BYTES_PER_S / 3600
    saw = f"{free_bytes / 1e9:.1f} GB free in {folder}, {hours:,.0f} hours of calls"
    enough = free_bytes / 1e6 >= config.server.recording.min_free_mb
    mend = "" if enough else "make room, or lower recording.min_free_mb: no call is taken now"
    yield Finding("disk", State.OK if enough else State.BAD, saw, mend)


def check_clock(_: Config) -> Iterator[Finding]:
    """Is the date plausible, and does a 20 ms tick come in time?"""
    year = time.gmtime().tm_year
    if year < 2026:
        yield Finding("clock", State.BAD, f"the year is {year}", "set the clock, e.g. with systemd-timesyncd")
    start_s = time.monotonic()
    late_ms = []
    for tick in range(1, 26):
        due_s = start_s + tick * _TICK_S
        time.sleep(max(0.0, due_s - time.monotonic()))
        late_ms.append((time.monotonic() - due_s) * 1000)
    worst = sorted(late_ms)[math.ceil(0.95 * len(late_ms)) - 1]
    state = State.OK if worst < 5 else State.WARN
    mend = "" if state is State.OK else "other programs hold the cores: stop them, or give this machine more"
    yield Finding("clock", state, f"20 ms ticks come at most {worst:.1f} ms late (p95 of {len(late_ms)})", mend)


def check_priority(_: Config) -> Iterator[Finding]:
    """May the media process go before everything else on this machine?"""
    try:
        before = os.sched_getscheduler(0), os.sched_getparam(0)
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        os.sched_setscheduler(0, *before)
    except (OSError, AttributeError):
        mend = "systemd: LimitRTPRIO=10; by hand: ulimit -r 10 as root before the start"
        yield Finding("priority", State.WARN, "no real-time priority: sound may stutter on a busy machine", mend)
    else:
        yield Finding("priority", State.OK, "real-time priority is allowed")


def check_files(config: Config) -> Iterator[Finding]:
    """How many files and sockets may one process open?"""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = _OWN_FILES + config.server.sip.max_calls * _FILES_PER_CALL
    enough = soft == resource.RLIM_INFINITY or soft >= need
    mend = "" if enough else f"systemd: LimitNOFILE={need}; by hand: ulimit -n {need}"
    yield Finding("open files", State.OK if enough else State.BAD, f"{soft} allowed, {need} for max_calls", mend)


CHECKS: tuple[Check, ...] = (
    check_python,
    check_sip_ports,
    check_rtp_ports,
    check_libraries,
    check_models,
    check_codecs,
    check_disk,
    check_clock,
    check_priority,
    check_files,
)
