"""What a right configuration turns into."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from pydantic import ValidationError

from kallglot_media.audio.segment import SegmentRules
from kallglot_media.audio.wav import wav_bytes
from kallglot_media.config import ConfigErrors, check_file, load_config
from kallglot_media.config.explain import setting_names
from kallglot_media.config.load import Config
from kallglot_media.config.mode import Hold, Mode
from kallglot_media.config.reader import read_text
from kallglot_media.config.server import Server
from kallglot_media.media.messages import Gains
from kallglot_media.modes.plan import BIDIRECTIONAL_TRANSLATION, Party
from kallglot_media.speech.settings import EngineKind, SpeechSettings
from tests.config.conftest import MODE, Write

SHIPPED = Path(__file__).parents[2] / "configs"


@pytest.fixture
def config(write: Write) -> Config:
    return load_config(write())


def test_the_shipped_files_work_as_they_are() -> None:
    config = load_config(SHIPPED / "server.yaml")
    assert [route.called for route in config.routes] == ["echo", "interpreter", "support"]
    assert {listen.host for listen in config.server.sip.listen} == {"127.0.0.1"}
    assert config.server.data_dir == SHIPPED.parent / "data"


def test_the_shipped_files_write_the_defaults() -> None:
    """What a newcomer reads in the file is what they get without it."""
    shipped = load_config(SHIPPED / "server.yaml").server
    bare = type(shipped)()
    for section in ("log", "sip", "media", "speech", "recording", "limits"):
        assert getattr(shipped, section) == getattr(bare, section)


def test_each_file_is_known_by_its_settings() -> None:
    for file in ("server.yaml", "routes.yaml", "modes/bidirectional_translation.yaml"):
        assert check_file(SHIPPED / file) == ()


@pytest.mark.parametrize(
    ("file", "kind"), [("routes.yaml", "routes"), ("modes/bidirectional_translation.yaml", "mode")]
)
def test_serving_another_kind_of_file_says_which_one_it_is(file: str, kind: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load_config(SHIPPED / file)
    (error,) = caught.value.errors
    assert (error.wrong, error.mend) == (f"is a {kind} file", "name the server.yaml that leads to it")


def test_an_empty_server_file_is_all_defaults(write: Write) -> None:
    config = load_config(write(s="# nothing\n"))
    assert config.server.sip.max_calls == 50


def test_an_empty_section_is_its_defaults(write: Write) -> None:
    config = load_config(write(s="sip:\n  # max_calls: 3\nmedia:\n"))
    assert config.server.sip.max_calls == 50


def test_paths_start_at_the_folder_of_their_file(config: Config, tmp_path: Path) -> None:
    assert config.server.data_dir == tmp_path.parent / "data"
    assert config.routes[0].mode == tmp_path / "modes" / "m.yaml"


def test_a_password_comes_from_its_file(write: Write, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("hunter2\n", encoding="utf-8")
    config = load_config(write(s="sip: {accounts: [{user: pbx, password_file: secret.txt}]}"))
    (account,) = config.server.sip.accounts
    assert account.password() == "hunter2"
    assert "hunter2" not in repr(config)


def test_a_mode_gives_what_the_media_process_takes(config: Config) -> None:
    mode = config.mode_of(config.routes[0])
    assert isinstance(mode, Mode)
    assert mode.gains.message() == Gains()
    assert mode.segment.message() == SegmentRules()
    assert mode.plan is BIDIRECTIONAL_TRANSLATION
    assert [mode.language_of(party) for party in (Party.CUSTOMER, Party.AGENT)] == ["de", "en"]


def test_the_engines_get_the_languages_that_are_used(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(2)))
    assert load_config(write()).engines() == SpeechSettings(languages=("de", "en"))


def test_workers_come_from_the_cores_unless_they_are_named(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(16)))
    engines = load_config(write(s="speech: {recognizer: {workers: 3}}")).engines()
    assert [engines.workers(kind) for kind in EngineKind] == [3, 2, 2]
    assert load_config(write()).engines().workers(EngineKind.RECOGNIZER) == 4


def test_off_is_not_heard(write: Write) -> None:
    config = load_config(write(m="gains: {original_level_db: off, original_idle_db: -6}"))
    gains = config.mode_of(config.routes[0]).gains.message()
    assert (gains.original_level_db, gains.original_idle_db) == (None, -6.0)


def test_norway_speaks_norwegian(write: Write) -> None:
    """YAML 1.1 reads `no` as False."""
    config = load_config(write(m="-source_language: de\nsource_language: no"))
    assert config.mode_of(config.routes[0]).source_language == "no"


def test_an_agent_rings_as_long_as_the_mode_or_the_server_says(write: Write) -> None:
    for config, ring_s in (
        (load_config(write(s="sip: {ring_s: 12}")), 12),
        (load_config(write(m='-5070"}\n5070", ring_s: 7}')), 7),
    ):
        mode = config.mode_of(config.routes[0])
        assert isinstance(mode, Mode)
        assert config.ring_s(mode) == config.longest_ring_s(mode) == ring_s


def test_a_voice_is_the_modes_or_the_servers_or_the_first(write: Write) -> None:
    config = load_config(write(s="speech: {synthesizer: {voices: {de: d, en: e}}}", m="voices: {de: own, en: null}"))
    mode = config.mode_of(config.routes[0])
    assert [config.voice(mode, language) for language in ("de", "en", "fr")] == ["own", "e", None]


def test_announcements_fall_back_to_the_default_then_to_english(write: Write) -> None:
    texts = 'announcements: {busy: {de: "Besetzt."}, welcome: {en: "Hello."}, engine_back: {de: ""}}'
    config = load_config(write(m=texts))
    mode = config.mode_of(config.routes[0])
    assert isinstance(mode, Mode)
    say = mode.announcements.text
    assert say("busy", "de") == "Besetzt."
    assert say("busy", "fr").startswith("La ligne est occupée")
    assert say("busy", "pl").startswith("The line is busy")
    assert say("welcome", "pl") == "Hello."
    assert say("engine_back", "de") == ""
    assert load_config(write()).routes[0].announcements.text("welcome", "de") == ""


def test_routes_match_from_the_top(write: Write) -> None:
    routes = """
routes:
  - {called: "+4930?", service: echo}
  - {called: "+49*", mode: modes/m.yaml}
  - {called: "*97", service: interpreter, languages: [de, en]}
"""
    config = load_config(write(r=routes))
    found = [config.route_for(user) for user in ("+49301", "+49302345", "*97", "x97", "+48", "")]
    assert [route.called if route else None for route in found] == ["+4930?", "+49*", "*97", "*97", None, None]


def loads_or_says_why(path: Path) -> bool:
    """Nothing but ConfigErrors may come out, and every mistake has its three parts."""
    try:
        load_config(path)
    except ConfigErrors as errors:
        return bool(errors.errors) and all(error.where and error.wrong and error.mend for error in errors.errors)
    return True


ANY_TEXT = some.text(max_size=200)
PIECES = some.sampled_from(
    ["sip:", "  max_calls:", " 3", "\n", "- ", "[", "]", "{", "}", "*a", "&a ", ": ", "listen", "media:", "!x ", "'"]
)  # fmt: skip
YAMLISH = some.lists(some.one_of(PIECES, some.text(max_size=3)), max_size=25).map("".join)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=some.one_of(ANY_TEXT, YAMLISH), which=some.sampled_from("srm"))
def test_any_text_is_a_configuration_or_a_list_of_mistakes(text: str, which: str, write: Write) -> None:
    text = text.encode("utf-8", "replace").decode()
    files = {"s": text} if which == "s" else {"r": text} if which == "r" else {"m": f"-{MODE.splitlines()[0]}\n{text}"}
    path = write(**files)
    assert loads_or_says_why(path)


@settings(max_examples=200, deadline=None)
@given(data=some.binary(max_size=300))
def test_any_bytes_are_a_tree_or_a_mistake(data: bytes) -> None:
    tree = read_text(data, "x.yaml")
    assert tree.lines or tree.errors or tree.value is None


VALUES = some.recursive(
    some.one_of(some.none(), some.booleans(), some.integers(), some.floats(), some.text(max_size=8)),
    lambda inner: some.one_of(
        some.lists(inner, max_size=3), some.dictionaries(some.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=some.data())
def test_any_value_in_the_place_of_any_setting_is_right_or_a_mistake(data: some.DataObject, write: Write) -> None:
    path = data.draw(some.sampled_from(sorted(setting_names(Server)))).split(".")
    value = data.draw(VALUES)
    for part in reversed(path):
        value = {part: value}
    assert loads_or_says_why(write(s=json.dumps(value)))


def test_hold_music_that_cannot_be_played_is_said_at_start(tmp_path: Path) -> None:
    (tmp_path / "stereo.wav").write_bytes(wav_bytes(np.zeros((80, 2), np.int16), 8000))
    (tmp_path / "mono.wav").write_bytes(wav_bytes(np.zeros(80, np.int16), 8000))
    for name, wrong in (("missing.wav", "No such file"), ("stereo.wav", "stereo, wanted is mono")):
        with pytest.raises(ValidationError, match=wrong):
            Hold.model_validate({"music": tmp_path / name})
    sound = Hold.model_validate({"music": tmp_path / "mono.wav"}).sound()
    assert sound is not None
    assert (len(sound[0]), sound[1]) == (80, 8000)


def test_a_range_of_ports_may_fit_exactly(write: Write) -> None:
    write(s="sip: {max_calls: 2}\nmedia: {ports: [20000, 20007]}\n")
    assert load_config(Path("server.yaml")).server.media.ports == (20000, 20007)


def test_a_transfer_over_a_trunk_that_is_there(write: Write) -> None:
    write(s='sip: {trunks: [{name: pbx, hosts: ["sip:192.0.2.1"]}]}\n', m="transfer: {trunk: pbx}\n")
    (mode,) = load_config(Path("server.yaml")).modes.values()
    assert isinstance(mode, Mode)
    assert mode.transfer.trunk == "pbx"
