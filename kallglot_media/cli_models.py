"""`kallglot-media models pull|remove`: models into the models folder and out of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from kallglot_media.cli_common import DEFAULT_CONFIG, UserError, err, out, plain_errors
from kallglot_media.config import load_config

models_app = typer.Typer(help="What recognises, translates and speaks.", no_args_is_help=True)

ConfigOption = Annotated[Path, typer.Option("--config", help="The server.yaml with speech.models_dir.")]
FolderOption = Annotated[
    Path | None, typer.Option("--folder", help="The models folder, instead of the configured one.")
]


def settings_for_models(config: Path) -> Any:
    """The configuration's engine settings; where there is no configuration, the defaults."""
    from kallglot_media.speech.settings import SpeechSettings

    if config == DEFAULT_CONFIG and not config.exists():
        return SpeechSettings()
    return load_config(config).engines()


@models_app.command("pull")
def models_pull(
    names: Annotated[list[str], typer.Argument(help="whisper/small, argos/de-en, piper/de_DE-thorsten-medium")],
    mirror: Annotated[str | None, typer.Option(help="A models folder with SHA256SUMS, by URL or path.")] = None,
    folder: FolderOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Download models, checked; what was broken off is gone on with. Nothing else is ever fetched."""
    with plain_errors():
        from kallglot_media.speech.catalogue import find
        from kallglot_media.speech.pull import fetch, pull

        target = _folder(folder, config)
        target.mkdir(parents=True, exist_ok=True)
        listings = [find(name, fetch, mirror) for name in names]  # every name is looked up before anything is fetched
        for listing in listings:
            out.print(f"{listing.name}: licence {listing.licence}", markup=False)
            with _progress() as show:
                files = pull(listing, target, show)
            out.print(
                f"{listing.name}: {sum(file.stat().st_size for file in files) / 1e6:.0f} MB in {target}", markup=False
            )


@models_app.command("remove")
def models_remove(
    name: Annotated[str, typer.Argument(help="As `models list` shows it, or with its kind: whisper/small.")],
    folder: FolderOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Delete a model from the models folder."""
    with plain_errors():
        from kallglot_media.speech.pull import remove

        for path in remove(name, replace(settings_for_models(config), models=_folder(folder, config))):
            out.print(f"removed {path}", markup=False)


def _folder(named: Path | None, config: Path) -> Path:
    from kallglot_media.speech.models import MODELS_VARIABLE, models_folder

    folder = named or models_folder(settings_for_models(config))
    if folder is None:
        raise UserError(f"no models folder: set {MODELS_VARIABLE} or speech.models_dir, or write --folder models")
    return folder.expanduser().absolute()


class _progress:  # noqa: N801 - used like a function
    """A bar for each file, on a terminal; nothing elsewhere."""

    def __enter__(self) -> Callable[[Any, int, int], None]:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._progress = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
        self._tasks: dict[str, Any] = {}
        self._progress.start()
        return self._show

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _show(self, file: Any, done: int, size: int) -> None:
        if file.path not in self._tasks:
            self._tasks[file.path] = self._progress.add_task(file.path.rsplit("/", 1)[-1])
        self._progress.update(self._tasks[file.path], completed=done, total=size or None)
