"""Who hears whom, as arrays: one step for all legs of all sessions.

An edge is a talker's original voice on its way to a listener. Its gain moves between two levels,
down fast when made speech plays to the listener and up slowly after it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kallglot_media.audio.mix import GainRamps, gain_of_db
from kallglot_media.audio.pcm import Pcm16
from kallglot_media.media.messages import Gains
from kallglot_media.modes.plan import Party, Plan


@dataclass(frozen=True, slots=True)
class Edge:
    """A talker's original voice, as a listener hears it. Gains are factors; slots are rows of the plane's arrays.

    attack_ms, release_ms  how long the gain takes from 1 to 0 and from 0 to 1
    """

    listener: int
    talker: int
    idle_gain: float
    under_gain: float
    attack_ms: int = 20
    release_ms: int = 20


def edges_of(plan: Plan, gains: Gains, through: Iterable[Party], slots: Mapping[Party, int]) -> list[Edge]:
    """The edges of one session.

    A live voice is heard at 0 dB. The voice under made speech is heard as `gains` say, or at 0 dB
    when its party is let `through`; nobody hears their own voice back that way, only when live.
    """
    idle, under = gain_of_db(gains.original_idle_db), gain_of_db(gains.original_level_db)
    loudest = max(idle, under)
    let_through = frozenset(through)
    edges = []
    for listener, slot in slots.items():
        live = plan.live.get(listener, ())
        edges += [Edge(slot, slots[talker], 1.0, 1.0) for talker in live if talker in slots]
        made_over = plan.made.get(listener)
        if made_over is None or made_over is listener or made_over in live or made_over not in slots:
            continue
        if made_over in let_through:
            edges.append(Edge(slot, slots[made_over], 1.0, 1.0))
        elif loudest > 0.0:
            # attack_ms is meant for the way from the louder level to silence, not from 0 dB
            speeds = (round(gains.attack_ms / loudest), round(gains.release_ms / loudest))
            edges.append(Edge(slot, slots[made_over], idle, under, *speeds))
    return edges


class Mixer:
    """All edges of all sessions, in layers: within a layer no listener occurs twice."""

    def __init__(self) -> None:
        self._by_session: dict[str, list[Edge]] = {}
        self._edges: list[Edge] = []
        self._ramps = GainRamps(0)
        self._build()

    def set_edges(self, session_id: str, edges: list[Edge]) -> None:
        """Replace a session's edges; a pair that was there keeps its gain and moves on from it."""
        if self._by_session.get(session_id, []) == edges:
            return
        stand = {(edge.listener, edge.talker): float(self._ramps.gains[row]) for row, edge in enumerate(self._edges)}
        if edges:
            self._by_session[session_id] = edges
        else:
            self._by_session.pop(session_id, None)
        self._build()
        for row, edge in enumerate(self._edges):
            gain = stand.get((edge.listener, edge.talker), edge.idle_gain)
            self._ramps.set_row(row, gain, attack_ms=edge.attack_ms, release_ms=edge.release_ms)

    def mix(self, heard: Pcm16, playing: npt.NDArray[np.bool_], said: npt.NDArray[np.float32]) -> None:
        """Add to said[listener] what it hears of heard[talker]; one tick.

        heard    int16[n_slots, samples]
        playing  bool[n_slots]: made speech plays to this listener in this tick
        said     float32[n_slots, samples], added to
        """
        if not self._edges:
            return
        targets = np.where(playing[self._listener], self._under, self._idle)
        sound = heard[self._talker] * self._ramps.step(targets, heard.shape[1])
        for start, end in self._layers:
            said[self._listener[start:end]] += sound[start:end]

    def _build(self) -> None:
        layers: list[list[Edge]] = []
        for edges in self._by_session.values():
            depth: dict[int, int] = {}
            for edge in edges:
                layer = depth.get(edge.listener, 0)
                depth[edge.listener] = layer + 1
                if layer == len(layers):
                    layers.append([])
                layers[layer].append(edge)
        self._edges = [edge for layer in layers for edge in layer]
        self._layers = list(itertools.pairwise(itertools.accumulate(map(len, layers), initial=0)))
        self._listener = np.array([edge.listener for edge in self._edges], np.intp)
        self._talker = np.array([edge.talker for edge in self._edges], np.intp)
        self._idle = np.array([edge.idle_gain for edge in self._edges], np.float32)
        self._under = np.array([edge.under_gain for edge in self._edges], np.float32)
        self._ramps.resize(len(self._edges))
