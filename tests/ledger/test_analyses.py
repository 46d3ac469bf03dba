"""The public form of an analysis: in a few words, and in full."""

from __future__ import annotations

from kallglot_media.analysis.analyse import KINDS, analyse
from kallglot_media.ledger.analyses import analysis_json
from kallglot_media.store.analyses import Analysis
from tests.support.stores import NOON_MS
from tests.support.talk import talk

CALL = talk("""
    0-2   customer de Meine Bestellung ist kaputt, das ist sehr schlecht | en My order is broken, that is very bad
    1-3   agent    en I am sorry | de Es tut mir leid
    13-14 customer de Wunderbar, vielen Dank | en Wonderful, thank you
""")
RULES = [
    {"name": "greeting", "phrases": ["good morning"]},
    {"name": "no guessing", "phrases": ["maybe"], "must": "avoid"},
]


def made(status: str = "complete", **more: object) -> Analysis:
    values: dict[str, object] = {"kinds": KINDS, "options": {}, "result": None, "error": None, "leased_until_ms": None}
    values |= {"completed_at_ms": NOON_MS} | more
    return Analysis("anl_1", "sess_1", status, created_at_ms=NOON_MS, **values)  # type: ignore[arg-type]


async def test_every_kind_has_a_short_form_and_a_full_one() -> None:
    result = await analyse(CALL, KINDS, {"compliance": {"rules": RULES}}, None, 14_000)
    shown = analysis_json(made(result=result, options={"profile": "sales"}))
    assert (shown["status"], shown["profile"], shown["error"]) == ("completed", "sales", None)
    assert shown["summary"] == result["summary"]["text"]
    assert shown["sentiment"]["customer"].split()[0] in ("positive", "neutral", "negative")
    assert shown["sentiment"]["customer"].endswith(", improving")
    assert shown["compliance"] == {"status": "flagged", "flags": ["greeting"]}
    assert shown["keywords"] == [one["text"] for one in result["keywords"]["keywords"]]
    # 10 of 14 s were dead air, and one of three turns cut in on another.
    assert shown["performance"]["dead_air_seconds"] == 10.0
    assert (shown["performance"]["interruptions"], shown["performance"]["score"]) == (1, 0.19)
    assert shown["results"] == result


def test_what_is_not_made_yet_is_null() -> None:
    shown = analysis_json(made("queued", kinds=("summary",), completed_at_ms=None))
    assert (shown["status"], shown["include"], shown["results"]) == ("processing", ["summary"], {})
    assert [shown[kind] for kind in (*KINDS, "completed_at")] == [None] * 6
    assert analysis_json(made("failed", error="no words"))["error"] == "no words"
