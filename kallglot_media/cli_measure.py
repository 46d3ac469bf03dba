"""`kallglot-media latency` and `eval`: what recordings and sets of recordings show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kallglot_media.cli_common import DEFAULT_CONFIG, JsonOption, UserError, err, out, plain_errors
from kallglot_media.config import load_config

EVAL_FOLDER = Path("eval-output")
_POLICIES = ("turn", "clause")
_CODECS = ("PCMU", "PCMA")


def latency(
    session: Annotated[Path, typer.Argument(help="A session's folder: DATA_DIR/sessions/ID.")],
    as_json: JsonOption = False,
) -> None:
    """How far the interpreter was behind, from the recorded tracks alone; exit code 1 when nothing was translated."""
    with plain_errors():
        from kallglot_media.measure.cli import latency_command

        code = latency_command(session, out, as_json=as_json)
    raise typer.Exit(code)


def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="SET", help="A folder of recordings with manifest.json.")],
    config: Annotated[Path, typer.Option(help="The server.yaml with the models to measure.")] = DEFAULT_CONFIG,
    out_folder: Annotated[Path, typer.Option("--out", help="Where calls, scores.json and the plot go.")] = EVAL_FOLDER,
    loss: Annotated[str, typer.Option(help="Percent of packets lost, one call each, e.g. 0,1,3,5.")] = "0",
    jitter: Annotated[int, typer.Option(min=0, max=2000, help="Packets are up to so many ms late.")] = 0,
    policy: Annotated[str, typer.Option(help="turn, clause, or both with a comma.")] = "turn",
    codec: Annotated[str, typer.Option(help="PCMU or PCMA.")] = "PCMU",
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many recordings of each pair.")] = None,
    bare: Annotated[bool, typer.Option("--bare", help="Only the bare engines, no calls.")] = False,
    as_json: JsonOption = False,
) -> None:
    """How well and how late a set of recordings is interpreted: by the bare engines, and through real calls."""
    with plain_errors():
        from kallglot_media.measure.cli import eval_command
        from kallglot_media.measure.evaluation import Plan
        from kallglot_media.measure.outcome import Way
        from kallglot_media.speech.settings import SpeechSettings

        policies = _chosen("--policy", policy.lower(), _POLICIES)
        (codec,) = _chosen("--codec", codec.upper(), _CODECS)
        ways = tuple(Way("a call", name, codec, part, jitter) for name in policies for part in _percents(loss))
        engines, speech = SpeechSettings(), {}
        if config != DEFAULT_CONFIG or config.exists():
            loaded = load_config(config)
            engines = loaded.engines()
            speech = loaded.server.speech.model_dump(mode="json", exclude_defaults=True)
        plan = Plan(() if bare else ways, out_folder, engines, speech)
        code = eval_command(folder, plan, limit, err if as_json else out, as_json=as_json)
    raise typer.Exit(code)


def _chosen(option: str, text: str, choices: tuple[str, ...]) -> tuple[str, ...]:
    asked = tuple(part.strip() for part in text.split(","))
    for one in asked:
        if one not in choices:
            raise UserError(f"{option}: is '{one}'; write one of: {', '.join(choices)}")
    return asked


def _percents(text: str) -> list[float]:
    try:
        parts = [float(part) for part in text.split(",")]
    except ValueError:
        parts = [-1.0]
    if any(not 0 <= part <= 100 for part in parts):
        raise UserError(f"--loss: is '{text}'; write percents with commas, e.g. 0,1,3,5")
    return parts
