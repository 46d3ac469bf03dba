"""HTML → sections, with the standard library's parser: it takes whatever a browser would."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from kallglot_media.knowledge.plain import decode
from kallglot_media.knowledge.sections import Outline, Section, Unreadable

_SKIPPED = frozenset({"script", "style", "template", "noscript", "svg", "head", "nav", "footer", "iframe", "select"})
_BLOCKS = frozenset(
    {"p", "div", "section", "article", "main", "ul", "ol", "li", "table", "tr", "blockquote", "pre", "dl", "dt", "dd"}
    | {"figure", "figcaption", "address", "aside", "header", "form", "fieldset", "hr", "details", "summary"}
)
_CELLS = frozenset({"td", "th"})
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_SPACE = re.compile(r"\s+")
_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w-]+)", re.IGNORECASE)


def read_html(content: bytes) -> list[Section]:
    """One section for each heading; scripts, styles, navigation and footers are left out."""
    reader = _Reader()
    reader.feed(_decode(content))
    reader.close()
    return reader.finish()


def _decode(content: bytes) -> str:
    named = _CHARSET.search(content[:2048])
    charset = named[1].decode("ascii") if named else "utf-8"
    if charset.lower() in ("utf-8", "utf8"):
        return decode(content)
    try:
        return content.decode(charset)
    except (LookupError, UnicodeDecodeError):
        raise Unreadable(f"is not in {charset}, which its meta element names; save it as UTF-8") from None


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._outline = Outline()
        self._sections: list[Section] = []
        self._paragraphs: list[str] = []
        self._words: list[str] = []
        self._skipping: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SKIPPED:
            self._skipping.append(tag)
        elif tag in _HEADINGS:
            self._close_section()
        elif tag in _BLOCKS:
            self._close_paragraph()
        elif tag == "br":
            self._words.append("\n")
        elif tag in _CELLS:
            self._words.append("\t")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._skipping:
            # Whatever was left open inside it ends with it.
            del self._skipping[self._skipping.index(tag) :]
        elif tag in _HEADINGS:
            title = _SPACE.sub(" ", "".join(self._words)).strip()
            self._words.clear()
            self._outline.heading(_HEADINGS[tag], title)
        elif tag in _BLOCKS:
            self._close_paragraph()

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self._words.append(_SPACE.sub(" ", data))

    def _close_paragraph(self) -> None:
        lines = (_SPACE.sub(" ", line).strip() for line in "".join(self._words).split("\n"))
        text = "\n".join(line for line in lines if line)
        self._words.clear()
        if text:
            self._paragraphs.append(text)

    def _close_section(self) -> None:
        self._close_paragraph()
        if self._paragraphs:
            self._sections.append(Section("\n\n".join(self._paragraphs), self._outline.path))
            self._paragraphs = []

    def finish(self) -> list[Section]:
        self._close_section()
        return self._sections
