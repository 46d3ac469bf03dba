"""Text and Markdown → sections."""

from __future__ import annotations

import re

from kallglot_media.knowledge.sections import Outline, Section, Unreadable

_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_FENCE = re.compile(r"\s{0,3}(```|~~~)")
_ATX = re.compile(r"\s{0,3}(#{1,6})\s+(.*?)(?:\s+#+)?\s*$")
_UNDERLINE = re.compile(r"\s{0,3}(=+|-+)\s*$")
_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\n]*\)")
_EMPHASIS = re.compile(r"(\*{1,3}|_{1,3}|`+|~~)(?=\S)(.+?)(?<=\S)\1")
_LEAD = re.compile(r"^\s*(?:[-*+]\s+|>\s?|\d+[.)]\s+(?=\S))")


def decode(content: bytes) -> str:
    """The text of a document. Unreadable when it is in no encoding of Unicode."""
    encoding = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise Unreadable(f"byte {error.start} is not {encoding.upper()}; save the document as UTF-8") from None
    if "\0" in text:
        raise Unreadable("holds NUL characters: this is no text; send PDF as application/pdf")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_text(content: bytes) -> list[Section]:
    """The whole text as one section."""
    return [Section(decode(content))]


def read_markdown(content: bytes) -> list[Section]:
    """One section for each heading. Markup is taken off, code blocks stay as they are."""
    outline = Outline()
    sections: list[Section] = []
    lines: list[str] = []
    fence: str | None = None

    def close() -> None:
        body = "\n".join(lines).strip()
        if body:
            sections.append(Section(body, outline.path))
        lines.clear()

    for line in decode(content).split("\n"):
        mark = _FENCE.match(line)
        if mark and fence in (None, mark[1]):
            fence = None if fence else mark[1]
            continue
        if fence:
            lines.append(line)
            continue
        atx, under = _ATX.match(line), _UNDERLINE.match(line)
        if atx:
            close()
            outline.heading(len(atx[1]), _bare(atx[2]))
        elif under and lines and lines[-1].strip():
            title = lines.pop()
            close()
            outline.heading(1 if under[1][0] == "=" else 2, title.strip())
        else:
            lines.append(_bare(line))
    close()
    return sections


def _bare(line: str) -> str:
    return _EMPHASIS.sub(r"\2", _LINK.sub(r"\1", _LEAD.sub("", line)))
