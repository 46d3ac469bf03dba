"""From a called number to what happens: the configuration read as rules of a scenario."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kallglot_media.agent.types import Line
from kallglot_media.audio.segment import SegmentRules
from kallglot_media.call.answering_desk import Minds, answering_rules, voice_rules
from kallglot_media.call.answering_rules import AnsweringRules
from kallglot_media.call.bridge import BridgeRules
from kallglot_media.call.holding import HoldRules
from kallglot_media.call.ports import SipHeaders
from kallglot_media.call.registry import Destination
from kallglot_media.call.services import ServiceRules
from kallglot_media.call.subtitles import SubtitleRules
from kallglot_media.call.transferring import AgentTarget
from kallglot_media.call.trunks import Trunks, trunk_address
from kallglot_media.call.world import SessionFacts
from kallglot_media.config.answering import AnsweringMode, Handoff
from kallglot_media.config.load import Config
from kallglot_media.config.mode import Mode, Target
from kallglot_media.config.modes import AnyMode
from kallglot_media.config.routes import Asked, Route
from kallglot_media.modes.plan import Party
from kallglot_media.sip.errors import SipError
from kallglot_media.sip.events import IncomingCall
from kallglot_media.sip.identity import ANONYMOUS
from kallglot_media.sip.uri import NameAddr, Uri


class Router:
    """`router(called, incoming)` is the destination of a call, None when no route takes it.

    only_starter  no real recogniser is installed
    our_host      the host part of addresses that we make up
    trunks        who is called and who calls, when that comes over a trunk
    minds         make the conversations of the modes in which an AI answers
    """

    def __init__(
        self,
        config: Config,
        *,
        only_starter: bool,
        our_host: str,
        trunks: Trunks | None = None,
        minds: Minds | None = None,
    ) -> None:
        self._config = config
        self._only_starter = only_starter
        self._our_host = our_host
        self._trunks = trunks or Trunks(config.server.sip.trunks)
        self._generation = 1
        self._minds = minds

    def __call__(self, called: str, incoming: IncomingCall) -> Destination | None:
        route = self._config.route_for(called, self._asked(incoming))
        if route is None:
            return None
        if route.mode is None:
            return self._service(route, called)
        mode = narrowed(self._config.mode_of(route), route)
        return self._bridge(mode, called, incoming) if isinstance(mode, Mode) else self._answer(mode, called, incoming)

    def _answer(self, mode: AnsweringMode, called: str, incoming: IncomingCall) -> Destination:
        facts = SessionFacts(
            mode=mode.mode,
            source_language=mode.source_language,
            target_language=mode.human_language,
            called=called,
            keep=mode.recording.enabled and self._config.server.recording.enabled,
            generation=self._generation,
        )
        return Destination(facts, self.answering_rules(mode, incoming))

    def answering_rules(
        self, mode: AnsweringMode, incoming: IncomingCall | None, history: Sequence[Line] = ()
    ) -> AnsweringRules:
        """How an AI answers, and whom it hands over to. incoming: None when the caller did not come by SIP."""
        assert self._minds is not None

        def introduce(target: Target) -> tuple[str, SipHeaders]:
            if incoming is not None:
                return self._introduction(target, incoming)
            return (str(target.from_) if target.from_ else f"sip:kallglot@{self._our_host}"), ()

        return answering_rules(self._config, mode, self._minds, introduce, history)

    def use(self, config: Config, generation: int) -> None:
        """Calls from now on go by another configuration; those that are there keep theirs."""
        self._config = config
        self._generation = generation

    def _asked(self, incoming: IncomingCall) -> Asked:
        """What routes may look at."""
        headers = {name.lower(): value for name, value in reversed(list(incoming.request.headers))}
        caller = self._trunks.caller(incoming)
        return Asked("" if caller.private else caller.number, headers)

    def _service(self, route: Route, called: str) -> Destination:
        languages = route.languages
        facts = SessionFacts(
            mode=route.service or "",
            source_language=languages[0] if languages else None,
            target_language=languages[1] if languages else None,
            called=called,
            keep=self._config.server.recording.enabled,
            generation=self._generation,
        )
        rules = ServiceRules(
            languages=languages,
            only_starter=self._only_starter,
            max_call_s=self._config.server.limits.max_call_s,
            segment=SegmentRules(),
            announcements=route.announcements,
        )
        return Destination(facts, rules)

    def _bridge(self, mode: Mode, called: str, incoming: IncomingCall) -> Destination:
        config = self._config
        facts = SessionFacts(
            mode=mode.mode,
            source_language=mode.source_language,
            target_language=mode.target_language,
            called=called,
            keep=mode.recording.enabled and config.server.recording.enabled,
            generation=self._generation,
        )
        return Destination(facts, self.bridge_rules(mode, incoming))

    def bridge_rules(self, mode: Mode, incoming: IncomingCall) -> BridgeRules:
        """How the agent of a mode file is reached for this call."""
        config, agent = self._config, mode.agent
        account = agent.account
        agent_from, headers = self._introduction(agent, incoming)
        languages = {party: mode.language_of(party) for party in (Party.CUSTOMER, Party.AGENT)}
        return BridgeRules(
            agent_to=str(agent.to) if agent.to else trunk_address(agent.trunk or "", agent.number or ""),
            agent_from=agent_from,
            headers=headers,
            credentials=account.credentials() if account else None,
            max_forwards=max(0, max_forwards_of(incoming) - 1),
            ring_s=config.ring_s(mode),
            answer_at_once=mode.answer == "at_once",
            max_call_s=config.server.limits.max_call_s,
            plan=mode.plan,
            gains=mode.gains.message(),
            segment=mode.segment.message(),
            policy=mode.policy,
            languages=languages,
            voices={language: config.voice(mode, language) for language in languages.values()},
            announcements=mode.announcements,
            hold=_hold_rules(mode),
            then=tuple(self._target(mode, one, incoming) for one in agent.then),
            allow=lambda to: self._sent_away(mode, to, agent_from),
            subtitles=SubtitleRules.of(mode.subtitles),
        )

    def _target(self, mode: Mode, target: Target, incoming: IncomingCall) -> AgentTarget:
        from_, headers = self._introduction(target, incoming)
        return AgentTarget(
            str(target.to) if target.to else trunk_address(target.trunk or "", target.number or ""),
            from_,
            target.account.credentials() if target.account else None,
            target.ring_s or self._config.server.sip.ring_s,
            headers,
        )

    def _sent_away(self, mode: Mode, to: str, from_: str) -> AgentTarget | None:
        """Whom the agent's side may send the customer to: mode.transfer decides, whatever the address says."""
        try:
            uri = Uri.parse(to)
        except SipError:
            return None
        number = uri.user_text or uri.opaque or ""
        ring_s = self._config.ring_s(mode)
        agent = Uri.parse(str(mode.agent.to)) if mode.agent.to else None
        if number and mode.transfer.allows(number) and uri.host in ("", self._our_host, agent.host if agent else ""):
            if mode.transfer.trunk is not None:
                return AgentTarget(trunk_address(mode.transfer.trunk, number), from_, None, ring_s)
            if agent is not None:
                account = mode.agent.account
                credentials = account.credentials() if account else None
                return AgentTarget(str(replace(agent, user=uri.user or number)), from_, credentials, ring_s)
        if uri.host and mode.transfer.allows_address(f"{number}@{uri.host}"):
            return AgentTarget(to, from_, None, ring_s)
        return None

    def _introduction(self, agent: Target, incoming: IncomingCall) -> tuple[str, SipHeaders]:
        """Who the agent's phone shows, and what a trunk is told besides.

        Without a trunk it is the customer's number with our host: a call back comes to us.
        """
        caller = self._trunks.caller(incoming)
        if agent.from_ is not None:
            return str(agent.from_), ()
        if agent.trunk is not None and agent.number is not None:
            return self._trunks.identity(agent.trunk, caller, self._trunks.called(incoming), agent.number)
        if caller.private:
            return str(ANONYMOUS), ()
        user = caller.address.uri.user or "anonymous"
        return str(NameAddr(caller.address.display, Uri(scheme="sip", user=user, host=self._our_host))), ()


def _hold_rules(mode: Mode) -> HoldRules:
    sound = mode.hold.sound()
    return HoldRules(mode.hold.pass_on) if sound is None else HoldRules(mode.hold.pass_on, *sound)


def narrowed(mode: AnyMode, route: Route) -> AnyMode:
    """The mode of a route that says languages or the agent itself."""
    changed: dict[str, object] = {}
    if route.languages is not None:
        changed |= {"source_language": route.languages[0], "target_language": route.languages[1]}
    if route.to is not None:
        instead = {"to": route.to, "trunk": None, "number": None}
        if isinstance(mode, Mode):
            changed["agent"] = mode.agent.model_copy(update=instead)
        else:
            changed["handoff"] = (mode.handoff or Handoff()).model_copy(update=instead)
    return mode.model_copy(update=changed) if changed else mode


def max_forwards_of(incoming: IncomingCall) -> int:
    """What the customer's INVITE had; 70 when it had none. RFC 3261 section 20.22."""
    text = incoming.request.headers.first("Max-Forwards")
    return 70 if text is None else int(text)  # the parser lets digits up to 255 through and nothing else


def announcements_of(config: Config) -> list[tuple[str, str, str | None]]:
    """Every (text, language, voice) that the configured routes can need, to be made before a call needs it."""
    wanted: dict[tuple[str, str, str | None], None] = {}
    for route in config.routes:
        mode = config.modes.get(route.mode) if route.mode else None
        if isinstance(mode, AnsweringMode):
            voices = voice_rules(config, mode).voices
            for name in type(mode.phrases).model_fields:
                if text := mode.phrases.text(name, mode.source_language):
                    wanted[text, mode.source_language, voices[mode.source_language]] = None
            continue
        texts = mode.announcements if mode else route.announcements
        if mode:
            languages: tuple[str, ...] = route.languages or (mode.source_language, mode.target_language)
            names = [name for name in type(texts).model_fields if name not in ("interpreter", "starter_only")]
        else:
            languages = route.languages or ()
            names = ["interpreter", "starter_only"]
        for language in languages:
            for name in names:
                text = texts.text(name, language)
                if text:
                    wanted[text, language, config.voice(mode, language)] = None
    return list(wanted)
