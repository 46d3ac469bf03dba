"""Commands: what a person sees, and exit code 2 with one clear line for what they can mend."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from kallglot_media import cli
from kallglot_media.cli_common import USER_ERROR, plain_errors
from kallglot_media.errors import SetupError
from kallglot_media.sip.passwords import HashedPassword
from kallglot_media.speech.errors import SpeechSetupError

CONFIGS = Path(__file__).parents[1] / "configs"
SERVER = str(CONFIGS / "server.yaml")


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.app, list(words))


@pytest.fixture
def wrong(tmp_path: Path) -> str:
    (tmp_path / "routes.yaml").write_text("routes: [{called: a, service: echo}]", encoding="utf-8")
    path = tmp_path / "server.yaml"
    path.write_text("sip:\n  max_cals: 3\n", encoding="utf-8")
    return str(path)


def test_version() -> None:
    assert run("--version").output == "kallglot-media 0.1.0\n"


def test_every_command_explains_itself() -> None:
    for words in (
        ["serve"],
        ["check"],
        ["doctor"],
        ["models", "list"],
        ["models", "check"],
        ["phone"],
        ["demo"],
        ["plot"],
    ):
        assert run(*words, "--help").exit_code == 0


def test_check_is_silent_about_nothing() -> None:
    result = run("check", SERVER)
    assert (result.exit_code, result.output) == (0, f"no mistakes in {SERVER}\n")


def test_check_says_where_what_and_what_to_write(wrong: str) -> None:
    result = run("check", wrong)
    assert result.exit_code == 2
    said = f"{wrong}:2 sip.max_cals: no such setting\n    did you mean 'max_calls'?\n1 mistake\n"
    assert result.stderr == said


def test_check_as_json(wrong: str) -> None:
    result = run("check", wrong, "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)[0]["mend"] == "did you mean 'max_calls'?"


@pytest.mark.parametrize("command", [["serve"], ["doctor"], ["models", "list"], ["check"]])
def test_every_command_stops_at_a_wrong_configuration(command: list[str], wrong: str) -> None:
    result = run(*command, wrong)
    assert result.exit_code == 2
    assert "did you mean 'max_calls'?" in result.stderr
    assert "Traceback" not in result.output


def test_a_file_that_is_not_there() -> None:
    result = run("serve", "nowhere.yaml")
    assert result.exit_code == 2
    assert result.stderr.startswith("nowhere.yaml: no such file\n")


def test_a_wrong_log_level_names_the_right_ones() -> None:
    result = run("serve", SERVER, "--log-level", "loud")
    assert result.exit_code == 2
    assert result.stderr == "--log-level: is 'loud'; write one of: debug, info, warning, error\n"


@pytest.mark.parametrize("kind", [SetupError, SpeechSetupError])
def test_what_cannot_be_set_up_is_one_line(kind: type[Exception], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as end, plain_errors():
        raise kind("sip.listen udp 127.0.0.1:5060", "port 5060 is in use", "stop what holds it")
    assert end.value.exit_code == 2
    assert capsys.readouterr().err == "sip.listen udp 127.0.0.1:5060: port 5060 is in use; stop what holds it\n"


def test_what_cannot_be_set_up_inside_a_task_group_is_the_same_line() -> None:
    async def serve() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())

    async def fail() -> None:
        raise SetupError("a", "b", "c")

    with pytest.raises(SetupError):
        cli._run_async(serve)


def test_our_own_mistakes_keep_their_traceback() -> None:
    with pytest.raises(ZeroDivisionError), plain_errors():
        raise ZeroDivisionError


def test_schemas_know_every_setting(tmp_path: Path) -> None:
    result = run("check", "--schema", str(tmp_path / "schema"))
    assert result.exit_code == 0
    schema: dict[str, Any] = json.loads((tmp_path / "schema" / "mode.schema.json").read_text("utf-8"))
    assert {"mode", "source_language", "target_language", "agent"} <= set(schema["properties"])
    assert schema["$defs"]["Agent"]["properties"]["from"]
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Segment"]["properties"]["stop_ms"]["description"].startswith("This much silence")


def test_a_schema_folder_that_cannot_be_made() -> None:
    result = run("check", "--schema", f"{SERVER}/schema")
    assert result.exit_code == 2
    assert result.stderr == f"{SERVER}/schema: not a directory; name a folder that can be written\n"


def test_models_list_is_whole_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert "recognizer   mini-support         de en es fr  19  yes   starter" in run("models", "list", SERVER).output


def test_models_list_says_what_starter_models_cannot_do() -> None:
    result = run("models", "list", SERVER)
    assert result.exit_code == 0
    assert "human speech is not understood" in result.output
    assert {"recognizer", "translator", "synthesizer"} == {row["kind"] for row in json.loads(json_of("models", "list"))}


def json_of(*words: str) -> str:
    return run(*words, SERVER, "--json").stdout


def test_models_check_finds_the_starter_models_whole() -> None:
    result = run("models", "check", SERVER)
    assert result.exit_code == 0
    assert result.output.count("ok ") == 7


def test_models_in_a_folder_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLGLOT_MODELS", "/nowhere")
    result = run("models", "list", SERVER)
    assert result.exit_code == 2
    assert result.stderr.startswith("/nowhere: no such folder; ")


def test_a_password_becomes_the_hash_that_may_stand_for_it(tmp_path: Path) -> None:
    made = CliRunner().invoke(
        cli.app, ["users", "hash", "pbx", "--config", str(tmp_path / "none.yaml")], input="wonderland\n"
    )
    assert made.exit_code == 0
    assert str(HashedPassword.of("pbx", "kallglot", "wonderland")) + "\n" == made.output
    empty = CliRunner().invoke(cli.app, ["users", "hash", "pbx", "--realm", "r"], input="\n")
    assert empty.exit_code == USER_ERROR
    assert "is empty" in empty.output
