"""schemathesis reads the served document and tries to catch the server lying.

A few seconds of it here; `make fuzz-api` goes on for as long as KALLGLOT_FUZZ_S says.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.support.api_world import ApiWorld, api_world

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(3600)]

ROOT = Path(__file__).parents[2]
RULES = Path(__file__).with_name("schemathesis.toml")
LONG_S = int(os.environ.get("KALLGLOT_FUZZ_S", "0"))
SHORT = ["--phases", "examples,fuzzing", "--max-examples", "2"]
LONG = ["--max-examples", "50", "--max-time", str(LONG_S)]


async def there(api: ApiWorld) -> dict[str, str]:
    """One of everything, so that requests reach what lies behind a 404: parameter of the path → id."""
    session = await api.session()
    await api.say(session["id"], "1-2 customer de Guten Tag | en Good day")
    rows = await api.record(session["id"])
    analysis = await api.call("POST", f"/v1/sessions/{session['id']}/analysis", {})
    agent = await api.call("POST", "/v1/agents", {"name": "A"})
    base = await api.call("POST", "/v1/knowledge_bases", {"name": "B"})
    document = await api.call("POST", f"/v1/knowledge_bases/{base['id']}/documents", {"title": "T", "text": "words"})
    endpoint = await api.call("POST", "/v1/webhook_endpoints", {"url": "https://example.com"})
    delivery = await api.call("POST", f"/v1/webhook_endpoints/{endpoint['id']}/test")
    return {
        "session_id": session["id"],
        "recording_id": rows["customer"].id,
        "analysis_id": analysis["id"],
        "agent_id": agent["id"],
        "base_id": base["id"],
        "document_id": document["id"],
        "endpoint_id": endpoint["id"],
        "delivery_id": delivery["id"],
    }


async def run(api: ApiWorld, folder: Path, ids: dict[str, str], options: list[str]) -> None:
    """Raises AssertionError with what it found."""
    rules = folder / "schemathesis.toml"
    fixed = "".join(f'"path.{name}" = "{value}"\n' for name, value in ids.items())
    rules.write_text(f"[parameters]\n{fixed}\n{RULES.read_text('utf-8')}")
    command = ["-m", "schemathesis.cli", "--config-file", str(rules), "run", f"{api.url}/openapi.json"]
    command += ["--header", f"Authorization: Bearer {api.token}", "--checks", "all", "--no-color", *options]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks", "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(LONG_S + 300):
        said, _ = await process.communicate()
    text = said.decode("utf-8", "replace")
    assert process.returncode == 0, text[-8000:]
    assert "generated" in text, "it tried nothing"


async def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    async with api_world(tmp_path / "server") as api:
        api.around.signalling.unresolvable = True  # nobody answers: a call is refused at once
        ids = await there(api)
        if LONG_S:
            await run(api, tmp_path, {}, LONG)
        await run(api, tmp_path, ids, ["--exclude-method", "DELETE", *(LONG if LONG_S else SHORT)])
