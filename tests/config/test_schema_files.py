"""configs/schema: what editors complete YAML with is what the program takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kallglot_media.config.schema import FILES, schema_of

FOLDER = Path(__file__).parents[2] / "configs" / "schema"


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_schema_file_is_what_the_models_say(name: str) -> None:
    """When this fails: kallglot-media check --schema configs/schema"""
    assert json.loads((FOLDER / f"{name}.schema.json").read_text("utf-8")) == schema_of(FILES[name])
