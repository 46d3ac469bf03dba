"""docs/configuration.md, written from the models, so that it cannot say anything else than they do.

python -m kallglot_media.config.reference > docs/configuration.md
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Union

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kallglot_media.config.announcements import DEFAULT_TEXTS, Announcements
from kallglot_media.config.answering import AnsweringMode
from kallglot_media.config.explain import as_yaml, constraints, model_in, setting_name
from kallglot_media.config.hours import ClockTime
from kallglot_media.config.mode import Mode
from kallglot_media.config.phrases import DEFAULT_PHRASES, Phrases
from kallglot_media.config.routes import Routes
from kallglot_media.config.server import Server
from kallglot_media.config.types import BindHost, Cidr, ConfigPath, ExternalHost, Language, LevelDb, SipUri

INTRODUCTION = """\
# Configuration

Three kinds of YAML file: `configs/server.yaml` names `configs/routes.yaml`, and that names mode files.
Everything has a default except what only you can know: who the agent is, and which languages are spoken.

    kallglot-media check                     every mistake in all of them, with its line and what to write instead
    kallglot-media check configs/modes/x.yaml
    kallglot-media route +4930123            which route a call takes, why, and where it leads
    kallglot-media check --schema schema     JSON Schemas for editors that complete YAML as one types
    kallglot-media doctor                    what is outside the files: ports, models, disk, clock

- Relative paths start at the folder of the file that they stand in.
- A name ends in its unit: `_ms` and `_s` are times, `_db` and `_dbfs` levels. Write numbers, not `500 ms`.
- `true` and `false`, not yes and no. A number that is a text, like an extension, wants quotes: `called: "110"`.
- `base: ../base.yaml` in a mode file takes over what the file does not say itself. Mistakes are named in the file that
  they stand in.
- Routes and modes may be changed while the server runs (SIGHUP reads them at once): the next call goes by them, calls
  that are there keep theirs, and files with mistakes change nothing but the log. `session.json` has the generation.
- Passwords stand in environment variables or in files of their own, never in these files.
- Unknown settings, settings written twice and values out of range are mistakes: the server does not start on a guess.

This page is made from the program's own models (`python -m kallglot_media.config.reference`); a test keeps it true.
"""

FILES: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("server.yaml", "The machine: its ports, its models, its limits.", Server),
    ("routes.yaml", "Which called number leads where. The first line that matches wins; none: 404.", Routes),
    (
        "modes/bidirectional_translation.yaml, modes/assistive_translation.yaml",
        "A customer and an agent, each in their own language; in the second the agent hears the customer's own voice.",
        Mode,
    ),
    (
        "modes/ai_agent.yaml, modes/help_chat_voice.yaml",
        "An AI answers the caller, and hands over to a human. What it says by itself is at the end of this page.",
        AnsweringMode,
    ),
)

_KINDS: tuple[tuple[object, str], ...] = (
    (ConfigPath, "path"),
    (Language, "language code"),
    (Cidr, "network"),
    (BindHost, "IP address"),
    (ExternalHost, "IP address or name"),
    (SipUri, "SIP address"),
    (LevelDb, "dB, -60 to 0, or `off`"),
    (ClockTime, "time of day"),
    (int, "whole number"),
    (float, "number"),
    (bool, "`true` or `false`"),
    (str, "text"),
)


def page() -> str:
    """The whole page as Markdown."""
    parts = [INTRODUCTION]
    for name, about, model in FILES:
        parts.append(f"## {name}\n\n{about}\n")
        parts += [_table(title, section) for title, section in _sections(model, "")]
    parts += [_announcements(), _phrases()]
    return "\n".join(parts)


def _sections(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Each section with its dotted name, outer before inner."""
    yield prefix, model
    for name, field in model.model_fields.items():
        inner = model_in(field.annotation)
        if inner is not None and inner not in (Announcements, Phrases):
            many = "[]" if typing.get_origin(field.annotation) is tuple else ""
            dot = "." if prefix else ""
            yield from _sections(inner, f"{prefix}{dot}{setting_name(name, field)}{many}")


def _table(title: str, model: type[BaseModel]) -> str:
    rows = [_row(setting_name(name, field), field) for name, field in model.model_fields.items()]
    about = " ".join((model.__doc__ or "").split())
    head = f"### {title}\n\n{about}\n\n" if title else ""
    return f"{head}| setting | value | default | meaning |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def _row(name: str, field: FieldInfo) -> str:
    inner = model_in(field.annotation)
    meaning = " ".join((field.description or (inner.__doc__ if inner else None) or "").split())
    return f"| `{name}` | {_cell(_kind(field))} | {_cell(_default(field))} | {_cell(meaning)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _kind(field: FieldInfo) -> str:
    """What may be written: "whole number, 1 to 5000", "`udp`, `tcp`"."""
    annotation = field.annotation
    inner = model_in(annotation)
    if inner is not None:
        return "list of sections, see below" if typing.get_origin(annotation) is tuple else "section, see below"
    # pydantic takes the outermost Annotated apart; put it together again to know it by name
    whole = typing.Annotated[annotation, *field.metadata] if field.metadata else annotation
    return _name_of(whole) or _name_of(annotation) or str(annotation)


def _name_of(annotation: Any) -> str:
    for known, name in _KINDS:
        if annotation == known:
            return name
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in args)
    if origin in (Union, types.UnionType):
        return _name_of(next(arg for arg in args if arg is not type(None)))
    if origin is tuple:
        return f"list of {'' if args[-1] is ... else f'{len(args)} '}{_plural(_name_of(args[0]))}"
    if annotation is Any:
        return "anything"
    if origin is dict:
        return f"mapping of {_name_of(args[0])} to {_name_of(args[1])}"
    if origin is typing.Annotated:
        return _name_of(args[0]) + _bounds(args[1:])
    return ""


def _plural(name: str) -> str:
    """ "whole number, 1 to 9" -> "whole numbers, 1 to 9"."""
    return name.replace(",", "s,", 1) if "," in name else f"{name}s"


def _bounds(metadata: tuple[Any, ...]) -> str:
    found = list(constraints(metadata))
    low = next((meta.ge for meta in found if isinstance(meta, annotated_types.Ge)), None)
    high = next((meta.le for meta in found if isinstance(meta, annotated_types.Le)), None)
    return "" if low is None or high is None else f", {low} to {high}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel) or value is None:
        return ""
    if isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        value = [{name: one for name, one in item if one not in (None, ()) and one is not True} for item in value]
    if isinstance(value, tuple | list) and value and not isinstance(value[0], int | dict):
        value = [str(item) for item in value]
    if isinstance(value, Mapping | tuple | list) and not value:
        return "empty"
    return f"`{as_yaml(value)}`"


def _phrases() -> str:
    """What the AI says by itself, each language in a line."""
    parts = [
        "## Phrases\n",
        "What an AI says by itself, in its mode file under `phrases`. A language that has no text here hears the",
        'English one; `""` says nothing.\n',
    ]
    for name, field in Phrases.model_fields.items():
        meaning = " ".join((field.description or "").split())
        parts.append(f"### {name}\n\n{meaning}\n")
        parts += [f"- `{language}` {text}" for language, text in DEFAULT_PHRASES[name].items()]
        parts.append("")
    return "\n".join(parts)


def _announcements() -> str:
    """The texts of the server, each language in a line."""
    parts = [
        "## Announcements\n",
        "What the server itself says, in a mode file or beside a service in routes.yaml. A language that has no text",
        'here hears the English one; `""` says nothing.\n',
        "    announcements:",
        "      busy:",
        '        de: "Unser Team spricht gerade. Bitte rufen Sie gleich noch einmal an."\n',
    ]
    for name, field in Announcements.model_fields.items():
        meaning = " ".join((field.description or "").split())
        parts.append(f"### {name}\n\n{meaning}\n")
        parts += [f"- `{language}` {text}" for language, text in DEFAULT_TEXTS[name].items()] or ["- no text"]
        parts.append("")
    return "\n".join(parts)


def write(path: Path) -> None:
    """Write the page."""
    path.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    print(page(), end="")
