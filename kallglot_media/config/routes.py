"""configs/routes.yaml: which called number leads where. The first line that matches wins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from kallglot_media.config.announcements import Announcements
from kallglot_media.config.patterns import covers, tokens
from kallglot_media.config.types import ConfigPath, Language, Settings, bad


class Route(Settings):
    """One line of the table."""

    called: Annotated[str, Field(min_length=1, max_length=255, examples=["support"])]
    """The user part of the called address. `*` stands for any characters, `?` for one."""

    mode: Annotated[ConfigPath | None, Field(examples=["modes/bidirectional_translation.yaml"])] = None
    """A mode file."""

    service: Annotated[Literal["echo", "interpreter"] | None, Field(validate_default=True)] = None
    """`echo`: hear yourself. `interpreter`: hear yourself in the other language."""

    languages: Annotated[tuple[Language, Language] | None, Field(examples=[["de", "en"]], validate_default=True)] = None
    """The interpreter's two languages; it hears which one is spoken."""

    announcements: Announcements = Announcements()
    """What a service says. A mode has its own in its file."""

    @field_validator("service")
    @classmethod
    def _one_goal(cls, service: str | None, info: ValidationInfo) -> str | None:
        if "mode" in info.data and (info.data["mode"] is None) == (service is None):
            wrong = "does not go with mode" if service else "is missing, and mode too: the route leads nowhere"
            raise bad(wrong, "write either mode: modes/bidirectional_translation.yaml or service: echo")
        return service

    @field_validator("languages")
    @classmethod
    def _of_the_interpreter(cls, languages: tuple[str, str] | None, info: ValidationInfo) -> tuple[str, str] | None:
        if "service" not in info.data:
            return languages
        if info.data["service"] == "interpreter" and languages is None:
            raise bad("is missing", "write the two languages, e.g. languages: [de, en]")
        if info.data["service"] != "interpreter" and languages is not None:
            raise bad("belongs to the interpreter", "remove it: a mode file names its own languages")
        if languages is not None and languages[0] == languages[1]:
            raise bad(f"is '{languages[1]}' twice", "write two languages, e.g. languages: [de, en]")
        return languages

    def matches(self, user: str) -> bool:
        """Whether a call to this user part takes this route."""
        return covers(self.called, tuple(user))


class Routes(Settings):
    """configs/routes.yaml."""

    routes: Annotated[tuple[Route, ...], Field(min_length=1, examples=[[{"called": "echo", "service": "echo"}]])]
    """From the top; the first match wins, and a call that none matches gets 404."""


def unreachable(called: Mapping[int, str]) -> Iterator[tuple[int, str, str]]:
    """The patterns (by their place) that an earlier one takes: place, what is wrong, the mend."""
    for late, narrow in called.items():
        for early, wide in called.items():
            if early >= late:
                break
            if wide == narrow:
                yield late, f"is '{narrow}', as routes[{early}] already is", "remove one of the two"
                break
            if covers(wide, tokens(narrow)):
                wrong = f"is '{narrow}', never reached: routes[{early}] '{wide}' takes it"
                yield late, wrong, "put the narrower pattern first"
                break
