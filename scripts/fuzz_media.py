"""A million datagrams of every kind at RTP ports, and what was counted.

    python scripts/fuzz_media.py [--datagrams 1000000] [--seed 1]

Ends with an error when one raises, when a call beside the storm hears anything of it, or when memory grows.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.fuzz_media import Storm, memory_mb

MOST_GROWTH_MB = 40.0
WARM_UP = 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datagrams", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    Storm(arguments.seed).run(WARM_UP)
    before_mb, start_s = memory_mb(), time.monotonic()
    counted, done, seed = Storm(arguments.seed + 1).run(1), 1, arguments.seed + 1
    while done < arguments.datagrams:
        seed += 1
        counted += Storm(seed).run(WARM_UP)
        done += WARM_UP
    grown_mb = memory_mb() - before_mb
    print(f"{done} datagrams in {time.monotonic() - start_s:.0f} s, {grown_mb:.1f} MB more, nothing raised")
    for name, count in sorted(counted.items()):
        print(f"  {name:20} {count}")
    if grown_mb > MOST_GROWTH_MB:
        sys.exit(f"memory grew by {grown_mb:.0f} MB, at most {MOST_GROWTH_MB:.0f} are fine")


if __name__ == "__main__":
    main()
