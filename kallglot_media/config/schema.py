"""JSON Schemas of the kinds of file, for editors that complete and check YAML while one types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from kallglot_media.config.answering import AnsweringMode
from kallglot_media.config.mode import Mode
from kallglot_media.config.routes import Routes
from kallglot_media.config.server import Server

FILES: Mapping[str, type[BaseModel]] = {
    "server": Server,
    "routes": Routes,
    "mode": Mode,
    "answering-mode": AnsweringMode,
}


def schema_of(kind: type[BaseModel]) -> dict[str, object]:
    """JSON Schema (draft 2020-12) of one kind of file."""
    schema = kind.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema


def write_schemas(folder: Path) -> list[Path]:
    """Write NAME.schema.json for server, routes, mode and answering-mode; returns their paths.

    An editor finds them by a first line like `# yaml-language-server: $schema=schema/mode.schema.json`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, kind in FILES.items():
        path = folder / f"{name}.schema.json"
        path.write_text(json.dumps(schema_of(kind), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        written.append(path)
    return written
