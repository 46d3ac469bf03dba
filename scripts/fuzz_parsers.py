"""Throw bytes at the parsers, led by coverage (atheris, which is libFuzzer): SipError and SdpError, or a value.

    python scripts/fuzz_parsers.py [--seconds 60] [TARGET…]       targets: message stream uri via sdp digest session

Begins with the torture messages and the corpus of session descriptions. An input that raises anything else, or takes
longer than 5 s, is written to tests/torture/found/, where a test plays it for ever.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOUND = ROOT / "tests" / "torture" / "found"
sys.path.insert(0, str(ROOT))


def targets() -> Mapping[str, Callable[[bytes], None]]:
    """name → what is done with any bytes; imported late, so that atheris can watch the imports."""
    from tests.support.parser_targets import TARGETS

    return TARGETS


def seeds(folder: Path) -> None:
    """Files that libFuzzer starts from."""
    places = [ROOT / "tests" / "torture" / "rfc4475", ROOT / "tests" / "torture" / "rfc5118", ROOT / "tests" / "sdp"]
    files = [
        path for place in places for path in place.rglob("*") if path.is_file() and path.suffix not in (".py", ".md")
    ]
    for number, path in enumerate(files):
        (folder / f"seed{number}").write_bytes(path.read_bytes())


def run_one(name: str, arguments: list[str]) -> None:
    """In a process of its own: libFuzzer never returns."""
    import atheris

    with atheris.instrument_imports(include=["kallglot_media.sip", "kallglot_media.sdp"]):
        target = targets()[name]
    atheris.Setup([sys.argv[0], *arguments], target)
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--in-process", action="store_true", help=argparse.SUPPRESS)
    options, more = parser.parse_known_args()
    if options.in_process:
        run_one(options.targets[0], more)
        return
    if find_spec("atheris") is None:
        sys.exit("atheris is not installed: pip install --constraint constraints.txt atheris")
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        for target in options.targets or list(targets()):
            corpus = Path(name) / target
            corpus.mkdir()
            seeds(corpus)
            FOUND.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, __file__, target, "--in-process", f"-max_total_time={options.seconds}"]
            command += ["-timeout=5", "-max_len=65535", f"-artifact_prefix={FOUND}/{target}-", str(corpus)]
            ended = subprocess.run(command, capture_output=True, text=True, check=False)
            done = [line for line in ended.stderr.splitlines() if line.startswith("Done ")]
            print(f"{target:<8} {done[-1] if done else 'FAILED'}", flush=True)
            if ended.returncode:
                wrong.append(target)
                print(ended.stderr[-4000:], file=sys.stderr)
    with contextlib.suppress(OSError):
        FOUND.rmdir()  # when nothing was found
    if wrong:
        sys.exit(f"{', '.join(wrong)}: the inputs are in {FOUND.relative_to(ROOT)}; mend it and commit them")


if __name__ == "__main__":
    main()
