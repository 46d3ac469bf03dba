"""The public form of an analysis: each kind in a few words, and in full in `results`, with how it was found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kallglot_media.ledger.objects import Json, when
from kallglot_media.store import analyses, events
from kallglot_media.store.analyses import Analysis
from kallglot_media.store.tx import Tx

STATUSES: Mapping[str, str] = {
    analyses.QUEUED: "processing",
    analyses.PROCESSING: "processing",
    analyses.COMPLETE: "completed",
    analyses.FAILED: "failed",
}
"""What the store calls it -> what clients see."""

PROFILE = "profile"
"""Where the options hold the client's own name for this kind of analysis."""

DEFAULT_PROFILE = "default"


def analysis_json(analysis: Analysis) -> Json:
    """An analysis. Without a result (yet) its kinds are null."""
    results: Mapping[str, Any] = analysis.result or {}
    return {
        "id": analysis.id,
        "object": "analysis",
        "session_id": analysis.session_id,
        "profile": analysis.options.get(PROFILE, DEFAULT_PROFILE),
        "include": list(analysis.kinds),
        "status": STATUSES[analysis.status],
        "summary": results["summary"]["text"] if "summary" in results else None,
        "sentiment": _sentiment(results.get("sentiment")),
        "compliance": _compliance(results.get("compliance")),
        "keywords": [one["text"] for one in results["keywords"]["keywords"]] if "keywords" in results else None,
        "performance": _performance(results.get("performance")),
        "results": dict(results),
        "error": analysis.error,
        "created_at": when(analysis.created_at_ms),
        "completed_at": when(analysis.completed_at_ms),
    }


def tell_analysis(tx: Tx, analysis: Analysis) -> None:
    """The webhook of an analysis that is complete or failed."""
    kind = "analysis.complete" if analysis.status == analyses.COMPLETE else "analysis.failed"
    events.add(tx, kind, analysis_json(analysis), session_id=analysis.session_id)


def _sentiment(found: Mapping[str, Any] | None) -> Json | None:
    """For each party one line: "negative (-0.41), improving: waited too long"."""
    if found is None:
        return None
    return {speaker: _feeling(one) for speaker, one in found["parties"].items()}


def _feeling(one: Mapping[str, Any]) -> str:
    text = str(one["label"])
    score, trend = one.get("score"), one.get("trend")
    if score is not None and text != "unknown":
        text += f" ({score:+.2f})"
    if trend:
        text += ", improving" if trend > 0 else ", worsening"
    return f"{text}: {one['reason']}" if one.get("reason") else text


def _compliance(found: Mapping[str, Any] | None) -> Json | None:
    if found is None:
        return None
    flags = [rule["name"] for rule in found["rules"] if not rule["passed"]]
    return {"status": "flagged" if flags else "ok", "flags": flags}


def _performance(found: Mapping[str, Any] | None) -> Json | None:
    """score: the share of the time that was no dead air, times the share of turns that interrupted nobody."""
    if found is None:
        return None
    turns = sum(party["turns"] for party in found["parties"].values())
    cuts = sum(party["interruptions"] for party in found["parties"].values())
    lively = 1 - found["dead_air"]["ratio"]
    polite = 1 - cuts / turns if turns else 1.0
    return {
        "score": round(max(lively, 0.0) * max(polite, 0.0), 2),
        "talk_ratio": {speaker: party["talk_ratio"] for speaker, party in found["parties"].items()},
        "interruptions": cuts,
        "dead_air_seconds": found["dead_air"]["total_ms"] / 1000,
    }
