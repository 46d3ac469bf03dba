"""The ONNX graph of a diphone voice: phoneme ids in, sound out, no neural network in it.

    ids → symbols → units → frames → where each frame goes → overlapped and added

Pitch, pace and size of the throat are free (TD-PSOLA): frames are put down at the periods of another pitch, repeated or
left out for another duration, and read faster or slower for other formants. Each speaker is three such numbers.
The tune of a sentence: falling, higher on stressed vowels, rising towards the end of a question.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

from train_starter.voice_units import PUNCTUATION, RATE_HZ, SILENCE, STRESS, Sound, Unit, Units, is_mark

OPSET, IR_VERSION = 18, 9
PAUSE_MS = {",": 130, ";": 160, ":": 160}
SILENT_MS = 120
"""Between two silences."""

FALL, ACCENT, QUESTION_RISE, LAST_FALL = 0.16, 0.10, 0.6, 0.14
LAST_PHONES = 6.0
LOWEST_FORMANTS = 0.8
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Speaker:
    """pitch, formants: times the recorded one; pace: durations."""

    name: str
    pitch: float
    formants: float
    pace: float


@dataclass(slots=True)
class Tables:
    """Everything that the graph looks up. unit_of: [left, right]; the rest by unit or by frame."""

    sound: npt.NDArray[np.int16]
    unit_of: Ids
    first_frame: Ids
    frames: Ids
    centre: npt.NDArray[np.int32]
    voiced: npt.NDArray[np.bool_]


def build(units: Units, speakers: Sequence[Speaker]) -> onnx.ModelProto:
    """The voice as a model."""
    symbols = [*units.symbols, *PAUSE_MS]
    tables = tables_of(units, symbols)
    graph = _Graph()
    tune, unit = _units(graph, symbols, tables)
    _sound(graph, tables, units.period, speakers, tune, unit)
    return graph.model()


# ── tables ───────────────────────────────────────────────────────────────────────


def tables_of(units: Units, symbols: Sequence[str]) -> Tables:
    """Each sound once; a diphone that was never heard is the frames of two halves."""
    pad = int(units.period * 1.25) + 2
    pieces: list[Sound] = [np.zeros(4 * pad, np.float32)]
    length = 4 * pad
    silent = 2 * pad
    centre: list[int] = []
    voiced: list[bool] = []
    first_frame: list[int] = []
    frames: list[int] = []
    known: dict[int, range] = {}

    def put(unit: Unit) -> Iterator[tuple[int, bool]]:
        nonlocal length
        key = id(unit)
        if key not in known:
            start, end = int(unit.marks[0]) - pad, int(unit.marks[-1]) + pad
            sound = np.pad(unit.sound, pad)[start + pad : end + pad]
            known[key] = range(length, length + len(sound))
            pieces.append(sound)
            length += len(sound)
        offset = known[key].start + pad - int(unit.marks[0])
        return ((offset + int(mark), bool(v)) for mark, v in zip(unit.marks, unit.voiced, strict=True))

    def silence(ms: int) -> list[tuple[int, bool]]:
        return [(silent, False)] * round(ms * RATE_HZ / 1000 / units.period)

    def of(left: str, right: str) -> list[tuple[int, bool]]:
        behind = silence(PAUSE_MS[right]) if right in PAUSE_MS else []
        left, right = (SILENCE if one in PAUSE_MS else one for one in (left, right))
        if left == right == SILENCE:
            return silence(SILENT_MS) + behind
        if (left, right) in units.diphones:
            return [*put(units.diphones[left, right]), *behind]
        halves = [units.ends.get(left), units.begins.get(right)]
        return [frame for unit in halves if unit is not None for frame in put(unit)] + behind

    unit_of = np.zeros((len(symbols), len(symbols)), np.int64)
    for a, left in enumerate(symbols):
        for b, right in enumerate(symbols):
            found = of(left, right) or silence(10)
            unit_of[a, b] = len(first_frame)
            first_frame.append(len(centre))
            frames.append(len(found))
            centre += [at for at, _ in found]
            voiced += [v for _, v in found]
    whole = np.concatenate(pieces)
    scaled = np.clip(whole / np.abs(whole).max() * 0.8 * 32767, -32768, 32767).astype(np.int16)
    return Tables(
        scaled, unit_of, np.array(first_frame), np.array(frames), np.array(centre, np.int32), np.array(voiced)
    )


def _id_tables(symbols: Sequence[str]) -> tuple[Any, Any, Any, Any]:
    """For every id of Piper's: is it said at all, is it a mark, its symbol, and its symbol with each mark behind it."""
    ids = {letter: found[0] for letter, found in DEFAULT_PHONEME_ID_MAP.items() if len(letter) == 1}
    number = {symbol: n for n, symbol in enumerate(symbols)}
    count = max(ids.values()) + 1
    said, mark = np.zeros(count, bool), np.zeros(count, bool)
    base, with_mark = np.zeros(count, np.int64), np.zeros((count, count), np.int64)
    for letter, one in ids.items():
        if letter in PUNCTUATION:
            said[one], base[one] = True, number.get(letter, 0)
        elif letter in STRESS or letter in "_ ":
            continue
        elif is_mark(letter):
            said[one] = mark[one] = any(letter in symbol[1:] for symbol in symbols)
        else:
            alike = letter if letter in number else next((s for s in symbols if s[0] == letter and s != SILENCE), None)
            said[one], base[one] = alike is not None, number.get(alike or "", 0)
    for letter, one in ids.items():
        for behind, other in ids.items():
            with_mark[one, other] = number.get(letter + behind, base[one])
    return said, mark, base, with_mark


# ── graph ────────────────────────────────────────────────────────────────────────


class _Graph:
    """Nodes and constants, each made where it is used: `g("Add", a, 1.5)`."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def constant(self, value: Any) -> str:
        """int → int64, float → float32, arrays as they are."""
        array = np.asarray(value)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def __call__(self, op: str, *inputs: Any, **attributes: Any) -> str:
        names = [one if isinstance(one, str) else self.constant(one) for one in inputs]
        out = attributes.pop("out", f"n{len(self._nodes)}")
        self._nodes.append(helper.make_node(op, names, [out], **attributes))
        return str(out)

    def cast(self, value: str, kind: int = TensorProto.FLOAT) -> str:
        return self("Cast", value, to=kind)

    def row(self, value: str) -> str:
        """[n] → [1, n]."""
        return self("Unsqueeze", value, [0])

    def column(self, value: str) -> str:
        """[n] → [n, 1]."""
        return self("Unsqueeze", value, [1])

    def flat(self, value: str) -> str:
        return self("Reshape", value, [-1])

    def without_last(self, value: str) -> str:
        return self("Slice", value, [0], [-1])

    def without_first(self, value: str) -> str:
        return self("Slice", value, [1], [2**31])

    def model(self) -> onnx.ModelProto:
        info = helper.make_tensor_value_info
        inputs = [
            info("input", TensorProto.INT64, ["batch", "phonemes"]),
            info("input_lengths", TensorProto.INT64, ["batch"]),
            info("scales", TensorProto.FLOAT, [3]), info("sid", TensorProto.INT64, ["batch"]),
        ]  # fmt: skip
        outputs = [info("output", TensorProto.FLOAT, [1, 1, 1, "samples"])]
        graph = helper.make_graph(self._nodes, "diphones", inputs, outputs, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return model


def _units(g: _Graph, symbols: Sequence[str], tables: Tables) -> tuple[str, str]:
    """(pitch at each phone, one more than units; the units)."""
    said, mark, base, with_mark = _id_tables(symbols)
    ids = g.flat("input")
    is_said = g("Gather", said, ids)
    kept = g("Compress", ids, is_said, axis=0)
    stresses = g("CumSum", g.cast(g("Equal", ids, DEFAULT_PHONEME_ID_MAP["ˈ"][0])), 0)
    stresses = g("Compress", stresses, is_said, axis=0)
    is_mark_ = g("Gather", mark, kept)
    next_id = g("Concat", g.without_first(kept), np.zeros(1, np.int64), axis=0)
    marked = g("Concat", g.without_first(is_mark_), np.zeros(1, bool), axis=0)
    pair = g("Add", g("Mul", kept, len(base)), next_id)
    symbol = g("Where", marked, g("Gather", with_mark.reshape(-1), pair), g("Gather", base, kept))
    no_mark = g("Not", is_mark_)
    symbol = g("Compress", symbol, no_mark, axis=0)
    stresses = g("Compress", stresses, no_mark, axis=0)
    before = g("Concat", np.zeros(1, np.float32), g.without_last(stresses), axis=0)
    accent = g("Clip", g("Sub", stresses, before), 0.0, 1.0)
    question = g("Equal", ids, DEFAULT_PHONEME_ID_MAP["?"][0])
    asks = g("ReduceMax", g.cast(question), [0], keepdims=1)
    left, right = g.without_last(symbol), g.without_first(symbol)
    unit = g("Gather", tables.unit_of.reshape(-1), g("Add", g("Mul", left, len(symbols)), right))
    return _tune(g, accent, asks), unit


def _tune(g: _Graph, accent: str, asks: str) -> str:
    count = g.cast(g("Squeeze", g("Shape", accent), [0]))
    at = g("Range", 0.0, count, 1.0)
    falling = g("Add", 1.0 + FALL / 2, g("Mul", g("Div", at, count), -FALL))
    near_end = g("Clip", g("Sub", 1.0, g("Div", g("Sub", count, at), LAST_PHONES)), 0.0, 1.0)
    last = g("Add", -LAST_FALL, g("Mul", asks, LAST_FALL + QUESTION_RISE))
    accented = g("Add", 1.0, g("Mul", accent, ACCENT))
    return g("Mul", g("Mul", falling, accented), g("Add", 1.0, g("Mul", near_end, last)))


def _sound(g: _Graph, tables: Tables, period: int, speakers: Sequence[Speaker], tune: str, unit: str) -> None:
    of_speaker = np.array([[one.pitch, one.formants, one.pace] for one in speakers], np.float32)
    chosen = g.flat(g("Gather", of_speaker, "sid"))
    pitch, formants, pace = (g("Gather", chosen, np.array([n])) for n in range(3))
    length_scale = g("Gather", "scales", np.array([1]))
    stretch = g("Mul", pace, g("Clip", length_scale, 0.3, 4.0))

    frame, ratio = _frames(g, tables, tune, unit)
    ratio = g("Where", g("Gather", tables.voiced, frame), g("Mul", ratio, pitch), 1.0)
    periods = g("Mul", ratio, stretch)
    lasts = g("Mul", g("Add", g("Mul", ratio, 0.0), float(period)), stretch)
    periods_end, ends = g("CumSum", periods, 0), g("CumSum", lasts, 0)
    put_down = g("Range", 0.0, g("Floor", g("ReduceMax", periods_end, [0], keepdims=0)), 1.0)
    behind = g("LessOrEqual", g.row(periods_end), g.column(put_down))
    source = g("ReduceSum", g.cast(behind, TensorProto.INT64), [1], keepdims=0)
    into = g("Sub", put_down, g("Gather", g("Sub", periods_end, periods), source))
    share = g("Div", into, g("Gather", periods, source))
    starts = g("Gather", g("Sub", ends, lasts), source)
    place = g("Add", starts, g("Mul", share, g("Gather", lasts, source)))
    place = g.cast(g("Round", place), TensorProto.INT64)

    reach = int(np.ceil(period / LOWEST_FORMANTS)) + 1
    offsets = np.arange(-reach, reach + 1)
    read_at = g("Clip", g("Mul", offsets.astype(np.float32), formants), -float(period), float(period))
    window = g("Mul", g("Add", g("Cos", g("Mul", read_at, np.pi / period)), 1.0), g("Mul", formants, 0.5))
    whole = g("Floor", read_at)
    beyond = g("Sub", read_at, whole)
    centre = g.cast(g("Gather", tables.centre, g("Gather", frame, source)), TensorProto.INT64)
    where = g("Add", g.column(centre), g.row(g.cast(whole, TensorProto.INT64)))
    here, next_ = (g.cast(g("Gather", tables.sound, one)) for one in (where, g("Add", where, 1)))
    read = g("Add", here, g("Mul", g("Sub", next_, here), g.row(beyond)))
    windowed = g("Mul", read, g.row(g("Div", window, 32768.0)))
    target = g.flat(g("Add", g.column(place), g.row(g.constant(offsets + reach))))
    total = g("Add", g.cast(g("Ceil", g("ReduceMax", ends, [0], keepdims=1)), TensorProto.INT64), 2 * reach + 2)
    empty = g("ConstantOfShape", total, value=numpy_helper.from_array(np.zeros(1, np.float32)))
    added = g("ScatterElements", empty, target, g.flat(windowed), axis=0, reduction="add")
    g("Reshape", added, [1, 1, 1, -1], out="output")


def _frames(g: _Graph, tables: Tables, tune: str, unit: str) -> tuple[str, str]:
    """(number of each frame in the order in which they are said; the tune at each)."""
    first, count = g.column(g("Gather", tables.first_frame, unit)), g.column(g("Gather", tables.frames, unit))
    steps = np.arange(int(tables.frames.max()))
    there = g.flat(g("Less", g.row(g.constant(steps)), count))
    frame = g("Compress", g.flat(g("Add", first, steps)), there, axis=0)
    begin, end = g.column(g.without_last(tune)), g.column(g.without_first(tune))
    share = g("Div", g.row(g.constant(steps.astype(np.float32))), g.cast(count))
    between = g("Add", begin, g("Mul", g("Sub", end, begin), share))
    return frame, g("Compress", g.flat(between), there, axis=0)
