"""POST /v1/sessions/{id}/analysis and GET /v1/analyses/{id}: asked for, made in the background, looked up."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BeforeValidator, Field
from starlette.requests import Request
from starlette.responses import Response

from kallglot_media.api.answers import answer
from kallglot_media.api.docs import errors
from kallglot_media.api.errors import invalid, not_found
from kallglot_media.api.parts import parts_of
from kallglot_media.api.route import ApiRoute, needs
from kallglot_media.api.validation import Answer, Body, Language, whole
from kallglot_media.ledger.analyses import DEFAULT_PROFILE, PROFILE, analysis_json
from kallglot_media.store import analyses, sessions
from kallglot_media.store.analyses import Analysis
from kallglot_media.store.tx import Tx

router = APIRouter(prefix="/v1", tags=["analyses"], route_class=ApiRoute)

Kind = Literal["summary", "sentiment", "compliance", "keywords", "performance"]
Speaker = Literal["customer", "agent", "ai"]
Phrase = Annotated[str, Field(min_length=1, max_length=500, pattern=r"\S")]


class Rule(Body):
    """Something that must or must not be said."""

    name: Annotated[str, Field(min_length=1, max_length=200, examples=["recording notice"])]
    """What the verdict is called."""

    phrases: Annotated[list[Phrase], Field(min_length=1, max_length=100, examples=[["call is recorded"]])]
    """One of them is enough. Found in other forms of their words, and in translations, too."""

    must: Literal["say", "avoid"] = "say"
    """`say`: it has to be said; `avoid`: it must not be."""

    speaker: Speaker | None = None
    """Whose words count; left out: everybody's."""

    within_seconds: Annotated[float | None, Field(ge=0, le=86_400)] = None
    """`say` only counts if it is begun by then."""


class ComplianceOptions(Body):
    """What is looked for."""

    rules: Annotated[list[Rule], Field(max_length=100)]


class KeywordOptions(Body):
    """How many are told."""

    limit: Annotated[int, Field(ge=1, le=100), BeforeValidator(whole)] = 15


class NewAnalysis(Body):
    """POST /v1/sessions/{id}/analysis."""

    include: Annotated[list[Kind], Field(min_length=1, max_length=20, examples=[["summary", "sentiment"]])] = Field(
        default=["summary", "sentiment", "compliance", "keywords", "performance"]
    )
    """What is wanted; left out: everything."""

    profile: Annotated[str, Field(min_length=1, max_length=100)] = DEFAULT_PROFILE
    """The client's own name for it, echoed."""

    language: Language | None = None
    """What the summary is written in; left out: the agent's language."""

    compliance: ComplianceOptions | None = None
    """With `compliance`: the rules; without rules everything is in order."""

    keywords: KeywordOptions | None = None
    """With `keywords`."""


class ComplianceBrief(Answer):
    """flags: names of the rules that were broken."""

    status: Literal["ok", "flagged"]
    flags: list[str]


class PerformanceBrief(Answer):
    """score: the share of the time that was no dead air, times the share of turns that interrupted nobody."""

    score: float
    talk_ratio: dict[str, float]
    interruptions: int
    dead_air_seconds: float


class AnalysisObject(Answer):
    """What a session was like. What was not asked for, or is not made yet, is null."""

    id: str
    object: Literal["analysis"]
    session_id: str
    profile: str
    include: list[Kind]
    status: Literal["processing", "completed", "failed"]
    summary: str | None
    sentiment: dict[str, str] | None
    """For each party one line."""

    compliance: ComplianceBrief | None
    keywords: list[str] | None
    performance: PerformanceBrief | None
    results: dict[str, dict[str, Any]]
    """Each kind in full. `method` says how it was found: `computed`, `lexicon`, `extract`, or `model` (then which)."""

    error: str | None
    """Why it failed."""

    created_at: str
    completed_at: str | None


@router.post(
    "/sessions/{session_id}/analysis",
    status_code=202,
    summary="Ask for an analysis",
    response_model=AnalysisObject,
    responses=errors(400, 404, 409, 422),
    openapi_extra=needs("analysis:write", idempotent=True),
)
async def create(session_id: str, request: Request, body: NewAnalysis | None = None) -> Response:
    """Made in the background from the words said so far: read it, or wait for `analysis.complete`."""
    wanted = body or NewAnalysis()
    if wanted.compliance is None and wanted.include == ["compliance"]:
        raise invalid("compliance", "is missing, and nothing else is asked for; write {rules: [{name, phrases}]}")
    options = wanted.model_dump(mode="json", exclude_none=True, exclude={"include", "profile"})
    options[PROFILE] = wanted.profile
    made = await parts_of(request).store.write(_create, session_id, wanted.include, options)
    if made is None:
        raise not_found("session", session_id)
    return answer(analysis_json(made), 202)


def _create(tx: Tx, session_id: str, kinds: list[Kind], options: dict[str, Any]) -> Analysis | None:
    if sessions.get(tx, session_id) is None:
        return None
    return analyses.create(tx, session_id, list(dict.fromkeys(kinds)), options)


@router.get(
    "/analyses/{analysis_id}",
    summary="Read an analysis",
    response_model=AnalysisObject,
    responses=errors(404),
    openapi_extra=needs("analysis:read"),
)
async def read(analysis_id: str, request: Request) -> Response:
    """`status` is `processing` until it is made."""
    found = await parts_of(request).store.read(analyses.get, analysis_id)
    if found is None:
        raise not_found("analysis", analysis_id)
    return answer(analysis_json(found))
