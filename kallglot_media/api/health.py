"""/healthz, /readyz and /metrics: outside of /v1, without a key, and without a word of anybody's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from fastapi import APIRouter
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from starlette.requests import Request
from starlette.responses import Response

from kallglot_media.api.answers import answer
from kallglot_media.api.parts import Parts, parts_of
from kallglot_media.api.validation import Answer
from kallglot_media.store.errors import StoreUnavailable
from kallglot_media.store.sessions import count_open

router = APIRouter(tags=["health"])
TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Alive(Answer):
    """The process answers."""

    status: Literal["ok"]


class Readiness(Answer):
    """Whether calls are taken. problems: part -> why not."""

    status: Literal["ready", "not_ready"]
    problems: dict[str, str]


@router.get("/healthz", summary="Is the process alive?", response_model=Alive)
async def healthz() -> Response:
    """Answers as long as the process does."""
    return answer({"status": "ok"})


@router.get(
    "/readyz",
    summary="Are calls taken?",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "Not now; `problems` says why."}},
)
async def readyz(request: Request) -> Response:
    """For load balancers: 503 while the server drains, or a part that calls need is away."""
    parts = parts_of(request)
    problems = parts.health.problems()
    try:
        await parts.store.read(count_open)
    except StoreUnavailable as error:
        problems["database"] = str(error)
    if problems:
        return answer({"status": "not_ready", "problems": problems}, 503)
    return answer({"status": "ready", "problems": {}})


@router.get(
    "/metrics",
    summary="Numbers for Prometheus",
    response_class=Response,
    responses={200: {"description": "Prometheus' text format.", "content": {"text/plain": {}}}},
)
async def metrics(request: Request) -> Response:
    """Counters, gauges and times since the start."""
    return Response(generate_latest(request.app.state.metrics.registry), media_type=TEXT)


class Metrics:
    """What /metrics shows. HTTP is counted here; everything else is asked for when somebody looks."""

    def __init__(self, parts: Parts) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "kallglot_http_requests", "HTTP requests", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "kallglot_http_request_seconds",
            "Time to the end of the answer",
            ["route"],
            registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0),
        )
        self.registry.register(_Numbers(parts))


class _Numbers:
    """The server's own counters and gauges, as they stand now."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        """Called by prometheus_client for every scrape."""
        parts = self._parts
        gauges = parts.health.gauges() | {
            "sessions_waiting": float(parts.lobby.waiting),
            "stream_clients": float(parts.hall.connected),
            "store_writes_held": float(parts.held_writes()),
        }
        for name, value in sorted(gauges.items()):
            yield GaugeMetricFamily(f"kallglot_{name}", name.replace("_", " "), value=value)
        events = CounterMetricFamily("kallglot_events", "What was counted, by name", labels=["part", "name"])
        for part, counters in (
            ("call", parts.health.counters()),
            ("store", parts.store.counters),
            ("stream", parts.hall.counters),
            *parts.counted.items(),
        ):
            for name, count in sorted(counters.items()):
                events.add_metric([part, str(name)], float(count))
        yield events
