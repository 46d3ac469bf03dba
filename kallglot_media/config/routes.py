"""configs/routes.yaml: which called number leads where. The first line that matches wins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from kallglot_media.config.announcements import Announcements
from kallglot_media.config.hours import Hours
from kallglot_media.config.patterns import covers, tokens
from kallglot_media.config.types import ConfigPath, Language, Settings, SipUri, bad

HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
Wildcard = Annotated[str, Field(min_length=1, max_length=255)]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a route may look at besides the called number.

    caller   the caller's number; "" when it is withheld
    headers  of the INVITE, names in lower case
    now      with its time zone
    """

    caller: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


class Route(Settings):
    """One line of the table."""

    called: Annotated[str, Field(min_length=1, max_length=255, examples=["support"])]
    """The user part of the called address. `*` stands for any characters, `?` for one."""

    caller: Annotated[Wildcard | None, Field(examples=["+43*"])] = None
    """Only calls from such numbers; left out: from anybody."""

    headers: Annotated[dict[HeaderName, Wildcard], Field(examples=[{"X-Queue": "sales*"}])] = Field(
        default_factory=dict
    )
    """Only calls whose INVITE has these headers with such values."""

    hours: Hours | None = None
    """Only at these times; left out: always."""

    mode: Annotated[ConfigPath | None, Field(examples=["modes/bidirectional_translation.yaml"])] = None
    """A mode file."""

    service: Annotated[Literal["echo", "interpreter"] | None, Field(validate_default=True)] = None
    """`echo`: hear yourself. `interpreter`: hear yourself in the other language."""

    languages: Annotated[tuple[Language, Language] | None, Field(examples=[["de", "en"]], validate_default=True)] = None
    """The interpreter's two languages; it hears which one is spoken. With `mode`: source and target language instead of
    those of its file."""

    to: SipUri | None = None
    """With `mode`: who is called instead of the agent of its file."""

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
        if info.data["service"] == "echo" and languages is not None:
            raise bad("belongs to the interpreter", "remove it: an echo needs no language")
        if languages is not None and languages[0] == languages[1]:
            raise bad(f"is '{languages[1]}' twice", "write two languages, e.g. languages: [de, en]")
        return languages

    @field_validator("to")
    @classmethod
    def _of_a_mode(cls, to: str | None, info: ValidationInfo) -> str | None:
        if to is not None and info.data.get("service") is not None:
            raise bad("does not go with service", "remove it: nobody is called")
        return to

    @property
    def conditional(self) -> bool:
        """Whether it looks at more than the called number."""
        return self.caller is not None or bool(self.headers) or self.hours is not None

    def matches(self, user: str, asked: Asked | None = None) -> bool:
        """Whether a call to this user part takes this route. asked None: only that part counts."""
        return self.objection(user, asked) is None

    def objection(self, user: str, asked: Asked | None = None) -> str | None:
        """Why such a call does not take this route; None when it does."""
        if not covers(self.called, tuple(user)):
            return f"called is '{self.called}'"
        if asked is None:
            return None
        if self.caller is not None and not covers(self.caller, tuple(asked.caller)):
            return f"caller is '{self.caller}', the call is from '{asked.caller or 'nobody known'}'"
        for name, pattern in self.headers.items():
            there = asked.headers.get(name.lower())
            if there is None or not covers(pattern, tuple(there)):
                return f"header {name} is '{pattern}', the call has {'none' if there is None else repr(there)}"
        if self.hours is not None and not self.hours.holds(asked.now):
            return f"closed at {asked.now:%a %H:%M} {asked.now.tzname()} (hours)"
        return None


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
