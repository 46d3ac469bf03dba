"""`kallglot-media recordings`: whether the recordings are what was recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from kallglot_media.cli_common import DEFAULT_CONFIG, JsonOption, UserError, out, plain_errors
from kallglot_media.cli_store import ConfigOption, print_json
from kallglot_media.config import load_config

recordings_app = typer.Typer(help="Recordings, and whether somebody changed them.", no_args_is_help=True)


@recordings_app.command("check")
def recordings_check(
    folder: Annotated[
        Path | None, typer.Argument(help="Where recordings.chain lies; left out: sessions in data_dir.")
    ] = None,
    expect: Annotated[
        str | None, typer.Option(metavar="HASH", help="A last hash that was noted down: the chain must have it still.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Compare every recording with the chain of hashes; exit code 1 when one was changed, removed from it or added.

    A recording that retention has deleted is not wrong. Who can write the folder can write a whole new chain, too:
    note the last hash down elsewhere, and give it as --expect.
    """
    from kallglot_media.media import chain

    with plain_errors():
        where = folder if folder is not None else load_config(config).server.data_dir / "sessions"
        if not where.is_dir():
            raise UserError(f"{where}: there is no such folder; write the one with {chain.NAME} in it")
        links = chain.links(where)
        found = list(chain.problems(where))
        if expect is not None and expect not in {link.hash for link in links}:
            found.append(f"{where / chain.NAME}: has no line with the hash {expect}; it was written anew, or cut short")
        last = links[-1].hash if links else None
        if as_json:
            print_json({"recordings": len(links), "last_hash": last, "problems": found})
        else:
            for problem in found:
                out.print(escape(problem), soft_wrap=True)
            kept = f"{len(links)} recording{'' if len(links) == 1 else 's'}"
            said = f"{kept} in the chain, {len(found) or 'no'} problem{'' if len(found) == 1 else 's'}"
            out.print(said + (f"; last hash {last}" if last else ""), soft_wrap=True)
        if found:
            raise typer.Exit(1)
