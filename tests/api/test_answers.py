"""How answers are written."""

from __future__ import annotations

import json

import pytest

from kallglot_media.api.answers import answer


def test_answers_are_short_json_in_utf_8() -> None:
    body = {"b": [1, 2.5, None, True], "a": {"text": 'Größe "\n\0😀'}}
    response = answer(body, 201)
    assert (response.status_code, response.headers["content-type"]) == (201, "application/json")
    assert json.loads(bytes(response.body)) == body
    assert bytes(response.body) == json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def test_what_is_no_unicode_does_not_become_500() -> None:
    assert json.loads(bytes(answer({"a": "x\ud800y"}).body)) == {"a": "x?y"}


def test_a_number_that_json_does_not_have_is_null() -> None:
    assert json.loads(bytes(answer({"a": float("nan")}).body)) == {"a": None}


def test_what_is_no_json_is_our_mistake() -> None:
    with pytest.raises((TypeError, ValueError)):
        answer({"a": object()})
