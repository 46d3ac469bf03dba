"""The recording, the transcript and the plot that a call leaves."""

from __future__ import annotations

from pathlib import Path

from kallglot_media.phone.plot import plot_session
from tests.support.server import read_json
from tests.support.waves import read_wav


def looks_right(folder: Path) -> None:
    """Both recordings have one length and sound, every turn lies inside of it, and session.png is there to be seen."""
    tracks = [read_wav(folder / f"{party}.wav") for party in ("customer", "agent")]
    assert tracks[0][0].shape == tracks[1][0].shape
    assert tracks[0][0].any(), "nobody is to be heard"
    longest_ms = 1000 * len(tracks[0][0]) / tracks[0][1]
    turns = read_json(folder / "transcript.json")["turns"]
    assert turns
    assert all(0 <= turn["start_ms"] <= turn["end_ms"] <= longest_ms for turn in turns)
    picture = folder / "session.png"
    plot_session(folder, picture, picture.with_suffix(".svg"))
    assert picture.stat().st_size > 10_000
