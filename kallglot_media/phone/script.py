"""What a scripted phone does once the call is answered: a few words a line, or one line with ";".

    play FILE                          say a WAV file, and go on when its last sample is sent
    pause TIME                         say nothing for so long
    wait speech [within TIME]          until somebody is heard
    wait silence TIME [within TIME]    until nobody was heard for so long
    wait reply TIME [within TIME]      both of the above: heard speech, then silence for so long
    wait hangup [within TIME]          until the other side ends the call
    dtmf KEYS                          press keys (0-9 * # A-D), RFC 4733
    hangup                             end the call

A TIME is `500ms` or `1.5s`. A line that starts with "#" is a comment. After the last
step the phone hangs up, unless the script ends in `wait hangup`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kallglot_media.errors import SetupError

DEFAULT_WITHIN_MS = 20_000
"""How long a `wait` waits when the script does not say; then the step is reported as missed."""

MEDIA_KEYS = "0123456789*#ABCD"


class ScriptError(SetupError):
    """The script cannot be carried out. Says where, what is there, and what to write."""


@dataclass(frozen=True, slots=True)
class PlayFile:
    """Say a WAV file."""

    path: Path


@dataclass(frozen=True, slots=True)
class Pause:
    """Say nothing for `ms`."""

    ms: int


@dataclass(frozen=True, slots=True)
class WaitSpeech:
    """Until somebody is heard, at most `within_ms`."""

    within_ms: int


@dataclass(frozen=True, slots=True)
class WaitSilence:
    """Until nobody was heard for `silence_ms`, at most `within_ms`.

    after_speech  first hear somebody, so that the quiet before a reply is not taken for its end
    """

    silence_ms: int
    within_ms: int
    after_speech: bool = False


@dataclass(frozen=True, slots=True)
class WaitHangup:
    """Until the other side ends the call, at most `within_ms`."""

    within_ms: int


@dataclass(frozen=True, slots=True)
class Keys:
    """Press `digits`, one after the other."""

    digits: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call."""


Step = PlayFile | Pause | WaitSpeech | WaitSilence | WaitHangup | Keys | HangUp


def parse_script(text: str, folder: Path) -> tuple[Step, ...]:
    """The steps of `text`; file names are looked up in `folder`. Raises ScriptError.

    parse_script("play hello.wav; wait reply 1s; hangup", Path("lines"))
    """
    steps: list[Step] = []
    for number, line in enumerate(text.splitlines() or [""], start=1):
        if line.lstrip().startswith("#"):
            continue
        parts = [part.strip() for part in line.split(";")]
        steps.extend(_parse_step(part, f"script line {number}", folder) for part in parts if part)
    if not steps:
        raise ScriptError("script", "has no step", "write at least one, e.g. wait hangup")
    return tuple(steps)


def _parse_step(text: str, where: str, folder: Path) -> Step:
    word, _, rest = text.partition(" ")
    parse = _STEPS.get(word.lower())
    if parse is None:
        near = difflib.get_close_matches(word.lower(), _STEPS, n=1)
        known = ", ".join(sorted(_STEPS))
        raise ScriptError(where, f"{word!r} is no step", f"did you mean {near[0]!r}?" if near else f"steps: {known}")
    return parse(rest.strip(), where, folder)


def _parse_play(rest: str, where: str, folder: Path) -> Step:
    if not rest:
        raise ScriptError(where, "play names no file", "write e.g. play hello.wav")
    path = folder / rest
    if not path.is_file():
        raise ScriptError(where, f"there is no file {path}", "give a WAV file, 16 bit, mono")
    return PlayFile(path)


def _parse_pause(rest: str, where: str, _folder: Path) -> Step:
    return Pause(_time_ms(rest, where, "pause 500ms"))


def _parse_keys(rest: str, where: str, _folder: Path) -> Step:
    keys = rest.replace(" ", "").upper()
    unknown = sorted(set(keys) - set(MEDIA_KEYS))
    if not keys or unknown:
        wrong = f"there is no key {unknown[0]!r}" if unknown else "dtmf names no key"
        raise ScriptError(where, wrong, f"keys are {' '.join(MEDIA_KEYS)}, e.g. dtmf 12#")
    return Keys(keys)


def _parse_hangup(rest: str, where: str, _folder: Path) -> Step:
    if rest:
        raise ScriptError(where, f"hangup takes nothing, there is {rest!r}", "write hangup")
    return HangUp()


def _parse_wait(rest: str, where: str, _folder: Path) -> Step:
    what, _, limit = rest.partition("within")
    within_ms = _time_ms(limit.strip(), where, "within 20s") if limit.strip() else DEFAULT_WITHIN_MS
    if rest.rstrip().endswith("within"):
        raise ScriptError(where, "within names no time", "write e.g. wait speech within 20s")
    words = what.split(maxsplit=1)
    kind, time = (words[0] if words else ""), (words[1] if len(words) > 1 else "")
    if kind in ("silence", "reply"):
        silence_ms = _time_ms(time.strip(), where, f"wait {kind} 1s")
        return WaitSilence(silence_ms, within_ms, after_speech=kind == "reply")
    if kind in ("speech", "hangup") and time:
        raise ScriptError(where, f"wait {kind} takes no {time.strip()!r}", f"write wait {kind} within 20s")
    if kind == "speech":
        return WaitSpeech(within_ms)
    if kind == "hangup":
        return WaitHangup(within_ms)
    raise ScriptError(where, f"cannot wait for {kind!r}", "wait for speech, silence, reply or hangup")


_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s)")


def _time_ms(text: str, where: str, example: str) -> int:
    match = _TIME.fullmatch(text)
    if match is None:
        raise ScriptError(where, f"{text!r} is not a time", f"write ms or s, e.g. {example}")
    number, unit = match.groups()
    return round(float(number) * (1000 if unit == "s" else 1))


_STEPS: dict[str, Callable[[str, str, Path], Step]] = {
    "play": _parse_play,
    "pause": _parse_pause,
    "wait": _parse_wait,
    "dtmf": _parse_keys,
    "hangup": _parse_hangup,
}
