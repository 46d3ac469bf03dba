"""One analysis: what was asked for, each part with the way it was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from kallglot_media.analysis import compliance, performance, sentiment, summary
from kallglot_media.analysis.keywords import keywords
from kallglot_media.analysis.model import Model, ModelFailed
from kallglot_media.store.turns import Turn

KINDS = ("summary", "sentiment", "compliance", "keywords", "performance")

COMPUTED, LEXICON, EXTRACT = "computed", "lexicon", "extract"
"""`method` of what no model made; of what one made it is "model", and `model` is its name."""


def check(kinds: Sequence[str], options: Mapping[str, Any]) -> None:
    """ValueError names what is wrong with a request, before it is accepted.

    options  {"language": "en", "compliance": {"rules": […]}, "keywords": {"limit": 15}}; all optional
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        what = f"there is no analysis {', '.join(unknown)}" if unknown else "no analysis is named"
        raise ValueError(f"{what}; there are: {', '.join(KINDS)}")
    compliance.rules_from(_rules(options))
    if "compliance" in kinds and not _rules(options) and len(kinds) == 1:
        raise ValueError("compliance.rules is missing; write [{name, phrases}]")
    _limit(options)


async def analyse(
    turns: Sequence[Turn], kinds: Sequence[str], options: Mapping[str, Any], model: Model | None, duration_ms: int = 0
) -> dict[str, Any]:
    """kind -> its result, ready to be stored and shown. A model that fails is replaced by what can be computed."""
    language = _language(turns, options)
    found: dict[str, Any] = {}
    for kind in dict.fromkeys(kinds):
        if kind == "summary":
            found[kind] = await _summary(turns, language, model)
        elif kind == "sentiment":
            found[kind] = await _sentiment(turns, language, model)
        elif kind == "keywords":
            words = keywords(turns, _limit(options))
            found[kind] = {"method": COMPUTED, "keywords": [asdict(word) for word in words]}
        elif kind == "compliance":
            verdicts = compliance.check(turns, compliance.rules_from(_rules(options)))
            passed = all(verdict.passed for verdict in verdicts)
            found[kind] = {"method": COMPUTED, "passed": passed, "rules": [asdict(verdict) for verdict in verdicts]}
        else:
            found[kind] = {"method": COMPUTED, **asdict(performance.measure(turns, duration_ms))}
    return found


async def _summary(turns: Sequence[Turn], language: str, model: Model | None) -> dict[str, Any]:
    how, made = {"method": EXTRACT}, None
    if model is not None:
        try:
            made = await summary.by_model(turns, language, model)
            how = {"method": "model", "model": model.name}
        except ModelFailed as error:
            how["model_error"] = f"{model.name} {error}"
    made = made or summary.extract(turns, language)
    return how | {"language": language} | asdict(made)


async def _sentiment(turns: Sequence[Turn], language: str, model: Model | None) -> dict[str, Any]:
    how = {"method": LEXICON}
    if model is not None:
        try:
            felt = await summary.feelings_by_model(turns, language, model)
        except ModelFailed as error:
            how["model_error"] = f"{model.name} {error}"
        else:
            labelled = {speaker: {"label": sentiment.label(one["score"])} | one for speaker, one in felt.items()}
            return {"method": "model", "model": model.name, "parties": labelled}
    return how | {"parties": {speaker: asdict(one) for speaker, one in sentiment.by_speaker(turns).items()}}


def _language(turns: Sequence[Turn], options: Mapping[str, Any]) -> str:
    """What was asked for, else what the agent speaks, else what was spoken first."""
    asked = options.get("language")
    if isinstance(asked, str) and asked:
        return asked
    of_agent = next((turn.language for turn in turns if turn.speaker == "agent"), None)
    return of_agent or (turns[0].language if turns else "en")


def _rules(options: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    section = options.get("compliance") or {}
    rules = section.get("rules", ()) if isinstance(section, Mapping) else None
    if not isinstance(rules, list | tuple):
        raise ValueError("compliance.rules is no list; write [{name, phrases}]")
    return rules


def _limit(options: Mapping[str, Any]) -> int:
    section = options.get("keywords") or {}
    limit = section.get("limit", 15) if isinstance(section, Mapping) else None
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= 100:
        raise ValueError(f"keywords.limit is {limit!r}; write a number from 1 to 100")
    return limit
