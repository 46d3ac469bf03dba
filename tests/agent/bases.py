"""The three knowledge bases of the example desks, and the questions to them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kallglot_media.agent.knowledge import Knowledge
from kallglot_media.agent.types import Source
from kallglot_media.knowledge.chunks import cut
from kallglot_media.knowledge.plain import read_markdown

ROOT = Path(__file__).parents[2]
DOCUMENTS = {
    "webshop": [("webshop/knowledge/faq.md", "de")],
    "hotel": [("hotel/knowledge/guide.md", "en")],
    "helpdesk": [("helpdesk/knowledge/internet-de.md", "de"), ("helpdesk/knowledge/internet-en.md", "en")],
}


@dataclass(frozen=True, slots=True)
class Question:
    """wanted: what a right answer holds; None: there is none."""

    base: str
    language: str
    text: str
    wanted: str | None


def base(name: str) -> Knowledge:
    """A knowledge base."""
    sources = []
    for path, language in DOCUMENTS[name]:
        file = ROOT / "configs" / "examples" / path
        passages = cut(read_markdown(file.read_bytes()))
        sources += [Source(file.stem, one.text, language, one.heading, one.page) for one in passages]
    return Knowledge(sources)


def questions() -> list[Question]:
    """Every question of questions.txt."""
    found = []
    for line in Path(__file__).with_name("questions.txt").read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            name, language, text, wanted = (part.strip() for part in line.split("|"))
            found.append(Question(name, language, text, None if wanted == "-" else wanted))
    return found
