"""pydantic's errors → what is there, and what to write instead, in the words of the file."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Union

import annotated_types
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from kallglot_media.config.reader import Loc, Tree

_KINDS: Mapping[str, str] = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a text",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_AMOUNT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(ms|s|sec|secs|seconds?|min|minutes?|h|hours?|db|dbfs|%)?\s*", re.I)
_BARE = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*|[0-9]+(\.[0-9]+){3}")
_IN_MS = {"ms": 1, "s": 1000, "sec": 1000, "secs": 1000, "second": 1000, "seconds": 1000, "min": 60_000,
          "minute": 60_000, "minutes": 60_000, "h": 3_600_000, "hour": 3_600_000, "hours": 3_600_000}  # fmt: skip


def explain(error: ValidationError, root: type[BaseModel], tree: Tree) -> None:
    """Note every mistake of `error`, found while `tree` was read as a `root`."""
    details = error.errors(include_url=False)
    for detail in details:
        loc: Loc = detail["loc"]
        if detail["type"] == "too_short" and any(inner["loc"][: len(loc)] == loc != inner["loc"] for inner in details):
            continue  # pydantic counts only the items that are right
        ctx = detail.get("ctx") or {}
        if detail["type"] == "kallglot":
            for part in (ctx.get("at") or "").split("."):
                if part:
                    loc = (*loc, int(part) if part.isdecimal() else part)
            tree.blame(_own_key(loc), ctx["wrong"], ctx["mend"])
        else:
            tree.blame(_own_key(loc), _wrong(detail), _mend(detail, root))


def _own_key(loc: Loc) -> Loc:
    """pydantic marks a wrong key of a mapping with a last part "[key]"."""
    return loc[:-1] if loc and loc[-1] == "[key]" else loc


def _wrong(detail: ErrorDetails) -> str:
    kind, value = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        return "no such setting"
    if kind == "missing":
        return "is missing"
    if value is None:
        return "is empty"
    if isinstance(value, tuple):
        return f"is a list of {len(value)}"
    if isinstance(value, Mapping):
        return "is a mapping"
    written = _written(value)
    return f"is {written}" + (f", a {type(value).__name__}" if kind in _KINDS else "")


def _mend(detail: ErrorDetails, root: type[BaseModel]) -> str:
    kind, loc, value = detail["type"], detail["loc"], detail["input"]
    if kind == "extra_forbidden":
        return _mend_unknown(root, loc)
    field = _field_at(root, loc)
    name = next((str(part) for part in reversed(loc) if isinstance(part, str)), "")
    if kind == "literal_error" and field is not None:
        choices = [str(choice) for choice in _literals(field.annotation)]
        close = get_close_matches(str(value), choices, n=1)
        return f"did you mean '{close[0]}'?" if close else f"write one of: {', '.join(choices)}"
    example = _example(field, name, value, kind)
    if kind == "missing":
        return f"write {example}" if example else "write it"
    if kind in _KINDS:
        return f"write {_KINDS[kind]}" + (f", e.g. {example}" if example else "")
    if kind in ("greater_than_equal", "less_than_equal", "finite_number") and field is not None:
        return f"write a number {_bounds(field)}"
    if kind in ("too_short", "too_long", "string_too_short", "string_too_long", "string_pattern_mismatch"):
        ctx = detail.get("ctx") or {}
        wanted = next((f"{word} {ctx[key]}" for key, word in _LENGTHS if key in ctx), "plain text")
        return f"write {wanted}" + (f", e.g. {example}" if example else "")
    return detail["msg"][:1].lower() + detail["msg"][1:] + (f", e.g. {example}" if example else "")


_LENGTHS = (("min_length", "at least"), ("max_length", "at most"))


def _mend_unknown(root: type[BaseModel], loc: Loc) -> str:
    """What was probably meant: a close name in this section, or the same name in another one."""
    key = str(loc[-1])
    section = _model_at(root, loc[:-1])
    if section is None:
        return "remove it"
    names = [setting_name(name, field) for name, field in section.model_fields.items()]
    close = get_close_matches(key, names, n=1, cutoff=0.7)
    if close:
        return f"did you mean '{close[0]}'?"
    elsewhere = [path for path in setting_names(root) if path.split(".")[-1] == key]
    if elsewhere:
        return f"did you mean '{min(elsewhere, key=lambda path: path.count('.'))}'?"
    return f"remove it, or write one of: {', '.join(names)}"


def setting_names(root: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every setting of a file as a dotted name, sections before what is in them."""
    for name, field in root.model_fields.items():
        path = f"{prefix}{setting_name(name, field)}"
        yield path
        if (inner := model_in(field.annotation)) is not None:
            yield from setting_names(inner, f"{path}.")


def setting_name(name: str, field: FieldInfo) -> str:
    """The name in the file: `from`, where Python needs `from_`."""
    return field.alias or name


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The settings class in an annotation: M, M | None, tuple[M, ...]."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in typing.get_args(annotation) if (found := model_in(arg)) is not None), None)


def _model_at(root: type[BaseModel], loc: Loc) -> type[BaseModel] | None:
    if not loc:
        return root
    field = _field_at(root, loc)
    return None if field is None else model_in(field.annotation)


def _field_at(root: type[BaseModel], loc: Loc) -> FieldInfo | None:
    """The field that the last name in `loc` belongs to; places in lists do not count."""
    model: type[BaseModel] | None = root
    field: FieldInfo | None = None
    for part in loc:
        if isinstance(part, int):
            continue
        found = None
        if model is not None:
            found = next((f for name, f in model.model_fields.items() if setting_name(name, f) == part), None)
        if found is None:
            return field if model is None else None  # a key of a mapping, e.g. voices.de
        field, model = found, model_in(found.annotation)
    return field


def _literals(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) is typing.Literal:
        return typing.get_args(annotation)
    for arg in typing.get_args(annotation):
        if found := _literals(arg):
            return found
    return ()


def _metadata(field: FieldInfo) -> Iterator[Any]:
    """The constraints of a field, those inside `X | None` too."""
    yield from constraints(field.metadata)
    if typing.get_origin(field.annotation) in (Union, types.UnionType):
        for arg in typing.get_args(field.annotation):
            yield from constraints(getattr(arg, "__metadata__", ()))


def constraints(metadata: Iterable[Any]) -> Iterator[Any]:
    """What `Annotated[X, …]` asks for: `Field(ge=1)` yields Ge(1)."""
    for meta in metadata:
        yield from meta.metadata if isinstance(meta, FieldInfo) else (meta,)


def _bounds(field: FieldInfo) -> str:
    low = next((meta.ge for meta in _metadata(field) if isinstance(meta, annotated_types.Ge)), None)
    high = next((meta.le for meta in _metadata(field) if isinstance(meta, annotated_types.Le)), None)
    if low is None and high is None:
        return "that is not endless"
    return f"from {low} to {high}" if low is not None and high is not None else f"of at least {low}"


def _example(field: FieldInfo | None, name: str, value: object, kind: str) -> str:
    """ "stop_ms: 500", taken from what was written when it can be understood, else an example or the default."""
    if field is None or not name:
        return ""
    amount = _amount(name, value) if kind in ("int_type", "int_from_float", "float_type") else None
    if amount is not None:
        return f"{name}: {int(amount) if amount == int(amount) or kind != 'float_type' else amount}"
    if kind == "string_type" and isinstance(value, int | float) and not isinstance(value, bool):
        return f'{name}: "{value}"'
    if kind == "bool_type" and isinstance(value, str) and value.lower() in ("yes", "on", "no", "off"):
        return f"{name}: {'true' if value.lower() in ('yes', 'on') else 'false'}"
    shown: object = field.examples[0] if field.examples else field.default
    if shown is None or (field.is_required() and not field.examples) or isinstance(shown, BaseModel):
        return ""
    return f"{name}: {as_yaml(shown)}"


def _amount(name: str, value: object) -> float | None:
    """ "0.5 s" for a setting in ms -> 500.0; None when the text is no amount."""
    if isinstance(value, float):
        return value
    match = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    number, unit = float(match[1]), (match[2] or "").lower()
    if unit in _IN_MS and name.endswith("_ms"):
        return number * _IN_MS[unit]
    if unit in _IN_MS and name.endswith("_s"):
        return number * _IN_MS[unit] / 1000
    return number


def _written(value: object) -> str:
    """A scalar as it stands in a sentence: 'text', 5, true."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else f"{value[:57]}…")
    return str(value)


def as_yaml(value: object) -> str:
    """A value as one would type it into the file: [20000, 29999], {de: "Guten Tag."}."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | Path):
        text = str(value)
        return text if _BARE.fullmatch(text) and text not in ("true", "false", "null") else f'"{text}"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(as_yaml(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {as_yaml(item)}" for key, item in value.items()) + "}"
    return str(value)
