"""Whether the jitter buffer's rule is good enough, and what mending a clock by whole frames costs: PESQ tables.

    python scripts/bench_jitter.py [--sentences 12]

The plane by hand, in simulated time, so the machine does not matter. One call of so many sentences of eight seconds,
without losses: against fixed targets, of which the best is the most that any rule could reach while the network stays
the same; and at clocks that differ, where a frame is dropped or repeated so that the delay stays.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import numpy as np
from media_network import Call, Lateness, Network, Pcm16, even, lags_ms, sentences

from kallglot_media.rtp.reserve import JitterRules

FIXED_MS = (40, 80, 100, 120, 140)
PPM = (0, 200, -200, 1000, -1000, 2500, -2500)


def by_turns(at_s: float, chance: np.random.Generator) -> float:
    """10 and 80 ms, 16 s each."""
    return float(chance.uniform(0, 0.010 if at_s // 16 % 2 == 0 else 0.080))


def holes(at_s: float, _chance: np.random.Generator) -> float:
    """Nothing for 120 ms every 7 s, and then all at once."""
    return max(0.0, 0.120 - at_s % 7)


def normal(_at_s: float, chance: np.random.Generator) -> float:
    """Half a normal distribution."""
    return abs(float(chance.normal(0, 0.020)))


NETWORKS: Mapping[str, Lateness] = {
    "even, 0–40 ms": even(0.040),
    "even, 0–80 ms": even(0.080),
    "half a normal distribution, σ 20 ms": normal,
    "10 and 80 ms by turns, 16 s each": by_turns,
    "nothing for 120 ms every 7 s": holes,
}


def scores(said: list[Pcm16], heard: Pcm16) -> list[float]:
    """PESQ of each sentence, where it was heard; ITU-T P.862, narrow band."""
    from pesq import pesq

    found, size = [], len(said[0])
    for n, sentence in enumerate(said):
        there = heard[n * size : (n + 1) * size + 2400]
        lag = int(np.median(lags_ms(sentence, np.append(there, np.zeros(4000, np.int16))))) * 8
        found.append(float(pesq(8000, sentence, there[lag : lag + size], "nb")))
    return found


def jitter_table(said: list[Pcm16]) -> str:
    """PESQ; median delay in ms; frames made up."""
    rules = {"our rule": JitterRules(), **{f"fixed {ms}": JitterRules(ms, ms, ms) for ms in FIXED_MS}}
    lines = ["| jitter | " + " | ".join(rules) + " |", "|---" * (1 + len(rules)) + "|"]
    whole = np.concatenate(said)
    for name, late in NETWORKS.items():
        cells = []
        for rule in rules.values():
            call = Call(Network(), late=late, jitter=rule)
            heard = call.hear(whole)
            delay_ms = np.median(lags_ms(whole, heard))
            made_up = call.counters().get("made_up", 0)
            cells.append(f"{np.mean(scores(said, heard)):.2f}; {delay_ms:.0f}; {made_up}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def skew_table(said: list[Pcm16]) -> str:
    """PESQ mean (worst), and frames dropped or repeated."""
    whole = np.concatenate(said)
    quality, frames = [], []
    for ppm in PPM:
        call = Call(Network(ppm=ppm))
        found = scores(said, call.hear(whole))
        counters = call.counters()
        quality.append(f"{np.mean(found):.2f} ({min(found):.2f})")
        frames.append(str(counters["stretched_frames"] + counters["shrunk_frames"]))
    head = ["ppm", *(f"{ppm:+d}" if ppm else "0" for ppm in PPM)]
    rows = [head, ["---"] * len(head), ["PESQ", *quality], ["frames", *frames]]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=12, help="15 at most")
    said = sentences(parser.parse_args().sentences)
    print(f"{8 * len(said)} s of speech, PCMU: PESQ; median delay in ms; frames made up.\n")
    print(jitter_table(said), "\n", flush=True)
    print(skew_table(said))


if __name__ == "__main__":
    main()
