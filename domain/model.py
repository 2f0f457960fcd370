"""Models: what travels inside `model.tar.gz`, how one is named, and which one is active."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

NAME = "[a-z0-9][a-z0-9-]{0,39}"
"""Of a model: part of keys and of SageMaker's names."""

MOST_LABELS = 100_000
LABEL_CHARACTERS = 1_000


@dataclass(frozen=True, slots=True)
class ModelId:
    """One version of one model; `str` and `parse` are inverse. Compared for equality only."""

    name: str
    version: int
    digest: str

    def __str__(self) -> str:
        return f"{self.name}:{self.version}:{self.digest}"

    @classmethod
    def parse(cls, text: str) -> "ModelId":
        """Raises ValueError naming the form that is expected."""
        match = re.fullmatch(
            rf"({NAME})" r":(0|[1-9][0-9]{0,8}):(sha256:[0-9a-f]{64})",
            text,
        )
        if match is None:
            raise ValueError(f"a model id looks like pets:7:sha256:<64 hex digits>, not {text!r}")
        return cls(match[1], int(match[2]), match[3])


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """From a decoded image to the network's input: resize the shorter side, crop, normalise."""

    resize: int
    crop: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bilinear"


Precision = Literal["int8", "bf16", "fp32"]
PRECISIONS = get_args(Precision)

Outcome = Literal["kept", "refused", "not judged"]
OUTCOMES = get_args(Outcome)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a precision changes against fp32, on photos that did not calibrate it."""

    precision: Precision
    outcome: Outcome
    photos: int
    losses: int
    """Photos that fp32 labels right and this precision wrong; `wins` the other way round."""
    wins: int
    p_value: float
    """Exact McNemar: how often luck alone makes losses and wins as unequal as these."""
    confident: int
    """Photos that fp32 gives a score of 0.5 or more; `agreed`: those labelled the same."""
    agreed: int


@dataclass(frozen=True, slots=True)
class Compiled:
    """The network once more, as OpenVINO reads it, in the precision that it is to run in."""

    precision: Precision
    files: Mapping[str, str]
    """Paths in the archive to their sha256."""
    verdicts: tuple[Verdict, ...] = ()

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> "Compiled":
        verdicts = tuple(Verdict(**verdict) for verdict in fields.pop("verdicts"))
        return cls(verdicts=verdicts, **fields)


@dataclass(frozen=True, slots=True)
class ModelCard:
    """`card.json`: everything about a model except its weights."""

    name: str
    architecture: str
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    weights_sha256: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    openvino: Compiled | None = None

    @property
    def digest(self) -> str:
        """Names weights, labels and preprocessing together: the same digest answers the same."""
        return f"sha256:{hashlib.sha256(self.to_json().encode()).hexdigest()}"

    def to_json(self) -> str:
        fields = asdict(self)
        if self.openvino is None:
            del fields["openvino"]
        return json.dumps(fields, sort_keys=True, ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "ModelCard":
        """Raises ValueError for what is not a card, whoever wrote it."""
        fields = parse_json(text)
        try:
            numbers = fields.pop("preprocessing")
            compiled = fields.pop("openvino", None)
            card = cls(
                openvino=None if compiled is None else Compiled.from_fields(compiled),
                labels=_listed(fields.pop("labels")),
                preprocessing=Preprocessing(
                    mean=_listed(numbers.pop("mean")), std=_listed(numbers.pop("std")), **numbers
                ),
                **fields,
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"fields are missing, unknown or of another type: {error}") from error
        _check(card)
        return card


def parse_json(text: str) -> Any:
    """A document of a stranger's. Raises ValueError, also for what Python takes beyond JSON.

    That is NaN and infinity, numbers that become infinite or lose digits, a name twice in one
    object, and what is nested deeper than Python's stack.
    """
    try:
        return json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_finite,
            parse_float=_finite,
            parse_int=_exact,
        )
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a name is there twice in one object")
    return fields


def _finite(text: str) -> float:
    if not math.isfinite(float(text)):
        raise ValueError(f"{text[:20]} is not a finite number")
    return float(text)


def _exact(text: str) -> int:
    if len(text) > 16:
        raise ValueError(f"a whole number has {len(text):,} digits")
    return int(text)


def _listed(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise TypeError("a list is expected")
    return tuple(value)


def _check(card: ModelCard) -> None:
    """Raises ValueError for a field that is of another type than it says, or out of bounds."""
    numbers, compiled = card.preprocessing, card.openvino
    is_right = {
        "name": _is_text(card.name, NAME),
        "architecture": _is_text(card.architecture, r"\w{1,60}"),
        "labels": 1 <= len(card.labels) <= MOST_LABELS
        and all(_is_text(label, rf"(?s).{{0,{LABEL_CHARACTERS}}}") for label in card.labels),
        "preprocessing": _is_count(numbers.resize)
        and _is_count(numbers.crop)
        and isinstance(numbers.interpolation, str)
        and all(map(_is_number, (*numbers.mean, *numbers.std))),
        "weights_sha256": _is_text(card.weights_sha256, "[0-9a-f]{64}"),
        "metrics": isinstance(card.metrics, dict) and all(map(_is_number, card.metrics.values())),
        "provenance": isinstance(card.provenance, dict)
        and all(isinstance(value, str) for value in card.provenance.values()),
        "openvino": compiled is None
        or (
            compiled.precision in PRECISIONS
            and isinstance(compiled.files, dict)
            and all(_is_text(digest, "[0-9a-f]{64}") for digest in compiled.files.values())
            and all(map(_is_verdict, compiled.verdicts))
        ),
    }
    wrong = [name for name, right in is_right.items() if not right]
    if wrong:
        raise ValueError(f"{', '.join(wrong)} cannot be what a model has")
    card.to_json().encode()  # half of a surrogate pair is a UnicodeEncodeError, a ValueError


def _is_verdict(verdict: Verdict) -> bool:
    counts = (verdict.photos, verdict.losses, verdict.wins, verdict.confident, verdict.agreed)
    return (
        verdict.precision in PRECISIONS
        and verdict.outcome in OUTCOMES
        and all(map(_is_count, counts))
        and _is_number(verdict.p_value)
    )


def _is_text(value: object, pattern: str) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


@dataclass(frozen=True, slots=True)
class ActiveModel:
    """`models/active.json`: the model that answers now, and the SageMaker resources that run it."""

    id: ModelId
    endpoint: str
    sagemaker_model: str
    activated_at: str

    def to_json(self) -> str:
        return json.dumps(asdict(self) | {"id": str(self.id)}, indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> "ActiveModel":
        fields: dict[str, Any] = json.loads(text)
        return cls(
            id=ModelId.parse(fields["id"]),
            endpoint=fields["endpoint"],
            sagemaker_model=fields["sagemaker_model"],
            activated_at=fields["activated_at"],
        )
