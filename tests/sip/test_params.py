"""Parameters, quoting, comma lists, numbers: RFC 3261 sections 7.3 and 25.1."""

from __future__ import annotations

import pytest

from kallglot_media.sip.errors import SipError
from kallglot_media.sip.params import (
    Params,
    find_param,
    format_params,
    parse_number,
    parse_params,
    quote,
    set_param,
    split_commas,
    unquote,
)
from kallglot_media.sip.reasons import REASONS, reason_phrase


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("", ()),
        ("  ", ()),
        (";a", (("a", None),)),
        (" ; a = b ;c", (("a", "b"), ("c", None))),
        (";a=;b", (("a", ""), ("b", None))),
        (';a="x;y, \\"z\\"";b', (("a", '"x;y, \\"z\\""'), ("b", None))),
        (";tag=YWJj==", (("tag", "YWJj=="),)),
        (";a=ü", (("a", "ü"),)),
        (";a=[2001:db8::1]:5", (("a", "[2001:db8::1]:5"),)),
    ],
)
def test_parameters(text: str, params: Params) -> None:
    assert parse_params(text, "x") == params
    assert parse_params(format_params(params), "x") == params


@pytest.mark.parametrize(
    "text", [";", ";;a", "a", ";a b", ';a="b', ';a="b"c', ";a=b c", ";a=<b>", ";a,b", ";ä=1", ";=b"]
)
def test_what_is_no_parameter_is_refused_by_the_callers_name(text: str) -> None:
    with pytest.raises(SipError) as caught:
        parse_params(text, "bad_something")
    assert caught.value.kind == "bad_something"


def test_finding_and_setting() -> None:
    params: Params = (("A", '"x \\"y\\""'), ("b", None))
    assert find_param(params, "a") == 'x "y"'
    assert find_param(params, "b") == ""
    assert find_param(params, "c") is None
    assert set_param(params, "b", "1") == (("A", '"x \\"y\\""'), ("b", "1"))
    assert set_param(params, "c", None) == (*params, ("c", None))


@pytest.mark.parametrize(
    ("text", "plain"), [('"a"', "a"), ("a", "a"), ('"', '"'), ('""', ""), ('"\\""', '"'), ('"\\\\"', "\\")]
)
def test_unquoting(text: str, plain: str) -> None:
    assert unquote(text) == plain
    assert unquote(quote(plain)) == plain


def test_quoting_leaves_out_what_steers_a_terminal_or_ends_a_line() -> None:
    assert quote('a\r\nX-Evil: 1 \x1b[2J\x9b\x00"') == '"aX-Evil: 1 [2J\\""'
    assert quote("Jürgen\tO\u2019Hara") == '"Jürgen\tO\u2019Hara"'


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("a", ["a"]),
        (" a , b ", ["a", "b"]),
        ('"a,b",c', ['"a,b"', "c"]),
        ("<a,b>,c", ["<a,b>", "c"]),
        (",a,,", ["", "a", "", ""]),
        ('"a,b', ['"a', "b"]),
        ("<a,b", ["<a", "b"]),
        ("a>,b", ["a>", "b"]),
    ],
)
def test_comma_lists(text: str, elements: list[str]) -> None:
    assert split_commas(text) == elements


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("007", 7), ("255", 255)])
def test_numbers(text: str, number: int) -> None:
    assert parse_number(text, 255, "x", "x") == number


@pytest.mark.parametrize("text", ["", "256", "-1", "+1", "1.0", "1 ", "٣", "²", "0x1", "9" * 10_000])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(SipError, match="from 0 to 255"):
        parse_number(text, 255, "x", "it")


def test_every_status_has_a_phrase() -> None:
    assert reason_phrase(486) == "Busy Here"
    assert reason_phrase(499) == "Request Failure"
    assert all(reason_phrase(status) for status in range(100, 700))
    assert all(100 <= status < 700 for status in REASONS)


@pytest.mark.parametrize("text", [";a=b\r\nEvil: c", ';a="b\r\nEvil: c"', ';a="b\\\r\nc"', ";a=b\nc"])
def test_no_value_has_a_line_end_in_it(text: str) -> None:
    """None comes in a message; one that a person or a program wrote would begin a header of their choosing."""
    with pytest.raises(SipError):
        parse_params(text, "bad_address")
