"""From what a client asks for to the rules of its session: languages, mode file, trunk, numbers.

A mode file of the same mode supplies what the client does not say: gains, voices, how speech is
cut, announcements, and the agent who is called when a customer calls in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from kallglot_media.audio.segment import SegmentRules
from kallglot_media.call.answering_desk import history_of, mode_of_wish
from kallglot_media.call.bridge import BridgeRules
from kallglot_media.call.lobby import Dialling
from kallglot_media.call.ports import SipHeaders
from kallglot_media.call.room import RoomRules
from kallglot_media.call.routing import Router, max_forwards_of
from kallglot_media.call.stream_leg import TELEPHONE, StreamAudio
from kallglot_media.call.subtitles import NO_SUBTITLES, SubtitleRules
from kallglot_media.call.trunks import trunk_address
from kallglot_media.call.world import SessionFacts
from kallglot_media.config.answering import AnsweringMode
from kallglot_media.config.load import Config
from kallglot_media.config.mode import PLANS, Mode
from kallglot_media.config.modes import AnyMode
from kallglot_media.config.trunks import Trunk
from kallglot_media.media.messages import Gains
from kallglot_media.modes.plan import AI_AGENT, Party, Plan
from kallglot_media.modes.policy import TURN_BY_TURN
from kallglot_media.sip.events import IncomingCall


class CannotServe(Exception):
    """A session that this server cannot have. param: what is to blame; code: the API's name for it."""

    def __init__(self, code: str, param: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asks for.

    number   a number of ours: whose next call is this session's (inbound), or whom the others see (outbound)
    trunk    the name of the trunk that calls go out through
    from_    From: of the calls that we make
    headers  put on every call that we make
    keep     record and keep the transcript; None: as the server does
    audio    how sound is coded on the stream
    ai_agent, help_chat  as the API has them; of a stored agent its settings, with the overrides
    """

    mode: str
    source_language: str | None = None
    target_language: str | None = None
    number: str | None = None
    inbound: bool = True
    trunk: str | None = None
    from_: str | None = None
    headers: SipHeaders = ()
    keep: bool | None = None
    audio: StreamAudio = TELEPHONE
    ai_agent: Mapping[str, Any] = field(default_factory=dict)
    help_chat: Mapping[str, Any] = field(default_factory=dict)


class Desk:
    """Answers wishes out of the configuration. idle_s, rejoin_s: see RoomRules."""

    def __init__(self, config: Config, router: Router, *, our_host: str, idle_s: float, rejoin_s: float) -> None:
        self._config = config
        self._router = router
        self._our_host = our_host
        self._idle_s = idle_s
        self._rejoin_s = rejoin_s
        self._generation = 1

    def use(self, config: Config, generation: int) -> None:
        """Sessions from now on go by another configuration."""
        self._config = config
        self._generation = generation

    def settle(self, wish: Wish) -> tuple[SessionFacts, RoomRules]:
        """The session that the client gets. Raises CannotServe."""
        self._check_languages(wish)
        if (plan := PLANS.get(wish.mode)) is None:
            return self._answered(wish)
        mode = self._mode_for(wish)
        facts = SessionFacts(
            wish.mode,
            wish.source_language,
            wish.target_language,
            called=wish.number or "",
            keep=self._keeps(wish, mode),
            generation=self._generation,
        )
        return facts, self._rules(wish, plan, mode)

    def _answered(self, wish: Wish) -> tuple[SessionFacts, RoomRules]:
        """A session in which an AI answers: the mode file of the same mode, and what the client says instead."""
        config = self._config
        files = [mode for mode in config.modes.values() if isinstance(mode, AnsweringMode) and mode.mode == wish.mode]
        try:
            mode = mode_of_wish(
                files[0] if files else None,
                wish.mode,
                wish.source_language,
                wish.target_language,
                wish.ai_agent,
                wish.help_chat,
            )
        except ValidationError as error:
            raise _mistake(error) from None
        self._check_answering(wish, mode)
        facts = SessionFacts(
            wish.mode,
            mode.source_language,
            mode.human_language,
            called=wish.number or "",
            keep=self._keeps(wish, None if wish.keep is not None else mode),
            generation=self._generation,
        )
        history = history_of(wish.help_chat)
        rules = self._rules(wish, AI_AGENT, None)
        return facts, replace(
            rules,
            gains=mode.gains.message(),
            segment=mode.segment.message(),
            answering=lambda incoming: self._router.answering_rules(mode, incoming, history),
        )

    def _check_answering(self, wish: Wish, mode: AnsweringMode) -> None:
        """What only shows when all is put together. Raises CannotServe."""
        if wish.mode == "ai_agent" and mode.llm is None and self._config.server.llm is None:
            raise CannotServe(
                "invalid_mode",
                "mode",
                "mode: is 'ai_agent', which needs a language model, and this server has none; "
                "write llm: in server.yaml, or mode: help_chat_voice, which answers from documents alone",
            )
        chat = mode.help_chat
        if chat is not None and chat.escalation_enabled and mode.handoff is None:
            if chat.escalation_phone is None:
                raise CannotServe(
                    "missing_required_field",
                    "help_chat.escalation_phone",
                    "help_chat.escalation_phone: is missing, and escalation_enabled is true; "
                    "write a number like +4930123456",
                )
            trunk = self._trunk(wish.trunk, needed=True)
            assert trunk is not None
            if not trunk.dial.allows(chat.escalation_phone):
                raise CannotServe(
                    "invalid_field_value",
                    "help_chat.escalation_phone",
                    f"help_chat.escalation_phone: is {chat.escalation_phone}, which trunk '{trunk.name}' may not call; "
                    "write a number of its dial.allow",
                )

    def dialling(
        self,
        to: str,
        *,
        trunk: str | None = None,
        from_: str | None = None,
        number: str | None = None,
        headers: SipHeaders = (),
        ring_s: float | None = None,
    ) -> Dialling:
        """How to reach `to`, a SIP address or a telephone number. Raises CannotServe.

        number  our number that the other side shall see
        """
        way = self._trunk(trunk, needed=not to.lower().startswith(("sip:", "sips:")))
        account = way.account if way else None
        return Dialling(
            to=to if way is None or ":" in to else trunk_address(way.name, to),
            from_=from_ or f"sip:{number or (way.caller_id.number if way else None) or 'kallglot'}@{self._our_host}",
            credentials=account.credentials() if account else None,
            headers=headers,
            ring_s=ring_s or self._config.server.sip.ring_s,
        )

    def _trunk(self, name: str | None, *, needed: bool) -> Trunk | None:
        trunks = self._config.server.sip.trunks
        if name is not None:
            found = next((trunk for trunk in trunks if trunk.name == name), None)
            if found is None:
                there = ", ".join(trunk.name for trunk in trunks) or "none: write sip.trunks in server.yaml"
                raise CannotServe(
                    "invalid_field_value", "routing.connection_id", f"no trunk is called '{name}'; there are: {there}"
                )
            return found
        if needed and not trunks:
            raise CannotServe(
                "invalid_field_value",
                "to",
                "to: is a telephone number, and this server has no trunk; "
                "write a SIP address like sip:agent@192.0.2.20, or sip.trunks in server.yaml",
            )
        return trunks[0] if needed else None

    def _check_languages(self, wish: Wish) -> None:
        loaded = self._config.languages()
        for param, language in (("source_language", wish.source_language), ("target_language", wish.target_language)):
            if language is not None and loaded and language not in loaded:
                raise CannotServe(
                    "invalid_language_code",
                    param,
                    f"{param}: is '{language}', which is not loaded here; write one of: {', '.join(loaded)}, "
                    f"or add it to speech.languages in server.yaml",
                )
        if wish.source_language is not None and wish.source_language == wish.target_language:
            raise CannotServe(
                "invalid_field_value",
                "target_language",
                f"target_language: is '{wish.target_language}', the same as source_language; "
                "write the agent's language",
            )

    def _mode_for(self, wish: Wish) -> Mode | None:
        """The mode file of the number's route, else the first one of this mode, else the first one."""
        if wish.number is not None and wish.inbound:
            route = self._config.route_for(wish.number)
            found = self._config.mode_of(route) if route is not None and route.mode is not None else None
            if isinstance(found, Mode):
                return found
        named = (self._config.modes[route.mode] for route in self._config.routes if route.mode is not None)
        modes = [mode for mode in named if isinstance(mode, Mode)]
        return next((mode for mode in modes if mode.mode == wish.mode), modes[0] if modes else None)

    def _keeps(self, wish: Wish, mode: AnyMode | None) -> bool:
        allowed = self._config.server.recording.enabled
        if wish.keep and not allowed:
            raise CannotServe(
                "invalid_field_value",
                "recording.enabled",
                "recording.enabled: is true, and recording is switched off on this server; "
                "write false, or recording.enabled: true in server.yaml",
            )
        if wish.keep is not None:
            return wish.keep
        return allowed and (mode.recording.enabled if mode else True)

    def _rules(self, wish: Wish, plan: Plan, mode: Mode | None) -> RoomRules:
        config = self._config
        out = self.dialling("sip:nobody", trunk=wish.trunk, from_=wish.from_, number=wish.number)
        languages = {Party.CUSTOMER: wish.source_language, Party.AGENT: wish.target_language}

        def agent(incoming: IncomingCall) -> BridgeRules:
            assert mode is not None
            rules = self._router.bridge_rules(mode, incoming)
            known = {party: languages[party] or rules.languages[party] for party in languages}
            headers = (*rules.headers, *wish.headers)
            return replace(rules, plan=plan, languages=known, headers=headers, max_forwards=max_forwards_of(incoming))

        return RoomRules(
            plan=plan,
            gains=mode.gains.message() if mode else Gains(),
            segment=mode.segment.message() if mode else SegmentRules(),
            languages=languages,
            voices={} if mode is None else {each: config.voice(mode, each) for each in config.languages()},
            agent=agent if mode is not None and wish.inbound else None,
            number=wish.number if wish.inbound else None,
            caller=out.from_,
            headers=wish.headers,
            ring_s=out.ring_s,
            max_call_s=config.server.limits.max_call_s,
            idle_s=self._idle_s,
            rejoin_s=self._rejoin_s,
            audio=wish.audio,
            policy=mode.policy if mode else TURN_BY_TURN,
            subtitles=SubtitleRules.of(mode.subtitles) if mode else NO_SUBTITLES,
        )


def _mistake(error: ValidationError) -> CannotServe:
    """What a client wrote that the mode cannot be made of: the first mistake, with its mend."""
    first = error.errors(include_url=False)[0]
    param = ".".join(map(str, first["loc"]))
    ctx = first.get("ctx") or {}
    wrong, mend = ctx.get("wrong", first["msg"]), ctx.get("mend", "write it as the documentation says")
    return CannotServe("invalid_field_value", param, f"{param}: {wrong}; {mend}")
