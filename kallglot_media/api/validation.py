"""pydantic's errors as an answer to a client: the field, what was there, what to write instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

from kallglot_media.api.errors import ApiError
from kallglot_media.config.languages import LANGUAGES, guess_language

_KINDS: Mapping[str, str] = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}
_LONGEST_SHOWN = 80
_NOT_FIELDS: Mapping[str, str] = {
    "provider": "it is found out from how the parties come; remove it, and write routing instead",
}
"""What people write that is no field, and why."""


class Body(BaseModel):
    """A request's body: unknown fields are mistakes, nothing is converted in silence."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Answer(BaseModel):
    """A response's body, for the OpenAPI document. Nothing is built from it: a test holds the answers to it."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Deleted(Answer):
    """An object that is no more."""

    id: str
    object: str
    deleted: Literal[True]


def wrong(code: str, message: str) -> PydanticCustomError:
    """What a check of ours raises. message: what is there; what to write instead."""
    return PydanticCustomError("kallglot_api", "{message}", {"code": code, "message": message})


def _language(value: str) -> str:
    if value in LANGUAGES:
        return value
    guess = guess_language(value)
    mend = f"did you mean '{guess}'?" if guess else "write two letters of ISO 639-1, like de, en, es or fr"
    raise wrong("invalid_language_code", f"is {_shown(value)}, not a language code; {mend}")


Language = Annotated[str, AfterValidator(_language), WithJsonSchema({"type": "string", "enum": sorted(LANGUAGES)})]
"""ISO 639-1."""


def whole(value: object) -> object:
    """For fields that are whole numbers. JSON has one kind of number: 36.0 is as whole as 36."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


PHONE = r"^\+[1-9][0-9]{6,14}$"
PhoneNumber = Annotated[str, Field(pattern=PHONE, examples=["+4930123456"])]
"""E.164."""

Metadata = Annotated[dict[str, Any], Field(max_length=50, examples=[{"ticket": "4711"}])]
"""The client's own, echoed."""


B = TypeVar("B", bound=Body)


def checked(model: type[B], value: object) -> B:
    """A body that an endpoint read by itself. Raises ApiError, as for any other body."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = [{**detail, "loc": ("body", *detail["loc"])} for detail in error.errors(include_url=False)]
        raise explain(RequestValidationError(found), model) from None


def explain(error: RequestValidationError, body_model: type[BaseModel] | None = None) -> ApiError:
    """The first mistake as an answer: 400."""
    first = error.errors()[0]
    where, *path = first["loc"]
    kind, value = first["type"], first.get("input")
    if kind == "json_invalid" or (where == "body" and not path):
        return _of_body(kind, value)
    param = dotted(path)
    if kind == "kallglot_api":
        return ApiError(400, first["ctx"]["code"], f"{param}: {first['ctx']['message']}", param=param)
    if kind == "missing":
        mend = {"query": "add it to the query", "header": "send this header"}.get(where, "write it into the body")
        return ApiError(400, "missing_required_field", f"{param}: is missing; {mend}", param=param)
    if kind == "extra_forbidden":
        mend = _NOT_FIELDS.get(param) or _mend_unknown(str(path[-1]), _fields_at(body_model, path[:-1]))
        return ApiError(400, "invalid_field_value", f"{param}: no such field; {mend}", param=param)
    code = "invalid_mode" if param == "mode" else "invalid_field_value"
    return ApiError(400, code, f"{param}: is {_shown(value)}; {_mend(first)}", param=param)


def _of_body(kind: str, value: object) -> ApiError:
    if isinstance(value, bytes):
        return ApiError(
            400, "invalid_field_value", "the body is not said to be JSON; send Content-Type: application/json"
        )
    if kind == "missing":
        return ApiError(400, "missing_required_field", "the body is missing; send a JSON object")
    return ApiError(400, "invalid_field_value", f"the body is {_shown(value)}; send a JSON object")


def dotted(path: Iterable[str | int]) -> str:
    """dotted(["ai_agent", "tools", 0, "name"]) == "ai_agent.tools[0].name" """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part != "[key]":
            text += f".{part}" if text else str(part)
    return text


def _mend(detail: Mapping[str, Any]) -> str:
    kind, ctx = detail["type"], detail.get("ctx") or {}
    if kind in _KINDS:
        return f"write {_KINDS[kind]}"
    if kind in ("literal_error", "enum"):
        return f"write {ctx['expected']}"
    if kind == "string_pattern_mismatch":
        return "write E.164, like +4930123456" if ctx["pattern"] == PHONE else f"it must match {ctx['pattern']}"
    bounds = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    for name, words in bounds.items():
        if name in ctx:
            return f"write {words} {ctx[name]}"
    if kind in ("string_too_long", "too_long"):
        return f"write at most {ctx.get('max_length')}"
    if kind in ("string_too_short", "too_short"):
        return f"write at least {ctx.get('min_length')}"
    return str(detail["msg"])


def _mend_unknown(name: str, there: Sequence[str]) -> str:
    close = get_close_matches(name, there, 1)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"remove it, or write one of: {', '.join(there)}" if there else "remove it"


def _fields_at(model: type[BaseModel] | None, path: Sequence[str | int]) -> list[str]:
    """The names of the fields of the object at `path` below a body's model."""
    at: Any = model
    for part in path:
        if isinstance(part, int):
            continue
        field = at.model_fields.get(part) if at is not None else None
        at = _model_in(field.annotation) if field is not None else None
    return list(at.model_fields) if at is not None else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(part) for part in getattr(annotation, "__args__", ()))
    return next((model for model in inner if model is not None), None)


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}… ({len(text)} characters)"
