"""Holds every answer to the OpenAPI document: its path, status, media type and body must be described there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import jsonschema_rs

Json = dict[str, Any]

ALWAYS_POSSIBLE = (404, 405)
"""Paths and methods that are not there are in no document."""


class Truth:
    """check() raises AssertionError for what the document does not say."""

    def __init__(self, document: Json) -> None:
        self.document = document
        self._paths = {re.compile(re.sub(r"\{\w+\}", "[^/]+", path)): ops for path, ops in document["paths"].items()}
        self._validators: dict[str, Any] = {}

    def operations(self) -> Iterator[tuple[str, str, Json]]:
        """(method, path, operation) of all."""
        for path, operations in self.document["paths"].items():
            for method, operation in operations.items():
                yield method.upper(), path, operation

    def check(self, response: httpx2.Response) -> None:
        """response: read already."""
        path, method = response.request.url.raw_path.decode().partition("?")[0], response.request.method.lower()
        where = f"{method.upper()} {path} {response.status_code}"
        found = [ops[method] for regex, ops in self._paths.items() if regex.fullmatch(path) and method in ops]
        if not found:
            assert response.status_code in ALWAYS_POSSIBLE, f"{where}: not in the document"
            return
        described = found[-1]["responses"].get(str(response.status_code))
        assert described is not None, f"{where}: this status is not in the document"
        assert "x-request-id" in response.headers, where
        if not response.content:
            return
        media_type = response.headers["content-type"].partition(";")[0]
        assert media_type in described.get("content", {}), f"{where}: {media_type} is not in the document"
        if media_type == "application/json":
            self.validate(described["content"][media_type]["schema"], response.json(), where)

    def validate(self, schema: Json, value: object, where: str) -> None:
        """A value against a schema of the document."""
        key = json.dumps(schema, sort_keys=True)
        if key not in self._validators:
            whole = {**schema, "components": self.document["components"]}
            self._validators[key] = jsonschema_rs.validator_for(whole)
        errors = [
            f"{'/'.join(map(str, error.instance_path))}: {error.message}"
            for error in self._validators[key].iter_errors(value)
        ]
        assert not errors, f"{where}: {errors}"
