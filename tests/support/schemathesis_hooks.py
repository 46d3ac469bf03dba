"""Loaded by schemathesis: a good Idempotency-Key is made new for each request, because a repeated one is refused."""

from __future__ import annotations

import re
import uuid
from typing import Any

import schemathesis

_GOOD = re.compile(r"[ -~]{1,255}")


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Called before every request."""
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and key.strip() and _GOOD.fullmatch(key):
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
