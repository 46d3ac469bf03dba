"""PDF → sections, one a page, in a process of its own: a hostile file can make any PDF reader spin or eat memory.

python -m kallglot_media.knowledge.pdf < document.pdf      prints a JSON list of pages, or exits with 3 and why
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import sys
from io import BytesIO

from kallglot_media.knowledge.sections import Section, Unreadable

TIME_LIMIT_S = 60
MEMORY_LIMIT_BYTES = 1 << 30
MOST_PAGES = 2000
_UNREADABLE = 3

_HYPHENATED = re.compile(r"(\w)[-\u00ad]\n(?=[a-zß-ÿ])")
_SINGLE_BREAK = re.compile(r"(?<!\n)\n(?!\n)")


async def read_pdf(content: bytes, *, time_limit_s: float = TIME_LIMIT_S) -> list[Section]:
    """One section for each page that has text. Unreadable: damaged, locked, without text, or too slow."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(time_limit_s):
            out, err = await child.communicate(content)
    except TimeoutError:
        raise Unreadable(f"could not be read within {time_limit_s:g} s; send it as text") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode == _UNREADABLE:
        raise Unreadable(err.decode("utf-8", "replace").strip())
    if child.returncode != 0:
        raise Unreadable("is damaged, or needs more than 1 GB to read; send it as text")
    pages: list[str] = json.loads(out)
    sections = [Section(text, page=page) for page, text in enumerate(pages, 1) if text]
    if not sections:
        raise Unreadable("has no text, only pictures; run text recognition over it first")
    return sections


def pages_of(content: bytes) -> list[str]:
    """Every page's text. Unreadable says what is wrong with the file."""
    from pypdf import PdfReader
    from pypdf.errors import PdfReadError

    try:
        reader = PdfReader(BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("is locked with a password; send it without")
        if len(reader.pages) > MOST_PAGES:
            raise Unreadable(f"has {len(reader.pages)} pages, more than {MOST_PAGES}; send it in parts")
        return [_paragraphs(page.extract_text()) for page in reader.pages]
    except Unreadable:
        raise
    except (PdfReadError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        # pypdf has no one error for files that are broken.
        raise Unreadable(f"is no PDF that can be read ({type(error).__name__}); save it again or send text") from None


def _paragraphs(text: str) -> str:
    """Lines of a printed page as running text: words cut at the line's end are joined."""
    lines = "\n".join(line.strip() for line in text.split("\n"))
    return _SINGLE_BREAK.sub(" ", _HYPHENATED.sub(r"\1", lines)).strip()


def main() -> None:
    """The child: PDF on standard input, JSON on standard output."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (TIME_LIMIT_S, TIME_LIMIT_S))
    try:
        pages = pages_of(sys.stdin.buffer.read())
    except Unreadable as error:
        print(error, file=sys.stderr)
        sys.exit(_UNREADABLE)
    json.dump(pages, sys.stdout)


if __name__ == "__main__":
    main()
