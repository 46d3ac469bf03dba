"""Documents of every kind become sections under their headings, or say why not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.knowledge.html import read_html
from kallglot_media.knowledge.pdf import pages_of, read_pdf
from kallglot_media.knowledge.plain import read_markdown, read_text
from kallglot_media.knowledge.reader import read
from kallglot_media.knowledge.sections import Section, Unreadable
from tests.support.pdfs import pdf


def test_markdown_has_a_section_for_each_heading() -> None:
    text = (
        "Before.\n\n# Help\n\nSee [the *shop*](https://example.com).\n\n## Returns\n"
        "- within **30** days\n1. `send` it\n\n```\n# no heading\n```\n\n"
        "Opening\n=======\nMon–Fri\n\n### #5 ###\nfive\n"
    )
    assert read_markdown(text.encode()) == [
        Section("Before."),
        Section("See the shop.", "Help"),
        Section("within 30 days\nsend it\n\n# no heading", "Help › Returns"),
        Section("Mon–Fri", "Opening"),
        Section("five", "Opening › #5"),
    ]


def test_html_is_what_a_reader_sees() -> None:
    page = """<!doctype html><html><head><title>x</title><style>p{}</style></head><body><nav>Menu</nav>
      <h1>Returns &amp; refunds</h1><p>Send it<br>back within <b>30</b>&nbsp;days.</p>
      <script>if (a < b) "</p>"</script>
      <h2>Fees</h2><table><tr><th>Land</th><th>€</th></tr><tr><td>DE</td><td>4</td></tr></table>
      <ul><li>one<li>two</ul><footer>Imprint</footer>"""
    assert read_html(page.encode()) == [
        Section("Send it\nback within 30 days.", "Returns & refunds"),
        Section("Land €\n\nDE 4\n\none\n\ntwo", "Returns & refunds › Fees"),
    ]


def test_html_names_its_encoding() -> None:
    assert read_html(b'<meta charset="iso-8859-1"><p>Gr\xfc\xdfe') == [Section("Grüße")]
    with pytest.raises(Unreadable, match="klingon"):
        read_html(b"<meta charset=klingon><p>x")


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"\xef\xbb\xbfa\r\nb", "a\nb"), ("ü".encode("utf-16"), "ü"), ("東京".encode(), "東京")],
)
def test_text_in_any_unicode(content: bytes, text: str) -> None:
    assert read_text(content) == [Section(text)]


@pytest.mark.parametrize(("content", "why"), [(b"gr\xfcn", "byte 2 is not UTF-8"), (b"a\0b", "NUL")])
def test_what_is_no_text_says_so(content: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read_text(content)


@given(some.binary(max_size=400) | some.text(alphabet="<>/ab=\"'& h1p!-#*`\n", max_size=400).map(str.encode))
def test_no_document_can_raise_anything_but_unreadable(content: bytes) -> None:
    for reader in (read_text, read_markdown, read_html, pages_of):
        try:
            reader(content)
        except Unreadable:
            continue


async def test_pdf_has_a_section_for_each_page_with_text() -> None:
    content = pdf(["Returns are free (30 days).\nThey are refun-\nded.", "", "Öffnungszeiten"])
    assert await read_pdf(content) == [
        Section("Returns are free (30 days). They are refunded.", page=1),
        Section("Öffnungszeiten", page=3),
    ]


async def test_a_pdf_of_pictures_says_what_to_do() -> None:
    with pytest.raises(Unreadable, match="run text recognition"):
        await read_pdf(pdf(["", ""]))


async def test_a_broken_pdf_is_told_by_its_child() -> None:
    with pytest.raises(Unreadable, match="no PDF that can be read"):
        await read_pdf(b"%PDF-1.4 and then nothing")


async def test_a_slow_pdf_is_given_up() -> None:
    with pytest.raises(Unreadable, match=r"within 0\.001 s"):
        await read_pdf(pdf(["x"]), time_limit_s=0.001)


async def test_an_unknown_type_names_the_known_ones() -> None:
    with pytest.raises(Unreadable, match=r"is image/png; send one of: text/plain, text/markdown, text/html, app"):
        await read("image/png", b"")
