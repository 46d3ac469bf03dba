"""configs/routes.yaml: which called number leads where. The first line that matches wins."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from kallglot_media.config.announcements import Announcements
from kallglot_media.config.types import ConfigPath, Language, Settings, bad


class Route(Settings):
    """One line of the table."""

    called: Annotated[str, Field(min_length=1, max_length=255, examples=["support"])]
    """The user part of the called address. `*` stands for any characters, `?` for one."""

    mode: Annotated[ConfigPath | None, Field(examples=["modes/bidirectional_translation.yaml"])] = None
    """A mode file."""

    service: Literal["echo", "interpreter"] | None = None
    """`echo`: hear yourself. `interpreter`: hear yourself in the other language."""

    languages: Annotated[tuple[Language, Language] | None, Field(examples=[["de", "en"]])] = None
    """The interpreter's two languages; it hears which one is spoken."""

    announcements: Announcements = Announcements()
    """What a service says. A mode has its own in its file."""

    @model_validator(mode="after")
    def _one_goal(self) -> Route:
        if (self.mode is None) == (self.service is None):
            wrong = "leads nowhere" if self.mode is None else "has a mode and a service"
            raise bad(wrong, "write either mode: modes/bidirectional_translation.yaml or service: echo")
        if self.service == "interpreter" and self.languages is None:
            raise bad("is missing", "write the two languages, e.g. languages: [de, en]", at="languages")
        if self.service != "interpreter" and self.languages is not None:
            raise bad("belongs to the interpreter", "remove it: a mode file names its own languages", at="languages")
        if self.languages is not None and self.languages[0] == self.languages[1]:
            raise bad(f"is '{self.languages[1]}' twice", "write two languages, e.g. languages: [de, en]",
                      at="languages")  # fmt: skip
        return self

    def matches(self, user: str) -> bool:
        """Whether a call to this user part takes this route."""
        return covers(self.called, tuple(user))


class Routes(Settings):
    """configs/routes.yaml."""

    routes: Annotated[tuple[Route, ...], Field(min_length=1)]
    """From the top; the first match wins, and a call that none matches gets 404."""

    @model_validator(mode="after")
    def _all_reachable(self) -> Routes:
        for index, late in enumerate(self.routes):
            for before, early in enumerate(self.routes[:index]):
                if early.called == late.called:
                    raise bad(f"is '{late.called}', as routes[{before}] already is", "remove one of the two",
                              at=f"routes.{index}.called")  # fmt: skip
                if covers(early.called, _tokens(late.called)):
                    raise bad(f"is '{late.called}', never reached: routes[{before}] '{early.called}' takes it",
                              "put the narrower pattern first", at=f"routes.{index}.called")  # fmt: skip
        return self


ANY, ONE = object(), object()
"""The wildcards `*` and `?` as tokens, so that a dialled `*` stays a key of the phone."""


def _tokens(pattern: str) -> tuple[object, ...]:
    return tuple({"*": ANY, "?": ONE}.get(char, char) for char in pattern)


def covers(pattern: str, narrow: tuple[object, ...]) -> bool:
    """Whether `pattern` matches everything that `narrow` stands for: a dialled number, or another pattern.

    covers("+49*", tuple("+4930123")) -> True
    """
    wide = _tokens(pattern)
    reachable = _skip_any(wide, {0})
    for token in narrow:
        stay = {at for at in reachable if at < len(wide) and wide[at] is ANY}
        step = {
            at + 1
            for at in reachable
            if at < len(wide) and wide[at] is not ANY and token is not ANY and wide[at] in (token, ONE)
        }
        reachable = _skip_any(wide, stay | step)
    return len(wide) in reachable


def _skip_any(wide: tuple[object, ...], places: set[int]) -> set[int]:
    """`*` may stand for nothing: every place that lies behind one is reached too."""
    reached = set(places)
    for at in range(len(wide)):
        if at in reached and wide[at] is ANY:
            reached.add(at + 1)
    return reached
