"""Numbers of trunks and +E.164."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from kallglot_media.sip.numbers import NumberPlan, is_e164

GERMAN = NumberPlan("49")
AMERICAN = NumberPlan("1", national_prefix="1", international_prefix="011")


@pytest.mark.parametrize(
    ("plan", "sent", "meant"),
    [
        (GERMAN, "030123456", "+4930123456"),
        (GERMAN, "0049 30 / 123-456", "+4930123456"),
        (GERMAN, "+49 (30) 123.456", "+4930123456"),
        (GERMAN, "004312345", "+4312345"),
        (GERMAN, "110", "110"),
        (GERMAN, "12345", "12345"),
        (GERMAN, "00", "00"),
        (GERMAN, "anna", "anna"),
        (GERMAN, "+49", "+49"),
        (GERMAN, "+49301234567890123", "+49301234567890123"),
        (GERMAN, "", ""),
        (GERMAN, "*21#", "*21#"),
        (AMERICAN, "12125550100", "+12125550100"),
        (AMERICAN, "011493012345", "+493012345"),
        (NumberPlan(bare_international=True), "4930123456", "+4930123456"),
        (NumberPlan(), "030123456", "030123456"),
    ],
)
def test_what_a_trunk_sends(plan: NumberPlan, sent: str, meant: str) -> None:
    assert plan.to_e164(sent) == meant


@pytest.mark.parametrize(
    ("plan", "meant", "sent"),
    [
        (GERMAN, "+4930123456", "+4930123456"),
        (NumberPlan("49", send_as="digits"), "+4930123456", "4930123456"),
        (NumberPlan("49", send_as="national"), "+4930123456", "030123456"),
        (NumberPlan("49", send_as="national"), "+43123456", "0043123456"),
        (NumberPlan("1", "1", "011", send_as="national"), "+12125550100", "12125550100"),
        (NumberPlan("49", send_as="national"), "anna", "anna"),
        (NumberPlan("49", send_as="national"), "+49043123456", "0049043123456"),  # not 0043123456, which is Austria
        (NumberPlan("34", "", "00", send_as="national"), "+340043123", "00340043123"),
    ],
)
def test_what_a_trunk_is_sent(plan: NumberPlan, meant: str, sent: str) -> None:
    assert plan.from_e164(meant) == sent


@given(some.from_regex(r"\A\+[1-9][0-9]{5,13}\Z"), some.sampled_from(["e164", "national"]))
@example("+490000", "national")
@example("+49043123456", "national")
def test_there_and_back(number: str, style: str) -> None:
    plan = NumberPlan("49", send_as=style)  # type: ignore[arg-type]
    assert plan.to_e164(plan.from_e164(number)) == number


@given(some.text(max_size=30))
def test_any_text_gives_a_number_or_itself(text: str) -> None:
    found = GERMAN.to_e164(text)
    assert found == text or is_e164(found)
