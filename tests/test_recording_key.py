"""The key for recordings, from server.yaml to the environment of the media processes; and every way it can be wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kallglot_media.config.load import Config
from kallglot_media.config.server import Recording
from kallglot_media.errors import SetupError
from kallglot_media.media.process import sealing_keys
from kallglot_media.media.sealed import KEY_VARIABLE, SealError
from kallglot_media.media.settings import MediaSettings
from kallglot_media.wiring import take_recording_key

KEY = "5c" * 32


class OnlyRecording:
    """As much of a Config as is looked at."""

    def __init__(self, **settings: object) -> None:
        self.server = self
        self.recording = Recording(**settings)  # type: ignore[arg-type]


def take(**settings: object) -> None:
    config: Config = OnlyRecording(**settings)  # type: ignore[assignment]
    take_recording_key(config)


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "")


def test_a_key_file_reaches_the_media_processes(tmp_path: Path) -> None:
    path = tmp_path / "recording.key"
    path.write_text(KEY + "\n")
    take(encrypt=True, key_file=path)
    assert os.environ[KEY_VARIABLE] == KEY
    assert sealing_keys(MediaSettings(seal_recordings=True)) == (bytes.fromhex(KEY),)
    assert sealing_keys(MediaSettings()) == ()


def test_without_a_key_nothing_is_recorded_in_the_clear() -> None:
    with pytest.raises(SetupError, match="openssl rand -hex 32"):
        take(encrypt=True)
    with pytest.raises(SealError, match=KEY_VARIABLE):
        sealing_keys(MediaSettings(seal_recordings=True))
    take()


def test_what_is_no_key_is_named_and_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "recording.key"
    with pytest.raises(SetupError, match="no such file"):
        take(encrypt=True, key_file=path)
    path.write_text("hunter2")
    with pytest.raises(SetupError, match="7 characters") as refused:
        take(encrypt=True, key_file=path)
    assert "hunter2" not in str(refused.value)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SetupError, match="is no text"):
        take(encrypt=True, key_file=path)
