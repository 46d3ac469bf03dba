"""The interop matrix: which feature was proved with which peer, as a page of Markdown."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

PACKAGES: Mapping[str, str] = {
    "SIPp": "sip-tester",
    "baresip": "baresip-core",
    "Linphone": "linphone-cli",
    "Kamailio": "kamailio",
    "sipsak": "sipsak",
}
"""Peer → the Debian package whose version the page names."""


@dataclass(slots=True)
class Matrix:
    """Rows by peer and feature; a row passes when all its tests did."""

    rows: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)

    def add(self, peer: str, feature: str, test: str, outcome: str) -> None:
        """One test's outcome: "passed", "failed" or "skipped". Of several phases of a test the worst counts."""
        tests = self.rows.setdefault((peer, feature), {})
        if _RANK[outcome] >= _RANK[tests.get(test, "passed")]:
            tests[test] = outcome

    def page(self, versions: Mapping[str, str], date: str) -> str:
        """docs/interop.md."""
        lines = [
            "# Interop\n",
            f"Made by `make interop` on {date}. A row passes when all its tests did;\n"
            "else those that did not are named.\n",
            "| peer | version |\n|---|---|",
            *(f"| {peer} | {version} |" for peer, version in versions.items()),
            "\n| peer | what was tried | result |\n|---|---|---|",
        ]
        for (peer, feature), tests in sorted(self.rows.items(), key=lambda row: (row[0][0].lower(), row[0][1])):
            lines.append(f"| {peer} | {feature} | {_result(tests)} |")
        return "\n".join(lines) + "\n"

    def into(self, readme: str) -> str:
        """README.md with one row for each peer between the two marks."""
        peers: dict[str, list[str]] = {}
        for (peer, feature), tests in sorted(self.rows.items(), key=lambda row: (row[0][0].lower(), row[0][1])):
            result = _result(tests)
            peers.setdefault(peer, []).append(feature if result == "pass" else f"{feature}: {result}")
        rows = [f"| {peer} | {' · '.join(features)} |" for peer, features in peers.items()]
        before, _, rest = readme.partition(_BEGIN)
        _, mark, after = rest.partition(_END)
        if not mark:
            raise ValueError(f"README.md has no {_BEGIN} … {_END}")
        return f"{before}{_BEGIN}\n| peer | proved with it |\n|---|---|\n" + "\n".join(rows) + f"\n{_END}{after}"


_BEGIN, _END = "<!-- made by make interop -->", "<!-- end -->"
_RANK = {"passed": 0, "skipped": 1, "failed": 2}


def _result(tests: Mapping[str, str]) -> str:
    worst = max(tests.values(), key=_RANK.__getitem__)
    if worst == "passed":
        return "pass"
    names = ", ".join(f"`{name}`" for name, outcome in tests.items() if outcome == worst)
    return f"**{worst}**: {names}" if worst == "failed" else f"not tried: {names}"


def versions(extra: Sequence[tuple[str, str]] = ()) -> dict[str, str]:
    """What Debian's package manager says of the peers that are installed."""
    found = {}
    for peer, package in PACKAGES.items():
        asked = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, check=False
        )
        if asked.returncode == 0 and asked.stdout:
            found[peer] = asked.stdout
    return found | dict(extra)
