"""Was what must be said said, and what must not be said not? Phrases are found in other forms of their words too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kallglot_media.store.stems import stems
from kallglot_media.store.turns import Turn

MOST_WORDS_BETWEEN = 2
"""Between two words of a phrase: "this call may be recorded" is found in "this call may also be recorded"."""


@dataclass(frozen=True, slots=True)
class Rule:
    """must       "say": one of the phrases has to be said; "avoid": none may be
    speaker    who; None: anybody
    within_ms  "say" only counts if it is begun by then; None: at any time
    """

    name: str
    phrases: tuple[str, ...]
    must: Literal["say", "avoid"] = "say"
    speaker: str | None = None
    within_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Where a phrase was said."""

    sequence: int
    speaker: str
    start_ms: int
    phrase: str
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """passed: the rule was kept; found: what was said, too late ones included."""

    name: str
    must: str
    passed: bool
    found: tuple[Found, ...]


def check(turns: Sequence[Turn], rules: Sequence[Rule]) -> tuple[Verdict, ...]:
    """One verdict for each rule. A translation counts as said by who was translated."""
    return tuple(_verdict(turns, rule) for rule in rules)


def _verdict(turns: Sequence[Turn], rule: Rule) -> Verdict:
    found = tuple(_found(turns, rule))
    if rule.must == "avoid":
        passed = not found
    else:
        passed = any(rule.within_ms is None or one.start_ms <= rule.within_ms for one in found)
    return Verdict(rule.name, rule.must, passed, found)


def _found(turns: Sequence[Turn], rule: Rule) -> Iterator[Found]:
    for turn in turns:
        if rule.speaker is not None and turn.speaker != rule.speaker:
            continue
        texts = [(turn.text, turn.language), (turn.translation_text or "", turn.translation_language or "")]
        for phrase in rule.phrases:
            said = next((text for text, language in texts if text and says(text, phrase, language)), None)
            if said is not None:
                yield Found(turn.sequence, turn.speaker, turn.start_ms, phrase, said)
                break


def says(text: str, phrase: str, language: str) -> bool:
    """Whether `text` has the words of `phrase` in that order, with at most two others between each.

    says("Calls may also be recorded", "call may be recorded", "en") is True
    says("The call that you made is recorded", "call recorded", "en") is False: four words between
    """
    wanted, heard = stems(phrase, language), stems(text, language)
    if not wanted:
        return False
    # ends: where the part of the phrase so far may have ended
    ends = {at for at, stem in enumerate(heard) if stem == wanted[0]}
    for stem in wanted[1:]:
        after = {near for at in ends for near in range(at + 1, at + 2 + MOST_WORDS_BETWEEN)}
        ends = {at for at in after if at < len(heard) and heard[at] == stem}
    return bool(ends)


def rules_from(options: Sequence[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Rules as a client writes them, {name, phrases, must?, speaker?, within_seconds?}; ValueError names a mistake."""
    return tuple(_rule(at, option) for at, option in enumerate(options))


def _rule(at: int, option: Mapping[str, Any]) -> Rule:
    where = f"compliance.rules[{at}]"
    if not isinstance(option, Mapping):
        raise ValueError(f"{where} is no object; write {{name, phrases}}")
    name, phrases = option.get("name"), option.get("phrases")
    must, within = option.get("must", "say"), option.get("within_seconds")
    speaker = option.get("speaker")
    if not isinstance(name, str) or not name:
        raise ValueError(f"{where}.name is missing; write what the verdict is to be called")
    good = (
        isinstance(phrases, list | tuple) and phrases and all(isinstance(one, str) and one.strip() for one in phrases)
    )
    if not good:
        raise ValueError(f"{where}.phrases is {phrases!r}; write a list of phrases")
    if must not in ("say", "avoid"):
        raise ValueError(f"{where}.must is {must!r}; write say or avoid")
    if speaker not in (None, "agent", "customer", "ai"):
        raise ValueError(f"{where}.speaker is {speaker!r}; write agent, customer or ai, or leave it out")
    if within is not None and (isinstance(within, bool) or not isinstance(within, int | float) or within < 0):
        raise ValueError(f"{where}.within_seconds is {within!r}; write a number of seconds")
    return Rule(name, tuple(phrases or ()), must, speaker, None if within is None else round(1000 * within))
