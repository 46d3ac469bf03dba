"""What all commands share: how they print, and how they say what a person can mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from kallglot_media.config import ConfigErrors
from kallglot_media.errors import SetupError

DEFAULT_CONFIG = Path("configs/server.yaml")
USER_ERROR = 2

out = Console(highlight=False, soft_wrap=True)
err = Console(highlight=False, soft_wrap=True, stderr=True)

ConfigArgument = Annotated[Path, typer.Argument(help="The server.yaml.", show_default=True)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


class UserError(Exception):
    """One line for the person at the terminal; exit code 2."""


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn what the user can mend into a line on standard error and exit code 2. Ours keep their traceback."""
    try:
        yield
    except ConfigErrors as errors:
        show_config_errors(errors)
        raise typer.Exit(USER_ERROR) from None
    except SetupError as error:
        err.print(f"[red]{escape(error.where)}[/]: {escape(error.wrong)}; {escape(error.mend)}")
        raise typer.Exit(USER_ERROR) from None
    except UserError as error:
        err.print(escape(str(error)))
        raise typer.Exit(USER_ERROR) from None


def show_config_errors(errors: ConfigErrors) -> None:
    """Each mistake with its mend below it, and how many there are."""
    for error in errors.errors:
        err.print(f"[red]{escape(error.where)}[/]: {escape(error.wrong)}\n    {escape(error.mend)}")
    count = len(errors.errors)
    err.print(f"{count} mistake{'s' if count > 1 else ''}")
