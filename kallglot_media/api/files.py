"""A file as an answer: whole or in parts (RFC 9110, section 14), and not again to a client that has it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from kallglot_media.api.errors import ApiError

_RANGES = re.compile(r"bytes\s*=\s*(?:\d+-\d*|-\d+)(?:\s*,\s*(?:\d+-\d*|-\d+))*\s*", re.IGNORECASE | re.ASCII)
_ONE = re.compile(r"(\d*)-(\d*)", re.ASCII)
_LONGEST_DIGITS = 18


class PartialFile(FileResponse):
    """Sends what was asked for. whole: "an invalid ranges-specifier" is ignored (RFC 9110, section 14.2)."""

    whole = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if self.whole:
            scope = {**scope, "headers": [header for header in scope["headers"] if header[0] != b"range"]}
        await super().__call__(scope, receive, send)


def send_file(request: Request, path: Path, media_type: str, name: str, etag: str) -> Response:
    """The file at `path`. Raises ApiError 416, OSError.

    etag  changes with the content; without quotes
    """
    stat = path.stat()
    quoted = f'"{etag}"'
    seen = request.headers.get("if-none-match", "")
    if quoted in [one.strip().removeprefix("W/") for one in seen.split(",")]:
        return Response(status_code=304, headers={"ETag": quoted, "Cache-Control": "private, no-cache"})
    headers = {"etag": quoted, "cache-control": "private, no-cache"}
    response = PartialFile(path, 200, headers, media_type, filename=name, stat_result=stat)
    response.whole = not _is_range(request.headers.get("range"), stat)
    return response


def _is_range(header: str | None, stat: os.stat_result) -> bool:
    """Whether there is a range to obey. Raises ApiError 416 when the file has none such."""
    if header is None or not _RANGES.fullmatch(header):
        return False
    parts = [(one[1], one[2]) for one in _ONE.finditer(header)]
    if any(len(digits) > _LONGEST_DIGITS for part in parts for digits in part):
        return False
    if any(first and last and int(last) < int(first) for first, last in parts):
        return False
    for first, last in parts:
        if (int(first) >= stat.st_size) if first else (int(last) == 0 or stat.st_size == 0):
            raise ApiError(
                416,
                "invalid_field_value",
                f"Range: is {header[:100]!r}, and the file has {stat.st_size} bytes; ask for what is there",
                param="Range",
                headers={"Content-Range": f"bytes */{stat.st_size}"},
            )
    return True
