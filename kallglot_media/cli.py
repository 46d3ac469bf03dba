"""`kallglot-media`: every command. A mistake of the user is one clear line with its mend, and exit code 2."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from kallglot_media import __version__
from kallglot_media.cli_common import (
    DEFAULT_CONFIG,
    USER_ERROR,
    ConfigArgument,
    JsonOption,
    UserError,
    err,
    out,
    plain_errors,
)
from kallglot_media.cli_measure import evaluate, latency
from kallglot_media.cli_models import models_app, settings_for_models
from kallglot_media.cli_recordings import recordings_app
from kallglot_media.cli_sessions import sessions_app
from kallglot_media.cli_store import keys_app, table, webhooks_app
from kallglot_media.config import ConfigErrors, check_file, load_config
from kallglot_media.errors import SetupError

DEMO_FOLDER = Path("demo-output")

app = typer.Typer(
    name="kallglot-media",
    help="Interpret phone calls between two languages, on your own machines.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(models_app, name="models")
users_app = typer.Typer(help="Who may log on to this server.", no_args_is_help=True)
app.add_typer(users_app, name="users")
app.add_typer(keys_app, name="keys")
app.add_typer(sessions_app, name="sessions")
app.add_typer(recordings_app, name="recordings")
app.add_typer(webhooks_app, name="webhooks")
app.command()(latency)
app.command("eval")(evaluate)


def _version(asked: bool) -> None:
    if asked:
        out.print(f"kallglot-media {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


@app.command()
def serve(
    config: ConfigArgument = DEFAULT_CONFIG,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error, over log.level.")] = None,
    log_format: Annotated[str | None, typer.Option(help="console, json or auto, over log.format.")] = None,
) -> None:
    """Take calls until SIGTERM or Ctrl-C; live calls may then finish (limits.drain_s)."""
    with plain_errors():
        loaded = load_config(config)
        level = _one_of("--log-level", log_level or loaded.server.log.level, ("debug", "info", "warning", "error"))
        style = _one_of("--log-format", log_format or loaded.server.log.format, ("auto", "console", "json"))
        from kallglot_media import log
        from kallglot_media.server import serve as serve_calls

        log.configure(level, style)
        _run_async(lambda: serve_calls(loaded))


def _one_of(option: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise UserError(f"{option}: is '{value}'; write one of: {', '.join(choices)}")
    return value


def _run_async(main: Callable[[], Any]) -> None:
    import uvloop

    try:
        uvloop.run(main())
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except BaseExceptionGroup as group:
        mendable, _ = group.split(SetupError)
        if mendable is None:
            raise
        raise _first(mendable) from None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error of a TaskGroup: the one whose siblings were cancelled for it."""
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


@app.command()
def check(
    files: Annotated[list[Path] | None, typer.Argument(help="server.yaml, routes.yaml or mode files.")] = None,
    schema: Annotated[Path | None, typer.Option(help="Write JSON Schemas for editors into this folder.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Report every mistake in the configuration, with its line and what to write instead."""
    with plain_errors():
        if schema is not None:
            _write_schemas(schema)
            if not files:
                return
        asked = files or [DEFAULT_CONFIG]
        mistakes = [mistake for file in asked for mistake in check_file(file)]
        if as_json:
            print(json.dumps([asdict(mistake) for mistake in mistakes], ensure_ascii=False, indent=2))
        if mistakes and not as_json:
            raise ConfigErrors(mistakes)
        if mistakes:
            raise typer.Exit(USER_ERROR)
        if not as_json:
            out.print(f"[green]no mistakes[/] in {', '.join(str(file) for file in asked)}")


def _write_schemas(folder: Path) -> None:
    from kallglot_media.config.schema import write_schemas

    try:
        written = write_schemas(folder)
    except OSError as why:
        raise SetupError(str(folder), (why.strerror or str(why)).lower(), "name a folder that can be written") from None
    for path in written:
        out.print(f"wrote {path}")


@app.command()
def route(
    number: Annotated[str, typer.Argument(help="The called number: the part of the address before the @.")],
    config: Annotated[Path, typer.Option(help="The server.yaml.")] = DEFAULT_CONFIG,
    caller: Annotated[str, typer.Option(help="Who calls.")] = "",
    header: Annotated[list[str] | None, typer.Option(help="'Name: value' of the INVITE; may be repeated.")] = None,
    at: Annotated[str | None, typer.Option(help="When, e.g. 2026-11-29T18:30+01:00; left out: now.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say which route a call takes and why, and where it leads."""
    with plain_errors():
        from kallglot_media.cli_route import asked_of, explain_route

        found = explain_route(load_config(config), number, asked_of(caller, header or (), at))
        if as_json:
            print(json.dumps(asdict(found), ensure_ascii=False, indent=2))
        for step in () if as_json else found.steps:
            sign = "[green]takes it[/]" if step.taken else "[dim]passes  [/]"
            out.print(f"{sign} {escape(step.route)}: {escape(step.why)}")
        if not as_json and found.mode is not None:
            out.print(f"mode      {escape(found.mode)}")
            out.print(f"languages {', '.join(found.languages) or 'none'}")
            out.print(f"leads to  {escape(found.leads_to or 'nobody else')}")
        if found.mode is None:
            err.print(f"no route takes '{escape(number)}': the call gets 404; write one into routes.yaml")
            raise typer.Exit(USER_ERROR)


@app.command()
def doctor(config: ConfigArgument = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Look at everything a call needs: ports, engines, models, codecs, disk, clock, priority."""
    with plain_errors():
        loaded = load_config(config)
        from kallglot_media.doctor import State, examine

        signs = {State.OK: "[green]ok  [/]", State.WARN: "[yellow]warn[/]", State.BAD: "[red]bad [/]"}
        findings = []
        for finding in examine(loaded):
            findings.append(finding)
            if not as_json:
                out.print(f"{signs[finding.state]} {finding.check:<11} {escape(finding.saw)}")
                if finding.mend:
                    out.print(f"                 → {escape(finding.mend)}")
        if as_json:
            print(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2))
        if any(finding.state is State.BAD for finding in findings):
            raise typer.Exit(USER_ERROR)


@models_app.command("list")
def models_list(config: ConfigArgument = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Every model found, which of them are used, and what the starter models cannot do."""
    with plain_errors():
        from kallglot_media.speech.models import find_models

        settings = settings_for_models(config)
        installed = find_models(settings)
        used = {model.path for model in installed.used(settings)}
        if as_json:
            rows = [
                asdict(model) | {"path": str(model.path), "used": model.path in used, "limits": model.limits}
                for model in installed.models
            ]
            print(json.dumps(rows, ensure_ascii=False, indent=2))
            return
        lines = [
            (
                model.kind,
                model.name,
                " ".join(model.languages),
                f"{model.size_bytes / 1e6:.0f}",
                "yes" if model.path in used else "no",
                "starter" if model.starter else "",
            )
            for model in installed.models
        ]
        out.print(escape(table(("kind", "name", "languages", "MB", "used", ""), lines)))
        for kind, limits in dict.fromkeys((model.kind, model.limits) for model in installed.models if model.starter):
            out.print(f"starter {kind}: {limits}")
        where = installed.folder or "none: starter models only (set KALLGLOT_MODELS or speech.models_dir)"
        out.print(f"models folder: {escape(str(where))}")


@models_app.command("check")
def models_check(config: ConfigArgument = DEFAULT_CONFIG) -> None:
    """Are the files of every model there and whole? Exit code 2 when one is not."""
    with plain_errors():
        from kallglot_media.speech.model_check import check as check_model
        from kallglot_media.speech.models import find_models

        broken = 0
        for model in find_models(settings_for_models(config)).models:
            try:
                check_model(model)
            except SetupError as why:
                broken += 1
                err.print(f"[red]{escape(why.where)}[/]: {escape(why.wrong)}; {escape(why.mend)}")
            else:
                out.print(f"[green]ok[/] {model.kind} {escape(model.name)} {escape(str(model.path))}")
        if broken:
            raise typer.Exit(USER_ERROR)


@users_app.command("hash")
def users_hash(
    user: Annotated[str, typer.Argument(help="The name that the phone or PBX logs on with.")],
    config: Annotated[Path, typer.Option(help="The server.yaml with sip.realm.")] = DEFAULT_CONFIG,
    realm: Annotated[str | None, typer.Option(help="The realm instead of that of server.yaml.")] = None,
) -> None:
    """Read a password and print the hash that may stand in its place in a password_file."""
    with plain_errors():
        from kallglot_media.cli_users import hash_line

        out.print(hash_line(user, realm, config), markup=False)


@app.command()
def phone(
    uri: Annotated[str | None, typer.Argument(help="Who to call, e.g. sip:echo@127.0.0.1:5060.")] = None,
    listen: Annotated[str | None, typer.Option(help="Wait to be called at HOST:PORT instead.")] = None,
    script: Annotated[str | None, typer.Option(help="Steps, or a file with steps: see docs/phone.md.")] = None,
    play: Annotated[list[Path] | None, typer.Option(help="Say this WAV file and listen; may be repeated.")] = None,
    record: Annotated[Path | None, typer.Option(help="WAV file for what is heard.")] = None,
    report: Annotated[Path | None, typer.Option(help="JSON file for what happened.")] = None,
    local: Annotated[str, typer.Option(help="Our own address when calling; default: the one that leads there.")] = "",
    transport: Annotated[str, typer.Option(help="udp or tcp.")] = "udp",
    codec: Annotated[str, typer.Option(help="PCMU, PCMA, or both with a comma.")] = "PCMU,PCMA",
    user: Annotated[str, typer.Option(help="The name before the @ of our own address.")] = "phone",
    ring: Annotated[float, typer.Option(help="Seconds to ring before answering.")] = 0.0,
    wait: Annotated[float, typer.Option(help="Seconds to wait for a call, or for an answer.")] = 60.0,
    text: Annotated[bool, typer.Option("--text", help="Show real-time text (RFC 4103): subtitles.")] = False,
    loss: Annotated[float, typer.Option(min=0, max=100, help="Percent of its packets that never arrive.")] = 0.0,
    jitter: Annotated[int, typer.Option(min=0, max=2000, help="Its packets are up to so many ms late.")] = 0,
) -> None:
    """A scripted softphone: call or be called, say WAV files, press keys, record what is heard."""
    with plain_errors():
        from kallglot_media.phone.cli import phone_command
        from kallglot_media.phone.phone import PhoneSettings
        from kallglot_media.phone.rough_path import PathRules

        host, port = _host_and_port(listen) if listen else (local, 0)
        codecs = tuple(_one_of("--codec", name.strip().upper(), ("PCMU", "PCMA")) for name in codec.split(","))
        settings = PhoneSettings(
            user,
            host,
            port,
            _one_of("--transport", transport.lower(), ("udp", "tcp")),
            codecs,
            ring,
            wait,
            text=text,
            path=PathRules(loss / 100, jitter),
        )
        code = phone_command(
            uri,
            listen=listen is not None,
            settings=settings,
            script=script,
            play=play or (),
            record=record,
            report=report,
        )
    raise typer.Exit(code)


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise UserError(f"--listen: is '{text}'; write HOST:PORT, e.g. 127.0.0.1:5070")
    return host.strip("[]"), int(port)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--out", help="Where recordings, logs and the plot go.")] = DEMO_FOLDER,
    as_json: JsonOption = False,
) -> None:
    """Two phones, one interpreted call, all on this machine; fails when anything was not heard. Under 2 minutes."""
    with plain_errors():
        from kallglot_media.phone.cli import demo_command

        code = demo_command(folder, as_json=as_json, console=err if as_json else None)
    raise typer.Exit(code)


@app.command()
def plot(
    session: Annotated[Path, typer.Argument(help="A session's folder: DATA_DIR/sessions/ID.")],
    folder: Annotated[Path | None, typer.Option("--out", help="Where to draw; left out: into that folder.")] = None,
) -> None:
    """Draw a session: four tracks, the turns with their texts, and the lag of each; PNG and SVG."""
    with plain_errors():
        from kallglot_media.phone.cli import plot_command

        code = plot_command(session, folder)
    raise typer.Exit(code)


def main() -> None:
    """Entry point of the script `kallglot-media`."""
    app()


if __name__ == "__main__":
    main()
