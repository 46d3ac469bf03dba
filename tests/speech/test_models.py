"""Finding, choosing and checking models: no weights are loaded here."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from kallglot_media.speech.errors import SpeechSetupError
from kallglot_media.speech.model_check import check, check_package, check_recognizer, check_voice
from kallglot_media.speech.models import MODELS_VARIABLE, STARTER_FOLDER, find_models
from kallglot_media.speech.settings import EngineKind, SpeechSettings

STARTER_RECOGNIZER = next((STARTER_FOLDER / "whisper").glob("*/model.bin")).parent
STARTER_PACKAGE = next((STARTER_FOLDER / "argos").glob("*de_en*.argosmodel"))
STARTER_VOICE = next((STARTER_FOLDER / "piper").glob("de*.onnx"))


@pytest.fixture(autouse=True)
def _no_models_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MODELS_VARIABLE, raising=False)


@pytest.fixture
def recognizer(tmp_path: Path) -> Path:
    """A copy of the starter recogniser that a test may spoil."""
    return Path(shutil.copytree(STARTER_RECOGNIZER, tmp_path / "whisper" / "real"))


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    (tmp_path / "piper").mkdir()
    for end in ("", ".json"):
        shutil.copy(f"{STARTER_VOICE}{end}", tmp_path / "piper" / f"de_DE-real-medium.onnx{end}")
    return tmp_path / "piper" / "de_DE-real-medium.onnx"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "argos").mkdir()
    return Path(shutil.copy(STARTER_PACKAGE, tmp_path / "argos" / "translate-de_en-1_9.argosmodel"))


def test_a_clone_has_starter_models_of_every_kind_and_says_how_limited_they_are() -> None:
    installed = find_models(SpeechSettings())
    used = installed.used(SpeechSettings())
    assert {model.kind for model in used} == set(EngineKind)
    assert all(model.starter and model.limits for model in used)
    assert [model.languages for model in installed.packages()] == [("de", "en"), ("en", "de")]
    assert [model.languages for model in installed.voices()] == [("de",), ("en",), ("es",), ("fr",)]
    assert installed.folder is None
    for model in used:
        check(model)


def test_starter_models_fit_into_the_package() -> None:
    assert sum(model.size_bytes for model in find_models(SpeechSettings()).models) < 60_000_000


def test_real_models_are_used_and_the_starters_fill_the_rest(recognizer: Path, voice: Path, package: Path) -> None:
    settings = SpeechSettings(models=recognizer.parents[1])
    installed = find_models(settings)
    assert installed.recognizer(None).path == recognizer
    assert [(model.name, model.starter) for model in installed.packages()] == [
        ("translate-de_en-1_9", False),
        ("translate-en_de-0_2", True),
    ]
    assert [(model.languages, model.starter) for model in installed.voices()] == [
        (("de",), False),
        (("en",), True),
        (("es",), True),
        (("fr",), True),
    ]


def test_of_two_versions_the_higher_is_used(package: Path) -> None:
    shutil.copy(package, package.with_name("translate-de_en-1_10.argosmodel"))
    installed = find_models(SpeechSettings(models=package.parents[1]))
    assert installed.packages()[0].name == "translate-de_en-1_10"


def test_the_environment_names_the_folder(recognizer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODELS_VARIABLE, str(recognizer.parents[1]))
    assert find_models(SpeechSettings()).recognizer(None).path == recognizer


def test_a_recognizer_may_be_named_by_its_path(recognizer: Path) -> None:
    settings = SpeechSettings(recognizer=str(recognizer))
    assert find_models(settings).recognizer(settings.recognizer).path == recognizer


def test_a_missing_folder_is_said_with_its_mend(tmp_path: Path) -> None:
    with pytest.raises(SpeechSetupError, match=r"nowhere: no such folder; make it, or change speech\.models_dir"):
        find_models(SpeechSettings(models=tmp_path / "nowhere"))


def test_a_recognizer_that_is_not_installed_is_said_with_what_is() -> None:
    with pytest.raises(SpeechSetupError, match=r"whisper/small: no such model \(installed: mini-support\); bring it"):
        find_models(SpeechSettings()).recognizer("small")


@pytest.mark.parametrize("name", ["config.json", "model.bin", "tokenizer.json", "vocabulary.json"])
def test_a_recognizer_without_one_of_its_files_is_refused(recognizer: Path, name: str) -> None:
    (recognizer / name).unlink()
    with pytest.raises(SpeechSetupError, match=f"{name}: missing"):
        check_recognizer(recognizer)


def test_published_small_models_have_other_files_and_are_fine(recognizer: Path) -> None:
    (recognizer / "preprocessor_config.json").unlink()
    (recognizer / "vocabulary.json").rename(recognizer / "vocabulary.txt")
    check_recognizer(recognizer)


@pytest.mark.parametrize("kept_bytes", [0, 3, 50, 1_000, 1_000_000, 9_114_880])
def test_a_cut_download_is_found_without_loading_it(recognizer: Path, kept_bytes: int) -> None:
    binary = recognizer / "model.bin"
    binary.write_bytes(binary.read_bytes()[:kept_bytes])
    with pytest.raises(SpeechSetupError, match=rf"model\.bin: ends too early, at {kept_bytes} bytes; download"):
        check_recognizer(recognizer)


def test_a_file_of_something_else_is_no_model(recognizer: Path) -> None:
    (recognizer / "model.bin").write_text("<html>404</html>")
    with pytest.raises(SpeechSetupError, match="is no CTranslate2 model"):
        check_recognizer(recognizer)


def test_a_tokenizer_of_nothing_is_found_before_it_is_loaded(recognizer: Path) -> None:
    (recognizer / "tokenizer.json").write_text("{}")
    with pytest.raises(SpeechSetupError, match=r"tokenizer\.json: has no 'model'"):
        check_recognizer(recognizer)


def test_broken_json_names_the_file(recognizer: Path) -> None:
    (recognizer / "config.json").write_text("{")
    with pytest.raises(SpeechSetupError, match=r"config\.json: is not JSON"):
        check_recognizer(recognizer)


def test_an_unpacked_package_is_as_good_as_its_zip(package: Path) -> None:
    with zipfile.ZipFile(package) as zipped:
        zipped.extractall(package.parent)
    package.unlink()
    (model,) = [
        model for model in find_models(SpeechSettings(models=package.parents[1])).packages() if not model.starter
    ]
    assert (model.languages, model.path.is_dir()) == (("de", "en"), True)
    check(model)


def test_a_cut_package_is_found(package: Path) -> None:
    package.write_bytes(package.read_bytes()[:-100])
    with pytest.raises(SpeechSetupError, match="is no whole zip file"):
        find_models(SpeechSettings(models=package.parents[1]))


def test_a_damaged_package_is_found(package: Path) -> None:
    data = bytearray(package.read_bytes())
    data[len(data) // 2] ^= 0xFF
    package.write_bytes(data)
    with pytest.raises(SpeechSetupError, match=r"(is damaged|no whole zip)"):
        check_package(package)


def test_a_zip_of_something_else_is_no_package(tmp_path: Path) -> None:
    path = tmp_path / "x.argosmodel"
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("x/readme.txt", "hello")
    with pytest.raises(SpeechSetupError, match=r"no metadata\.json in it"):
        check_package(path)


def test_a_package_with_a_bpe_model_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.argosmodel"
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("x/metadata.json", json.dumps({"from_code": "de", "to_code": "en"}))
        zipped.writestr("x/model/model.bin", b"")
        zipped.writestr("x/bpe.model", b"")
    with pytest.raises(SpeechSetupError, match="BPE model are not supported"):
        check_package(path)


def test_a_voice_without_its_description_is_said(voice: Path) -> None:
    voice.with_name(voice.name + ".json").unlink()
    with pytest.raises(SpeechSetupError, match=r"onnx\.json: missing; a Piper voice is two files"):
        find_models(SpeechSettings(models=voice.parents[1]))


@pytest.mark.parametrize("described", ['{"language": "de"}', '{"language": {"code": 5}, "espeak": null}', "{}"])
def test_a_description_that_names_no_language_leaves_the_files_name(voice: Path, described: str) -> None:
    voice.with_name(voice.name + ".json").write_text(described)
    found = find_models(SpeechSettings(models=voice.parents[1]))
    assert [model.languages for model in found.models if model.path == voice] == [("de",)]


def test_a_folder_may_have_any_name(recognizer: Path) -> None:
    for name in ("²", "model-١٢"):
        shutil.copytree(recognizer, recognizer.with_name(name))
    names = {model.name for model in find_models(SpeechSettings(models=recognizer.parents[1])).models}
    assert {"²", "model-١٢", "real"} <= names


@pytest.mark.parametrize("kept", [1, 100, 1_000_000, -4])
def test_a_cut_voice_is_found_without_loading_it(voice: Path, kept: int) -> None:
    left = voice.read_bytes()[:kept]
    voice.write_bytes(left)
    kept_bytes = len(left)
    with pytest.raises(SpeechSetupError, match=f"ends too early, at {kept_bytes} bytes"):
        check_voice(voice)


def test_an_empty_voice_is_found(voice: Path) -> None:
    voice.write_bytes(b"")
    with pytest.raises(SpeechSetupError, match="is empty"):
        check_voice(voice)


def test_a_description_of_something_else_is_found(voice: Path) -> None:
    voice.with_name(voice.name + ".json").write_text("{}")
    with pytest.raises(SpeechSetupError, match="has no 'audio'"):
        check_voice(voice)
