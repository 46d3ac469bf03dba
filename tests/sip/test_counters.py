"""docs/sip.md names every counter that there is, and no other."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_COUNTED = re.compile(r"""(?:count\(|counters\[)f?["']([a-z0-9_]+)(\{?)""")
_TCP_ENDED = re.compile(r"""self\._end\(["']([a-z_]+)["']""")


def counted(*files: Path) -> set[str]:
    """Names as the documentation writes them: "malformed_…" for those with a variable end."""
    found: set[str] = set()
    for file in files:
        text = file.read_text()
        found |= {name + ("…" if variable else "") for name, variable in _COUNTED.findall(text)}
        found |= set(_TCP_ENDED.findall(text))
    return found


def test_every_counter_is_explained() -> None:
    package = ROOT / "kallglot_media"
    names = counted(*(package / "sip").glob("*.py"))
    for transport, *files in (("udp", "sip_udp"), ("tcp", "sip_tcp", "connection"), ("tls", "tls")):
        names |= {f"{transport}_{name}" for name in counted(*(package / "net" / f"{file}.py" for file in files))}
    # Written by conditional expressions, which no pattern should have to read.
    names |= {"calls_over_limit", "draining", "info", "info_dtmf", "request_without_dialog", "ack_without_dialog"}
    names |= {"stray_response", "stray_response_2xx"}
    table = (ROOT / "docs" / "sip.md").read_text().partition("## Counters")[2]
    explained = {
        name
        for row in table.splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`([^`]+)`", row.split("|")[1])
    }
    assert names == explained
