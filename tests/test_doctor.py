"""The doctor: green where a call could be served, and what to do where it could not."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kallglot_media import doctor
from kallglot_media.config import Config, load_config
from kallglot_media.doctor import CHECKS, Check, Finding, State, examine

CONFIGS = Path(__file__).parents[1] / "configs"

Configured = Callable[..., Config]


@pytest.fixture
def config(tmp_path: Path) -> Configured:
    """The shipped configuration with sections changed: config(sip={...}), data in a temporary folder."""

    def _config(**sections: dict[str, object]) -> Config:
        loaded = load_config(CONFIGS / "server.yaml")
        update: dict[str, object] = {"data_dir": tmp_path / "data"}
        for name, changes in sections.items():
            update[name] = getattr(loaded.server, name).model_copy(update=changes)
        return replace(loaded, server=loaded.server.model_copy(update=update))

    return _config


def states(check: Check, config: Config) -> list[State]:
    return [finding.state for finding in check(config)]


def only(check: Check, config: Config) -> Finding:
    (finding,) = check(config)
    return finding


def test_what_is_not_green_says_what_to_do(config: Configured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_bind_error", lambda listen: None)
    monkeypatch.setattr("kallglot_media.doctor.time.sleep", lambda seconds: None)
    findings = list(examine(config()))
    assert all(finding.mend for finding in findings if finding.state is not State.OK)
    assert not [finding for finding in findings if finding.state is State.BAD]
    assert len(findings) >= len(CHECKS)


@pytest.mark.loopback
def test_a_port_in_use_is_named(config: Configured) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        listen = load_config(CONFIGS / "server.yaml").server.sip.listen[0].model_copy(update={"port": port})
        finding = only(doctor.check_sip_ports, config(sip={"listen": (listen,)}))
    assert finding.state is State.BAD
    assert finding.saw == f"udp 127.0.0.1:{port}: address already in use"
    assert "sip.listen" in finding.mend


def test_too_few_rtp_ports(config: Configured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_bind_error", lambda listen: "in use" if listen.port % 2 else None)
    finding = only(doctor.check_rtp_ports, config(media={"ports": (20_000, 20_199)}))
    assert (finding.state, finding.saw) == (
        State.WARN,
        "100 of the 200 ports for max_calls can be bound on 127.0.0.1",
    )


def test_a_folder_that_cannot_be_made(config: Configured, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    loaded = config()
    wrong = replace(loaded, server=loaded.server.model_copy(update={"data_dir": tmp_path / "file" / "data"}))
    finding = only(doctor.check_disk, wrong)
    assert finding.state is State.BAD
    assert finding.mend == f"{tmp_path / 'file'} is a file: write another data_dir"


def test_a_full_disk(config: Configured) -> None:
    finding = only(doctor.check_disk, config(recording={"min_free_mb": 10**9}))
    assert finding.state is State.BAD
    assert "make room" in finding.mend


def test_a_models_folder_that_is_not_there(config: Configured) -> None:
    finding = next(doctor.check_models(config(speech={"models_dir": Path("/nowhere")})))
    assert finding.state is State.BAD
    assert finding.saw == "/nowhere: no such folder"


def test_starter_models_are_a_warning_and_cover_the_shipped_routes(
    config: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KALLGLOT_MODELS", raising=False)
    findings = list(doctor.check_models(config()))
    assert {finding.state for finding in findings if finding.check == "models"} == {State.WARN}
    assert [finding.saw for finding in findings if finding.check == "languages"] == [
        "de to en: heard, translated, spoken",
        "en to de: heard, translated, spoken",
    ]


def test_a_language_that_nothing_covers(config: Configured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KALLGLOT_MODELS", raising=False)
    loaded = config()
    modes = {path: mode.model_copy(update={"target_language": "pl"}) for path, mode in loaded.modes.items()}
    bad = [one.saw for one in doctor.check_models(replace(loaded, modes=modes)) if one.state is State.BAD]
    assert bad == [
        "de to pl lacks a translation package de to pl, a voice for pl",
        "pl to de lacks a recogniser for pl, a translation package pl to de",
    ]


def test_a_pair_that_goes_through_english_is_said_to_do_so(
    config: Configured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Packages pl→en and en→pl beside the starter's German ones make German↔Polish, which still lacks a voice."""
    monkeypatch.setenv("KALLGLOT_MODELS", str(tmp_path))
    for source, target in (("pl", "en"), ("en", "pl")):
        package = tmp_path / "argos" / f"translate-{source}_{target}"
        package.mkdir(parents=True)
        (package / "metadata.json").write_text(json.dumps({"from_code": source, "to_code": target}))
    (tmp_path / "whisper" / "small").mkdir(parents=True)
    loaded = config()
    modes = {path: mode.model_copy(update={"target_language": "pl"}) for path, mode in loaded.modes.items()}
    found = [one for one in doctor.check_models(replace(loaded, modes=modes)) if " pl" in one.saw or "pl " in one.saw]
    found = [one for one in found if one.check == "languages"]
    assert [(one.state, one.saw) for one in found] == [
        (State.BAD, "de to pl lacks a voice for pl"),
        (State.OK, "pl to de: heard, translated through en, spoken"),
    ]
    assert "models pull" in found[0].mend


def test_a_language_that_nobody_translates_is_looked_at_too(
    config: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`speech.languages`, and an AI that speaks its caller's language."""
    monkeypatch.delenv("KALLGLOT_MODELS", raising=False)
    found = list(doctor.check_models(config(speech={"languages": ("sv",)})))
    assert "sv lacks a recogniser for sv, a voice for sv" in [one.saw for one in found]
    alone = replace(config(), modes={}, routes=())
    saw = [one.saw for one in doctor.check_models(replace(alone, server=config(speech={"languages": ("de",)}).server))]
    assert "de: heard, spoken" in saw


def test_a_voice_that_is_not_there(config: Configured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KALLGLOT_MODELS", raising=False)
    loaded = config()
    modes = {path: mode.model_copy(update={"voices": {"de": "thorsten"}}) for path, mode in loaded.modes.items()}
    (bad,) = [one for one in doctor.check_models(replace(loaded, modes=modes)) if one.state is State.BAD]
    assert bad.saw == "bidirectional_translation.yaml voices.de: no voice 'thorsten'"
    assert bad.mend.startswith("write one of: de_DE-diphone-x_low")


def test_both_codecs_survive_their_tables(config: Configured) -> None:
    assert states(doctor.check_codecs, config()) == [State.OK, State.OK]


def test_a_machine_that_is_too_busy(config: Configured, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    def oversleep(seconds: float) -> None:
        clock[0] += seconds + 0.012

    monkeypatch.setattr("kallglot_media.doctor.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("kallglot_media.doctor.time.sleep", oversleep)
    finding = only(doctor.check_clock, config())
    assert (finding.state, finding.saw) == (State.WARN, "20 ms ticks come at most 12.0 ms late (p95 of 25)")


def test_too_few_open_files(config: Configured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kallglot_media.doctor.resource.getrlimit", lambda which: (256, 256))
    finding = only(doctor.check_files, config())
    assert finding.saw == "256 allowed, 600 for max_calls"
    assert "LimitNOFILE=600" in finding.mend


def test_no_real_time_priority(config: Configured, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("kallglot_media.doctor.os.sched_setscheduler", refuse)
    assert states(doctor.check_priority, config()) == [State.WARN]
