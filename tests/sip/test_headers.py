"""Header fields: RFC 3261 section 7.3."""

from __future__ import annotations

import pytest

from kallglot_media.sip.headers import Headers, canonical


def test_order_and_repetition_are_kept() -> None:
    headers = Headers([("Via", "1"), ("To", "t"), ("v", "2"), ("VIA", "3")])
    assert headers.all("via") == ["1", "2", "3"]
    assert list(headers) == [("Via", "1"), ("To", "t"), ("Via", "2"), ("Via", "3")]
    assert headers.first("V") == "1"
    assert len(headers) == 4


@pytest.mark.parametrize(
    ("short", "long"),
    [("v", "Via"), ("F", "From"), ("i", "Call-ID"), ("l", "Content-Length"), ("x", "Session-Expires")],
)
def test_compact_forms(short: str, long: str) -> None:
    assert canonical(short) == canonical(long.upper()) == canonical(long.lower()) == long


def test_unknown_names_compare_without_case() -> None:
    headers = Headers([("X-Trace", "1")])
    assert headers.first("x-trace") == "1"
    assert "X-TRACE" in headers
    assert "X-Other" not in headers
    assert 5 not in headers


def test_insert_first_goes_before_its_own_kind() -> None:
    headers = Headers([("Max-Forwards", "70"), ("Via", "old")])
    headers.insert_first("Via", "new")
    headers.insert_first("Route", "<sip:p>")
    assert list(headers) == [("Route", "<sip:p>"), ("Max-Forwards", "70"), ("Via", "new"), ("Via", "old")]


def test_set_replaces_all_at_the_place_of_the_first() -> None:
    headers = Headers([("X-A", "1"), ("Via", "1"), ("X-B", "2"), ("Via", "2")])
    headers.set("via", "3")
    headers.set("X-C", "4")
    assert list(headers) == [("X-A", "1"), ("Via", "3"), ("X-B", "2"), ("X-C", "4")]


def test_replace_first_leaves_the_others() -> None:
    headers = Headers([("Via", "1"), ("Via", "2")])
    headers.replace_first("Via", "3")
    headers.replace_first("To", "t")
    assert list(headers) == [("Via", "3"), ("Via", "2"), ("To", "t")]


def test_remove() -> None:
    headers = Headers([("Via", "1"), ("To", "t"), ("Via", "2")])
    headers.remove("v")
    headers.remove("v")
    assert list(headers) == [("To", "t")]
    assert headers.first("Via") is None
    assert headers.all("Via") == headers.values("Via") == []


def test_values_are_split_at_commas_that_separate() -> None:
    headers = Headers([("Contact", '"Bell, A" <sip:a@b,c>;q=1 , <sip:d>'), ("Contact", "<sip:e>")])
    assert headers.values("Contact") == ['"Bell, A" <sip:a@b,c>;q=1', "<sip:d>", "<sip:e>"]


def test_a_copy_is_independent() -> None:
    headers = Headers([("To", "t")])
    copy = headers.copy()
    copy.set("To", "u")
    assert headers.first("To") == "t"
    assert headers != copy
    assert headers == Headers([("t", "t")])
    assert headers != "t"
    assert repr(headers) == "Headers([('To', 't')])"


@pytest.mark.parametrize(("name", "value"), [("X", "a\r\nY: b"), ("X", "a\nb"), ("X", "a\rb"), ("X\r\nY", "b")])
def test_a_value_cannot_become_two_headers(name: str, value: str) -> None:
    for put in (Headers().add, Headers().set, Headers().insert_first, Headers().replace_first):
        with pytest.raises(ValueError, match="another header"):
            put(name, value)


def test_what_was_parsed_is_remembered_until_it_changes() -> None:
    headers, calls = Headers([("Expires", "3600")]), []

    def parse(these: Headers) -> int:
        calls.append(1)
        return int(these.first("Expires") or 0)

    assert [headers.parsed("Expires", parse) for _ in range(3)] == [3600] * 3
    headers.add("To", "t")
    assert headers.copy().parsed("expires", parse) == 3600
    assert len(calls) == 1
    headers.set("Expires", "60")
    assert headers.parsed("Expires", parse) == 60
    headers.remove("Expires")
    assert headers.parsed("Expires", parse) == 0
