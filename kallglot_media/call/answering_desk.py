"""An answering mode, of a file or of a client, as the rules of its scenario."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from kallglot_media.agent.conversation import Conversation
from kallglot_media.agent.endpoint import Patience
from kallglot_media.agent.guards import redacted
from kallglot_media.agent.types import Line
from kallglot_media.call.answering_rules import AnsweringRules, HandoffRules, VoicemailRules, VoiceRules
from kallglot_media.call.holding import HoldRules
from kallglot_media.call.ports import SipHeaders
from kallglot_media.call.session import Session
from kallglot_media.call.transferring import AgentTarget
from kallglot_media.call.trunks import trunk_address
from kallglot_media.config.answering import AnsweringMode, Handoff
from kallglot_media.config.load import Config
from kallglot_media.config.mode import Target
from kallglot_media.speech.speakers import with_speaker

Introduce = Callable[[Target], tuple[str, SipHeaders]]
"""Who the human's phone shows, and what a trunk is told besides."""


class Minds(Protocol):
    """Makes conversations: minds.Minds."""

    async def conversation(
        self, mode: AnsweringMode, session: Session, *, has_human: bool, history: Sequence[Line] = ()
    ) -> Conversation: ...


def answering_rules(
    config: Config, mode: AnsweringMode, minds: Minds, introduce: Introduce, history: Sequence[Line] = ()
) -> AnsweringRules:
    """The rules of one session."""
    handoff = handoff_rules(config, mode, introduce)
    phrases, taking, limits = mode.phrases, mode.turn_taking, mode.limits
    own = mode.ai_agent.greeting if mode.ai_agent is not None else None
    languages = {mode.source_language, mode.human_language}

    async def converse(session: Session) -> Conversation:
        return await minds.conversation(mode, session, has_human=handoff is not None, history=history)

    return AnsweringRules(
        converse=converse,
        phrase=phrases.text,
        greeting=phrases.text("greeting", mode.source_language) if own is None else own,
        caller_language=mode.source_language,
        inner_language=mode.inner_language,
        human_language=mode.human_language,
        voice=voice_rules(config, mode),
        voices={language: config.voice(mode, language) for language in languages},
        segment=mode.segment.message(),
        gains=mode.gains.message(),
        patience=Patience(taking.unfinished_ms, taking.digits_ms),
        max_call_s=limits.max_call_s or config.server.limits.max_call_s,
        max_turns=limits.max_turns,
        barge_in=taking.barge_in,
        silence_s=taking.silence_s,
        silence_prompts=taking.silence_prompts,
        filler_ms=taking.filler_ms,
        keys_ms=taking.keys_ms,
        redact=lambda text: redacted(text, mode.guards.redact) if mode.guards.redact else text,
        handoff=handoff,
    )


def voice_rules(config: Config, mode: AnsweringMode) -> VoiceRules:
    """How the chosen one of the six voices is made."""
    set_up = mode.ai_voices.get(mode.voice)
    voices: dict[str, str | None] = {one: config.voice(mode, one) for one in config.languages()}
    if set_up is None:
        return VoiceRules(mode.voice, {one: with_speaker(name, mode.voice) for one, name in voices.items()})
    if not {"pitch", "speed"} & set_up.model_fields_set:
        voices = {one: with_speaker(name, mode.voice) for one, name in voices.items()}
    return VoiceRules(mode.voice, {**voices, **set_up.voices}, set_up.pitch, set_up.speed)


def handoff_rules(config: Config, mode: AnsweringMode, introduce: Introduce) -> HandoffRules | None:
    """To whom the AI may hand over; None: to nobody."""
    chat, handoff = mode.help_chat, mode.handoff
    if chat is not None and not chat.escalation_enabled:
        return None
    if handoff is None:
        if chat is None or chat.escalation_phone is None:
            return None
        handoff = Handoff()
    target = handoff
    if not handoff.names_somebody:
        trunks = config.server.sip.trunks
        trunk = handoff.trunk or (trunks[0].name if trunks else None)
        if chat is None or chat.escalation_phone is None or trunk is None:
            return None
        target = handoff.model_copy(update={"trunk": trunk, "number": chat.escalation_phone})
    to = str(target.to) if target.to else trunk_address(target.trunk or "", target.number or "")
    from_, headers = introduce(target)
    sound = mode.hold.sound()
    hours = handoff.hours
    return HandoffRules(
        AgentTarget(
            to,
            from_,
            target.account.credentials() if target.account else None,
            target.ring_s or config.server.sip.ring_s,
            headers,
        ),
        refer_to=_refer_to(config, target) if handoff.mode == "cold" else None,
        summary=handoff.summary,
        key=handoff.key,
        is_open=(lambda now: True) if hours is None else hours.holds,
        hold=HoldRules() if sound is None else HoldRules(False, *sound),
        nobody=handoff.nobody,
        voicemail=VoicemailRules(handoff.voicemail.longest_s, handoff.voicemail.silence_s),
    )


def _refer_to(config: Config, target: Target) -> str:
    """Who the caller's side is asked to call: a number at the trunk's own host."""
    if target.to is not None:
        return str(target.to)
    trunk = next((one for one in config.server.sip.trunks if one.name == target.trunk), None)
    return f"sip:{target.number}@{trunk.domain_or_host}" if trunk is not None else f"tel:{target.number}"


# ── what clients say ─────────────────────────────────────────────────────────────


def mode_of_wish(
    file: AnsweringMode | None, mode: str, source: str | None, target: str | None,
    ai_agent: Mapping[str, Any], help_chat: Mapping[str, Any],
) -> AnsweringMode:  # fmt: skip
    """What a client asks for, laid over the mode file of the same mode. Raises pydantic.ValidationError."""
    base: dict[str, Any] = file.model_dump(by_alias=True, exclude_unset=True) if file is not None else {}
    merged: dict[str, Any] = {**base, "mode": mode}
    merged["source_language"] = source or base.get("source_language") or "en"
    if target is not None or file is None:
        merged["target_language"] = target
    if mode == "ai_agent":
        given = dict(ai_agent)
        handoff = given.pop("handoff", None)
        given["tools"] = tuple(given["tools"]) if given.get("tools") else base.get("ai_agent", {}).get("tools", ())
        merged["ai_agent"] = {**base.get("ai_agent", {}), **{k: v for k, v in given.items() if v is not None}}
        merged.pop("help_chat", None)
        if handoff:
            merged["handoff"] = {**_without_whom(base.get("handoff") or {}), **_whom(handoff)}
    else:
        given = {key: value for key, value in help_chat.items() if key != "history" and value is not None}
        merged["help_chat"] = {**base.get("help_chat", {}), **given}
        merged.pop("ai_agent", None)
    made = AnsweringMode.model_validate(merged)
    if file is not None:  # paths were made absolute when the file was read
        made = made.model_copy(update={"knowledge": file.knowledge, "hold": file.hold})
    return made


def history_of(help_chat: Mapping[str, Any]) -> list[Line]:
    """The chat that went before."""
    return [Line(str(one["role"]), str(one["text"])) for one in help_chat.get("history") or ()]


def _whom(handoff: Mapping[str, Any]) -> dict[str, Any]:
    to = str(handoff["to"])
    more = {key: handoff[key] for key in ("mode", "summary") if key in handoff}
    return {"to": to, **more} if to.lower().startswith(("sip:", "sips:")) else {"number": to, **more}


def _without_whom(handoff: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in handoff.items() if key not in ("to", "number", "account")}
