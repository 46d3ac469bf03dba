"""Models into the models folder: from catalogues by hand, a mirror on disk, a server that breaks off."""

from __future__ import annotations

import hashlib
import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kallglot_media.cli import app
from kallglot_media.speech.catalogue import ARGOS_INDEX, HUB, Wanted, find
from kallglot_media.speech.errors import SpeechSetupError
from kallglot_media.speech.models import STARTER_FOLDER, find_models
from kallglot_media.speech.pull import fetch, pull, remove
from kallglot_media.speech.settings import SpeechSettings

(PACKAGE,) = (path.name for path in (STARTER_FOLDER / "argos").glob("translate-de_en-*.argosmodel"))


@pytest.fixture(name="mirror")
def _mirror(tmp_path: Path) -> Path:
    """The starter models, as somebody would keep real ones."""
    folder = tmp_path / "mirror"
    shutil.copytree(STARTER_FOLDER, folder)
    return sums(folder)


def sums(folder: Path) -> Path:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines))
    return folder


@pytest.mark.parametrize("name", ["whisper/mini-support", "argos/de-en", "piper/de_DE-diphone-x_low"])
def test_a_model_comes_from_a_mirror_on_disk_and_goes_again(mirror: Path, tmp_path: Path, name: str) -> None:
    models = tmp_path / "models"
    models.mkdir()
    pull(find(name, fetch, str(mirror)), models)
    settings = SpeechSettings(models=models)
    (mine,) = (model for model in find_models(settings).models if not model.starter)
    assert not list(models.rglob("*.part"))
    remove(mine.name, settings)
    assert [path for path in models.rglob("*") if path.is_file()] == []


def test_what_is_there_and_right_is_not_fetched_again(mirror: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    listing = find("argos/de-en", fetch, str(mirror))
    pull(listing, models)
    (mirror / "argos" / PACKAGE).unlink()
    assert pull(listing, models) == [models / "argos" / PACKAGE]


def test_a_file_with_another_digest_never_gets_its_name(mirror: Path, tmp_path: Path) -> None:
    listing = find("argos/de-en", fetch, str(mirror))
    (mirror / "argos" / PACKAGE).write_bytes(b"something else")
    with pytest.raises(SpeechSetupError, match="the catalogue says"):
        pull(listing, tmp_path / "models")
    assert [path for path in (tmp_path / "models").rglob("*") if path.is_file()] == []


# ── over HTTP ────────────────────────────────────────────────────────────────────


@dataclass
class Site:
    """A web server of one folder. breaks_after: it breaks off once after so many bytes of a file."""

    folder: Path
    url: str = ""
    breaks_after: int | None = None
    ranges: list[str | None] = field(default_factory=list)
    knows_ranges: bool = True

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        path = self.folder / handler.path.lstrip("/")
        if not path.is_file():
            handler.send_error(404)
            return
        data = path.read_bytes()
        asked = handler.headers.get("Range")
        self.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.knows_ranges else 0
        if start >= len(data) > 0:
            handler.send_error(416)
            return
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(data) - start))
        handler.end_headers()
        body = data[start:]
        if self.breaks_after is not None and path.suffix == ".argosmodel":
            body, self.breaks_after = body[: self.breaks_after], None
        handler.wfile.write(body)


@pytest.fixture(name="site")
def _site(mirror: Path) -> Iterator[Site]:
    site = Site(mirror)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield site
        server.shutdown()
        thread.join()


@pytest.mark.loopback
@pytest.mark.parametrize("knows_ranges", [True, False])
def test_what_was_broken_off_is_gone_on_with(site: Site, tmp_path: Path, knows_ranges: bool) -> None:
    site.breaks_after, site.knows_ranges = 1000, knows_ranges
    models = tmp_path / "models"
    listing = find("argos/de-en", fetch, site.url)
    with pytest.raises(SpeechSetupError):
        pull(listing, models)
    assert (models / "argos" / f"{PACKAGE}.part").stat().st_size == 1000
    told: list[tuple[int, int]] = []
    pull(listing, models, lambda file, done, size: told.append((done, size)))
    assert site.ranges[-1] == "bytes=1000-"
    whole = (site.folder / "argos" / PACKAGE).stat().st_size
    assert (models / "argos" / PACKAGE).stat().st_size == whole
    assert told[-1] == (whole, whole)


@pytest.mark.loopback
def test_the_command_says_what_is_wrong_and_what_to_write(site: Site, tmp_path: Path) -> None:
    folder = ["--folder", str(tmp_path / "models"), "--mirror", site.url]
    ran = CliRunner().invoke(app, ["models", "pull", "argos/de-en", "piper/de_DE-diphone-x_low", *folder])
    assert ran.exit_code == 0, ran.output
    assert "licence" in ran.output
    for name, mend in [("small", "write one like"), ("argos/xx-yy", "SHA256SUMS anew")]:
        ran = CliRunner().invoke(app, ["models", "pull", name, *folder])
        assert ran.exit_code == 2
        assert mend in ran.output.replace("\n", " ")
    ran = CliRunner().invoke(app, ["models", "remove", "piper/nothing", "--folder", str(tmp_path / "models")])
    assert ran.exit_code == 2
    assert PACKAGE.removesuffix(".argosmodel") in ran.output.replace("\n", "")


# ── catalogues ───────────────────────────────────────────────────────────────────


def catalogues(url: str) -> bytes:
    """What the three sites answer, in short."""
    voices = {
        "de_DE-thorsten-medium": {
            "files": {
                "de/thorsten/de_DE-thorsten-medium.onnx": {"size_bytes": 9, "md5_digest": "ab"},
                "de/thorsten/de_DE-thorsten-medium.onnx.json": {"size_bytes": 2, "md5_digest": "cd"},
                "de/thorsten/MODEL_CARD": {"size_bytes": 2, "md5_digest": "ef"},
            }
        }
    }
    tree = [
        {"path": "model.bin", "size": 5, "lfs": {"oid": "11"}},
        {"path": "config.json", "size": 2},
        {"path": "README.md", "size": 2},
    ]
    packages = [
        {
            "from_code": "de",
            "to_code": "en",
            "package_version": version,
            "links": [f"https://x.test/{version}.argosmodel"],
        }
        for version in ("1.9", "1.10", "1.0")
    ]
    return {
        f"{HUB}/api/models/Systran/faster-whisper-small/tree/main": json.dumps(tree).encode(),
        ARGOS_INDEX: json.dumps(packages).encode(),
        f"{HUB}/rhasspy/piper-voices/resolve/main/voices.json": json.dumps(voices).encode(),
        f"{HUB}/rhasspy/piper-voices/resolve/main/de/thorsten/MODEL_CARD": b"# Card\n* License: CC0\n",
    }.get(url, b"<html>")


def test_a_recogniser_of_the_hub() -> None:
    listing = find("whisper/small", catalogues)
    root = f"{HUB}/Systran/faster-whisper-small/resolve/main"
    assert listing.files == (
        Wanted("whisper/small/model.bin", f"{root}/model.bin", 5, "sha256:11"),
        Wanted("whisper/small/config.json", f"{root}/config.json", 2, ""),
    )
    assert "MIT" in listing.licence


def test_the_newest_package_of_a_pair() -> None:
    assert find("argos/de-en", catalogues).files == (
        Wanted("argos/translate-de_en-1_10.argosmodel", "https://x.test/1.10.argosmodel"),
    )


def test_a_voice_and_its_licence() -> None:
    listing = find("piper/de_DE-thorsten-medium", catalogues)
    assert [(file.path, file.size_bytes, file.digest) for file in listing.files] == [
        ("piper/de_DE-thorsten-medium.onnx", 9, "md5:ab"),
        ("piper/de_DE-thorsten-medium.onnx.json", 2, "md5:cd"),
    ]
    assert listing.licence == "CC0"


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("small", "whisper/small"),
        ("../etc", "whisper/small"),
        ("argos/de-fr", "through English"),
        ("piper/de_DE-nobody-low", "de_DE-thorsten-medium"),
        ("whisper/huge", "mirror"),
    ],
)
def test_a_name_that_is_not_there(name: str, mend: str) -> None:
    with pytest.raises(SpeechSetupError) as told:
        find(name, catalogues)
    assert mend in told.value.mend


def test_a_mirrors_list_cannot_lead_out_of_the_folder() -> None:
    lines = b"0" * 64 + b"  whisper/../../x/config.json\n" + b"0" * 64 + b"  whisper/small/config.json\n"
    assert [file.path for file in find("whisper/small", lambda url: lines, "m").files] == ["whisper/small/config.json"]
