"""The chain of recordings: who changes, removes or adds one afterwards is found out."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from kallglot_media.media import chain
from kallglot_media.media.recorder import FACTS, Recording


def record(root: Path, name: str) -> Path:
    folder = root / name
    folder.mkdir()
    recording = Recording(name, folder, 8000)
    recording.write(0, np.full((2, 4000, 2), 7, np.int16))
    recording.write(8000, np.full((2, 4000, 2), 7, np.int16))
    recording.finish(12_000)
    return folder


def test_finished_recordings_are_links_of_a_chain_and_say_what_they_are(tmp_path: Path) -> None:
    folder = record(tmp_path, "sess_1")
    record(tmp_path, "sess_2")
    assert list(chain.problems(tmp_path)) == []
    first, second = (json.loads(line) for line in (tmp_path / chain.NAME).read_text().splitlines())
    assert (first["number"], second["number"]) == (1, 2)
    assert second["previous"] == first["hash"]
    facts = json.loads((folder / FACTS).read_text())
    assert facts["samples"] == 12_000
    [gap] = facts["gaps"]
    assert (gap["first_sample"], gap["samples"]) == (4000, 4000)


def test_changes_are_found(tmp_path: Path) -> None:
    folders = [record(tmp_path, f"sess_{n}") for n in range(3)]
    path = tmp_path / chain.NAME
    lines = path.read_text().splitlines()
    with (folders[1] / "agent.wav").open("r+b") as file:
        file.seek(200)
        file.write(b"x")
    assert list(chain.problems(tmp_path)) == [f"{folders[1] / 'agent.wav'}: was changed after it was recorded"]
    (folders[1] / "agent.wav").unlink()
    assert list(chain.problems(tmp_path)) == [], "retention may take a recording"
    path.write_text("\n".join([lines[0], lines[2]]) + "\n")
    assert "does not follow" in next(chain.problems(tmp_path))
    path.write_text("\n".join([lines[0], lines[1].replace("12000", "12001"), lines[2]]) + "\n")
    assert "was changed after it was written" in next(chain.problems(tmp_path))


def test_a_line_torn_by_a_power_cut_stands_alone(tmp_path: Path) -> None:
    record(tmp_path, "sess_1")
    with (tmp_path / chain.NAME).open("a") as file:
        file.write('{"number": 2, "sess')
    record(tmp_path, "sess_2")
    [problem] = chain.problems(tmp_path)
    assert "is no line of the chain" in problem


def _many(root: str) -> None:
    for n in range(40):
        chain.append(Path(root), {"session_id": f"s{n}"})


def test_several_processes_write_one_chain(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3) as pool:
        list(pool.map(_many, [str(tmp_path)] * 3))
    assert len((tmp_path / chain.NAME).read_text().splitlines()) == 120
    assert list(chain.problems(tmp_path)) == []
