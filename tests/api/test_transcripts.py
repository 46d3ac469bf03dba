"""Transcripts over HTTP: live and final, as JSON, text and subtitles."""

from __future__ import annotations

import pytest

from tests.support.api_world import ApiWorld

pytestmark = pytest.mark.loopback

SCRIPT = """
    1-3 customer de Guten Tag | en Good day
    4-5 agent    en Hello | de Hallo
"""


async def test_a_transcript_grows_while_the_session_lives_and_is_complete_when_it_ended(api: ApiWorld) -> None:
    made = await api.session()
    path = f"/v1/sessions/{made['id']}/transcript"
    empty = await api.call("GET", path)
    assert (empty["status"], empty["turns"], empty["metadata"]["total_turns"]) == ("in_progress", [], 0)
    await api.say(made["id"], SCRIPT)
    live = await api.call("GET", path)
    assert live["id"] == f"trn_{made['id']}"
    first = live["turns"][0]
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "sequence": first["sequence"],
        "speaker": "customer",
        "language": "de",
        "text": "Guten Tag",
        "translation": {"language": "en", "text": "Good day"},
        "start_ms": 1000,
        "end_ms": 3000,
        "confidence": first["confidence"],
    }
    assert live["metadata"] == {"total_turns": 2, "duration_seconds": 5.0, "languages_detected": ["de", "en"]}
    await api.call("POST", f"/v1/sessions/{made['id']}/end")
    assert (await api.call("GET", path))["status"] == "completed"
    plain = await api.call("GET", f"{path}?include_translations=false")
    assert all("translation" not in turn for turn in plain["turns"])


@pytest.mark.parametrize(
    ("format", "media_type", "has", "lacks"),
    [
        ("text", "text/plain", "[00:00:01] customer (de): Guten Tag", "-->"),
        ("srt", "application/x-subrip", "00:00:01,000 --> 00:00:03,000", "WEBVTT"),
        ("vtt", "text/vtt", "WEBVTT", ",000"),
    ],
)
async def test_other_formats(api: ApiWorld, format: str, media_type: str, has: str, lacks: str) -> None:
    made = await api.session()
    await api.say(made["id"], SCRIPT)
    response = await api.client.get(f"/v1/sessions/{made['id']}/transcript", params={"format": format})
    assert response.headers["content-type"] == f"{media_type}; charset=utf-8"
    assert f"transcript-{made['id']}." in response.headers["content-disposition"]
    assert has in response.text
    assert lacks not in response.text
    assert "Good day" in response.text
    params = {"format": format, "include_translations": "0"}
    without = await api.client.get(f"/v1/sessions/{made['id']}/transcript", params=params)
    assert "Good day" not in without.text


async def test_wrong_transcript_requests(api: ApiWorld) -> None:
    made = await api.session()
    path = f"/v1/sessions/{made['id']}/transcript"
    error = await api.refused(400, "GET", f"{path}?format=docx")
    assert (error["param"], "'json', 'text', 'srt' or 'vtt'" in error["message"]) == ("format", True)
    error = await api.refused(400, "GET", f"{path}?include_translations=maybe")
    assert (error["param"], "true or false" in error["message"]) == ("include_translations", True)
    assert (await api.refused(404, "GET", "/v1/sessions/sess_0/transcript"))["code"] == "session_not_found"
