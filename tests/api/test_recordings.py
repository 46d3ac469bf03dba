"""Recordings over HTTP: listed, heard whole and in parts and in other forms, deleted for ever."""

from __future__ import annotations

import asyncio
import io
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from kallglot_media.api import exports
from kallglot_media.media.export import ExportError
from kallglot_media.media.recorder import Recording
from kallglot_media.media.sealed import KEY_VARIABLE, read_keys
from kallglot_media.store import audit, recordings
from kallglot_media.store.page import Page
from kallglot_media.store.recordings import NewRecording
from tests.support.api_world import ApiWorld

pytestmark = pytest.mark.loopback


async def test_each_party_has_a_recording(api: ApiWorld) -> None:
    made = await api.session()
    path = f"/v1/sessions/{made['id']}/recordings"
    assert (await api.call("GET", path))["data"] == []
    rows = await api.record(made["id"])
    listed = await api.call("GET", path)
    assert ([one["channel"] for one in listed["data"]], listed["url"]) == (["agent", "customer"], path)
    first = await api.call("GET", f"{path}?limit=1")
    assert first["has_more"]
    one = await api.call("GET", f"/v1/recordings/{rows['customer'].id}")
    assert one.pop("created_at").endswith("Z")
    assert one == {
        "id": rows["customer"].id,
        "object": "recording",
        "session_id": made["id"],
        "channel": "customer",
        "status": "ready",
        "duration": 26.0,
        "format": "wav",
        "size": 44 + 4 * 26 * 8000,
        "sample_rate": 8000,
        "bit_depth": 16,
        "download_url": f"/v1/recordings/{rows['customer'].id}/audio",
        "expires_at": None,
    }


async def test_the_file_itself_is_sent_whole_or_in_parts(api: ApiWorld) -> None:
    made = await api.session()
    row = (await api.record(made["id"]))["customer"]
    whole = (api.parts.data_dir / (row.path or "")).read_bytes()
    path = f"/v1/recordings/{row.id}/audio"
    response = await api.client.get(path)
    assert (response.status_code, response.content == whole) == (200, True)
    assert response.headers["content-type"] == "audio/wav"
    assert response.headers["accept-ranges"] == "bytes"
    assert f"recording-{made['id']}-customer.wav" in response.headers["content-disposition"]
    etag = response.headers["etag"]
    again = await api.client.get(path, headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    size = len(whole)
    for asked, first, last in (
        ("bytes=0-0", 0, 0),
        ("bytes=44-143", 44, 143),
        (f"bytes={size - 10}-", size - 10, size - 1),
        ("bytes=-7", size - 7, size - 1),
        (f"bytes=5-{size * 9}", 5, size - 1),
    ):
        part = await api.client.get(path, headers={"Range": asked})
        assert (part.status_code, part.headers["content-range"]) == (206, f"bytes {first}-{last}/{size}")
        assert part.content == whole[first : last + 1]
    stale = await api.client.get(path, headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert (stale.status_code, len(stale.content)) == (200, size)


@pytest.mark.parametrize(
    "header", ["bytes=9-5", "lines=0-5", "bytes=", "bytes=a-b", "bytes=-", "x", f"bytes={'9' * 5000}-"]
)
async def test_a_range_that_is_none_is_ignored(api: ApiWorld, header: str) -> None:
    row = (await api.record((await api.session())["id"]))["agent"]
    response = await api.client.get(f"/v1/recordings/{row.id}/audio", headers={"Range": header})
    assert (response.status_code, len(response.content)) == (200, row.size_bytes)


async def test_a_range_beyond_the_end_is_refused_in_json(api: ApiWorld) -> None:
    row = (await api.record((await api.session())["id"]))["agent"]
    for header in (f"bytes={row.size_bytes}-", "bytes=-0", "bytes=0-5,99999999-"):
        response = await api.client.get(f"/v1/recordings/{row.id}/audio", headers={"Range": header})
        assert response.status_code == 416
        assert response.headers["content-range"] == f"bytes */{row.size_bytes}"
        assert response.json()["error"]["param"] == "Range"


@pytest.mark.parametrize("channel", ["mixed", "stereo", "customer", "agent"])
@pytest.mark.parametrize(("format", "media_type"), [("wav", "audio/wav"), ("mp3", "audio/mpeg"), ("ogg", "audio/ogg")])
async def test_other_forms_are_made_when_asked_for(api: ApiWorld, channel: str, format: str, media_type: str) -> None:
    made = await api.session()
    row = (await api.record(made["id"]))["customer"]
    params = {"channel": channel, "format": format}
    response = await api.client.get(f"/v1/recordings/{row.id}/audio", params=params)
    assert response.headers["content-type"] == media_type
    assert f"recording-{made['id']}-{channel}.{format}" in response.headers["content-disposition"]
    channels, seconds = heard(response.content)
    assert channels == (1 if channel == "mixed" else 2)
    assert seconds == pytest.approx(26.0, abs=0.1)
    part = await api.client.get(f"/v1/recordings/{row.id}/audio", params=params, headers={"Range": "bytes=0-99"})
    assert (part.status_code, part.content) == (206, response.content[:100])


def heard(content: bytes) -> tuple[int, float]:
    """Channels and seconds of a sound file, decoded."""
    if content.startswith(b"RIFF"):
        with wave.open(io.BytesIO(content)) as sound:
            return sound.getnchannels(), sound.getnframes() / sound.getframerate()
    with av.open(io.BytesIO(content), "r") as container:
        stream = container.streams.audio[0]
        samples = sum(frame.samples for frame in container.decode(stream))
        return stream.channels, samples / stream.rate


async def test_deleting_takes_the_sound_and_everything_made_of_it(api: ApiWorld) -> None:
    made = await api.session()
    rows = await api.record(made["id"])
    folder = api.parts.data_dir / "sessions" / made["id"]
    path = f"/v1/recordings/{rows['customer'].id}"
    await api.client.get(f"{path}/audio?channel=mixed")
    assert (folder / "exports" / "mixed.wav").exists()
    assert await api.call("DELETE", path) == {"id": rows["customer"].id, "object": "recording", "deleted": True}
    assert sorted(one.name for one in folder.iterdir() if one.suffix != ".jsonl") == ["agent.wav", "session.json"]
    assert (await api.refused(404, "GET", path))["code"] == "recording_not_found"
    assert (await api.refused(404, "DELETE", path))["code"] == "recording_not_found"
    error = await api.refused(404, "GET", f"/v1/recordings/{rows['agent'].id}/audio?channel=mixed")
    assert (error["code"], error["param"]) == ("recording_not_found", "channel")
    (entry,) = (await api.store.read(audit.page, Page(), subject=rows["customer"].id)).items
    assert (entry.action, entry.actor.startswith("key_"), entry.request_id is not None) == (
        "recording.deleted",
        True,
        True,
    )


async def test_deleting_needs_its_own_scope(api: ApiWorld) -> None:
    row = (await api.record((await api.session())["id"]))["customer"]
    headers = {"Authorization": f"Bearer {await api.key('recordings:read')}"}
    await api.call("GET", f"/v1/recordings/{row.id}", headers=headers)
    error = await api.refused(403, "DELETE", f"/v1/recordings/{row.id}", headers=headers)
    assert "recordings:delete" in error["message"]


async def test_a_recording_without_its_sound_says_so(api: ApiWorld) -> None:
    made = await api.session()
    rows = await api.record(made["id"])
    (api.parts.data_dir / (rows["agent"].path or "")).unlink()
    error = await api.refused(404, "GET", f"/v1/recordings/{rows['agent'].id}/audio")
    assert "not on the disk" in error["message"]
    waits = await api.store.write(recordings.add, NewRecording(made["id"], "customer", "sessions/x/customer.wav"))
    error = await api.refused(409, "GET", f"/v1/recordings/{waits.id}/audio")
    assert (error["code"], error["retry_after"]) == ("recording_not_ready", 5)
    await api.store.write(recordings.failed, waits.id, "the disk was full")
    error = await api.refused(409, "GET", f"/v1/recordings/{waits.id}/audio")
    assert ("the disk was full" in error["message"], "retry_after" in error) == (True, False)
    outside = await api.store.write(recordings.add, NewRecording(made["id"], "agent", "../../../etc/passwd"))
    await api.store.write(recordings.ready, outside.id, duration_ms=1, size_bytes=1, sha256="")
    await api.refused(404, "GET", f"/v1/recordings/{outside.id}/audio")
    expired = await api.store.write(
        recordings.ready, rows["customer"].id, duration_ms=1, size_bytes=1, sha256="", expires_at_ms=1
    )
    assert expired is not None
    await api.refused(404, "GET", f"/v1/recordings/{expired.id}/audio")


async def test_wrong_recording_requests(api: ApiWorld) -> None:
    row = (await api.record((await api.session())["id"]))["customer"]
    for query, param in (("channel=left", "channel"), ("format=flac", "format")):
        assert (await api.refused(400, "GET", f"/v1/recordings/{row.id}/audio?{query}"))["param"] == param
    for path in ("/v1/recordings/rec_0", "/v1/recordings/rec_0/audio"):
        assert (await api.refused(404, "GET", path))["code"] == "recording_not_found"
    assert (await api.refused(404, "GET", "/v1/sessions/sess_0/recordings"))["code"] == "session_not_found"


async def test_a_sealed_recording_is_heard_and_leaves_nothing_plain(
    api: ApiWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "a1" * 32)
    made = await api.session()
    rows = await api.record(made["id"])
    folder = api.parts.data_dir / "sessions" / made["id"]
    plain = (folder / "customer.wav").read_bytes()
    pcm = np.frombuffer(plain[44:], "<i2").reshape(-1, 2)
    for name in ("customer", "agent"):
        (folder / f"{name}.wav").unlink()
    recording = Recording(made["id"], folder, 8000, read_keys("a1" * 32))
    recording.write(0, np.stack([pcm, pcm]))
    recording.finish(len(pcm))
    assert (folder / "customer.wav").read_bytes() != plain
    path = f"/v1/recordings/{rows['customer'].id}"
    response = await api.client.get(f"{path}/audio")
    assert (response.status_code, response.content[-4 * len(pcm) :] == plain[44:]) == (200, True)
    headers = {"Range": "bytes=-100", "If-Range": response.headers["etag"]}
    part = await api.client.get(f"{path}/audio", headers=headers)
    assert (part.status_code, part.content) == (206, plain[-100:])
    scratch = api.parts.data_dir / "plain-sound"
    assert [one.name for one in scratch.iterdir()] == [f"{made['id']}-customer.wav"]
    assert not (folder / "exports").exists()
    await api.call("DELETE", path)
    assert list(scratch.iterdir()) == []
    monkeypatch.setenv(KEY_VARIABLE, "")
    error = await api.refused(404, "GET", f"/v1/recordings/{rows['agent'].id}/audio")
    assert "lacks its key" in error["message"]


# ── exports ──────────────────────────────────────────────────────────────────────


class SlowExport:
    """Stands in for export_recording: ends when it is told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.go = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def __call__(self, folder: Path, channel: str, file_format: str) -> Path:
        self.calls.append((channel, file_format))
        asyncio.run_coroutine_threadsafe(self.go.wait(), self._loop).result()
        return folder / f"{channel}.{file_format}"


async def test_an_export_is_made_once_for_all_who_wait(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    slow = SlowExport()
    monkeypatch.setattr(exports, "export_recording", slow)
    monkeypatch.setattr(exports, "is_sealed", lambda folder: False)
    making = exports.Exports(tmp_path / "plain", patience_s=0.0)
    with pytest.raises(exports.StillMaking):
        await making.get(tmp_path, "mixed", "mp3")
    with pytest.raises(exports.StillMaking):
        await making.get(tmp_path, "mixed", "mp3")
    for _ in range(1000):
        if slow.calls:
            break
        await asyncio.sleep(0)
    slow.go.set()
    await making.forget(tmp_path)
    assert len(slow.calls) <= 1
    await making.close()


async def test_too_many_exports_at_once_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    slow = SlowExport()
    monkeypatch.setattr(exports, "export_recording", slow)
    monkeypatch.setattr(exports, "is_sealed", lambda folder: False)
    making = exports.Exports(tmp_path / "plain", patience_s=0.0)
    for number in range(exports.MOST_WAITING):
        with pytest.raises(exports.StillMaking):
            await making.get(tmp_path / str(number), "mixed", "mp3")
    with pytest.raises(exports.TooMany):
        await making.get(tmp_path, "mixed", "mp3")
    slow.go.set()
    await making.close()


async def test_an_export_that_fails_fails_those_who_wait(tmp_path: Path) -> None:
    making = exports.Exports(tmp_path / "plain")
    with pytest.raises(ExportError):
        await making.get(tmp_path, "mixed", "mp3")
    with pytest.raises(ExportError):
        await making.get(tmp_path, "mixed", "mp3")
