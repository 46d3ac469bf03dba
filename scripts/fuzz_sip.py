"""Throw damaged dialogs at a running SIP agent, and see that nothing is raised and nothing is left.

    python scripts/fuzz_sip.py [--messages 1000000] [--seed 1] [--slice 50000]

Forty dialogs at once, both roles, UDP and TCP, in pretend time; half of all messages have one to three mistakes
(bytes, lines, parameters, splices), some come late or twice, connections fail. After each slice everybody hangs up,
all timers run, and open calls, dialogs, transactions, ports and deadlines must be zero; then the same agent goes on.
When something is raised, the messages before it are written to tests/torture/found/, where a test plays them for ever.
"""

from __future__ import annotations

import argparse
import gc
import platform
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kallglot_media.sip.events import Peer  # noqa: E402
from tests.support.fuzz import Fuzz, write_found  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--slice", type=int, default=50_000)
    options = parser.parse_args()

    def keep(messages: list[tuple[bytes, Peer]]) -> None:
        path = write_found(ROOT / "tests" / "torture" / "found", f"seed{options.seed}", messages)
        print(f"the last messages are in {path.relative_to(ROOT)}", file=sys.stderr)

    fuzz = Fuzz(options.seed, on_wrong=keep)
    began_s = time.process_time()
    while fuzz.messages < options.messages:
        fuzz.run(min(options.slice, options.messages - fuzz.messages))
        left = fuzz.end()
        spent_s = time.process_time() - began_s
        print(
            f"{fuzz.messages:>9} messages, {fuzz.messages / spent_s:.0f}/s of CPU, {fuzz.calls} calls, "
            f"{len(gc.get_objects())} objects, left: {left}",
            flush=True,
        )
        if not left.is_nothing():
            sys.exit(f"seed {options.seed}: something is left after {fuzz.messages} messages")
    print(f"\nCPython {platform.python_version()}: nothing raised, nothing left. Counted:")
    for name, count in sorted(fuzz.agent.counters.items()):
        print(f"  {name:<40}{count:>9}")


if __name__ == "__main__":
    main()
