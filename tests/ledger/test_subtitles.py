"""Transcripts as text and subtitles, also with what would break them."""

from __future__ import annotations

from dataclasses import replace

from kallglot_media.ledger.subtitles import as_srt, as_text, as_vtt
from kallglot_media.store.turns import Turn

HELLO = Turn("sess_1", 1, "customer", "de", "Guten Tag", "en", "Good day", start_ms=3_723_004, end_ms=3_725_500)
REPLY = Turn("sess_1", 2, "agent", "en", "Hello", start_ms=3_726_000, end_ms=3_726_010)


def test_text_for_people() -> None:
    assert as_text([HELLO, REPLY]) == (
        "[01:02:03] customer (de): Guten Tag\n"
        "                    → en: Good day\n"
        "[01:02:06] agent (en): Hello\n"
    )  # fmt: skip
    assert as_text([HELLO], translations=False) == "[01:02:03] customer (de): Guten Tag\n"
    assert as_text([]) == ""


def test_srt() -> None:
    assert as_srt([HELLO, REPLY]) == (
        "1\n01:02:03,004 --> 01:02:05,500\ncustomer: Guten Tag\nGood day\n"
        "\n"
        "2\n01:02:06,000 --> 01:02:06,500\nagent: Hello\n"
    )  # fmt: skip
    assert "Good day" not in as_srt([HELLO], translations=False)


def test_vtt() -> None:
    assert as_vtt([HELLO, REPLY]) == (
        "WEBVTT\n"
        "\n"
        "1\n01:02:03.004 --> 01:02:05.500\n<v customer>Guten Tag\n<i>Good day</i>\n"
        "\n"
        "2\n01:02:06.000 --> 01:02:06.500\n<v agent>Hello\n"
    )  # fmt: skip
    assert as_vtt([]) == "WEBVTT\n"


def test_words_cannot_break_out_of_their_cue() -> None:
    nasty = replace(HELLO, text="a\n\n9\n00:00:00.000 --> 99:00:00.000\n<b>&", translation_text="\r\n\u2028")
    srt, vtt = as_srt([nasty]), as_vtt([nasty])
    assert srt.count("-->") == vtt.count("-->") == 1
    assert srt.count("\n\n") == 0
    assert vtt.count("\n\n") == 1, "after the head only"
    assert "&lt;b&gt;&amp;" in vtt
