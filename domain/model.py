"""Models: the model card inside `model.tar.gz`, model ids, and the pointer to the active model."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

NAME = "[a-z0-9][a-z0-9-]{0,39}"
"""The pattern of a model's name, which is part of S3 keys and of names in SageMaker."""

MOST_LABELS = 100_000
LABEL_CHARACTERS = 1_000

MOST_FEATURES = 16_384
"""Of a network's head; the largest of torchvision's classifiers has 7,392."""

MOST_NEIGHBOURS = 10_000
"""Training images whose features an archive holds."""

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.1, 10.0


@dataclass(frozen=True, slots=True)
class ModelId:
    """One version of one model; `str` and `parse` are inverse. Ids have no order."""

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
    """How a decoded image becomes the network's input.

    Resize the shorter side to `resize` pixels, crop the centre `crop` x `crop`, scale to [0, 1],
    subtract `mean` and divide by `std` (RGB).
    """

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
    """Comparison of a precision with fp32, on images that were not used to calibrate it."""

    precision: Precision
    outcome: Outcome
    photos: int
    losses: int
    """Images that fp32 labels correctly and this precision does not; `wins`: the reverse."""
    wins: int
    p_value: float
    """Of the exact McNemar test on losses and wins."""
    confident: int
    """Images with an fp32 score of at least 0.5; `agreed`: those with the same label in both."""
    agreed: int


@dataclass(frozen=True, slots=True)
class Compiled:
    """The network in OpenVINO's format, in the precision that serves."""

    precision: Precision
    files: Mapping[str, str]
    """Paths in the archive, with the SHA-256 of each file."""
    verdicts: tuple[Verdict, ...] = ()

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> "Compiled":
        verdicts = tuple(Verdict(**verdict) for verdict in fields.pop("verdicts"))
        return cls(verdicts=verdicts, **fields)


Decision = Literal["accepted", "unsure", "unknown"]

DECISIONS = get_args(Decision)

SCORE_DIGITS = 6
"""To which scores are rounded before anybody compares them."""


def read_decision(value: object) -> Decision | None:
    """Of a reply or a result. Raises ValueError for anything else."""
    if value is None or value in DECISIONS:
        return value  # type: ignore[return-value]
    raise ValueError(f"a decision is one of {', '.join(DECISIONS)}, not {value!r}")


@dataclass(frozen=True, slots=True)
class Promise:
    """At most `max_error` of the accepted answers are wrong, with a confidence of 95 %.

    An answer is accepted if its best score is above `threshold`, both rounded to SCORE_DIGITS.
    Holds for images like the validation images that chose the threshold.
    """

    max_error: float
    threshold: float
    accepted: int
    """Validation images above the threshold; `wrong`: those of them with a wrong label."""
    wrong: int
    images: int

    def decide(self, score: float) -> Decision:
        return "accepted" if round(score, SCORE_DIGITS) > self.threshold else "unsure"


@dataclass(frozen=True, slots=True)
class UnknownRule:
    """At most `share` of images like those of validation are called unknown.

    An image is unknown if the fifth nearest of the archive's training images, by the cosine
    distance of their features, is farther than `threshold`, both rounded to SCORE_DIGITS.
    """

    share: float
    threshold: float
    unknown: int
    """Validation images beyond the threshold, of `images`."""
    images: int
    neighbours: int
    """Training images in the archive, with `features` numbers each."""
    features: int
    sha256: str
    """Of the file with these numbers."""

    def is_unknown(self, distance: float) -> bool:
        """NaN, which features that are no numbers have, is near to nothing."""
        return not round(distance, SCORE_DIGITS) <= self.threshold


@dataclass(frozen=True, slots=True)
class ModelCard:
    """`card.json`: everything about a model except its weights.

    `labels` is in the order of the network's outputs; `metrics` and `provenance` are informative.
    """

    name: str
    architecture: str
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    weights_sha256: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    openvino: Compiled | None = None
    temperature: float | None = None
    """What every engine divides the logits by; None: scores are as the network gives them."""
    promise: Promise | None = None
    """None: no answer is accepted or unsure."""
    unknown: UnknownRule | None = None
    """None: no answer is unknown."""

    def decide(self, score: float, distance: float | None) -> Decision | None:
        """About an image, by its best score and the distance that the card's rule is about."""
        if self.unknown and distance is not None and self.unknown.is_unknown(distance):
            return "unknown"
        return self.promise.decide(score) if self.promise else None

    @property
    def precision(self) -> Precision:
        """In which it serves; PyTorch serves in fp32."""
        return self.openvino.precision if self.openvino else "fp32"

    @property
    def digest(self) -> str:
        """SHA-256 of the card, which includes that of the weights: equal digests give equal
        answers."""
        return f"sha256:{hashlib.sha256(self.to_json().encode()).hexdigest()}"

    def to_json(self) -> str:
        fields = asdict(self)
        for name in ("openvino", "temperature", "promise", "unknown"):
            if fields[name] is None:
                del fields[name]
        return json.dumps(fields, sort_keys=True, ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "ModelCard":
        """Parse an untrusted card. Raises ValueError if a field is missing, unknown or invalid."""
        fields = parse_json(text)
        try:
            numbers = fields.pop("preprocessing")
            compiled, promise = fields.pop("openvino", None), fields.pop("promise", None)
            unknown = fields.pop("unknown", None)
            card = cls(
                openvino=None if compiled is None else Compiled.from_fields(compiled),
                promise=None if promise is None else Promise(**promise),
                unknown=None if unknown is None else UnknownRule(**unknown),
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
    """Parse an untrusted JSON document strictly. Raises ValueError.

    Python's parser is more permissive than JSON. This one rejects NaN and infinity, numbers that
    overflow or lose digits, duplicate names in an object, and nesting beyond Python's stack.
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
    """Raises ValueError for a field whose value is of the wrong type or out of bounds."""
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
        "temperature": card.temperature is None
        or (
            _is_number(card.temperature)
            and LOWEST_TEMPERATURE <= card.temperature <= HIGHEST_TEMPERATURE
        ),
        "promise": card.promise is None or _is_promise(card.promise),
        "unknown": card.unknown is None or _is_unknown_rule(card.unknown),
    }
    wrong = [name for name, right in is_right.items() if not right]
    if wrong:
        raise ValueError(f"{', '.join(wrong)} cannot be what a model has")
    card.to_json().encode()  # raises UnicodeEncodeError, a ValueError, for a lone surrogate


def _is_promise(promise: Promise) -> bool:
    return (
        all(map(_is_number, (promise.max_error, promise.threshold)))
        and 0 < promise.max_error < 1
        and 0 <= promise.threshold <= 1
        and all(map(_is_count, (promise.accepted, promise.wrong, promise.images)))
    )


def _is_unknown_rule(rule: UnknownRule) -> bool:
    return (
        all(map(_is_number, (rule.share, rule.threshold)))
        and 0 < rule.share < 1
        and 0 <= rule.threshold <= 2
        and all(map(_is_count, (rule.unknown, rule.images, rule.neighbours, rule.features)))
        and 1 <= rule.neighbours <= MOST_NEIGHBOURS
        and 1 <= rule.features <= MOST_FEATURES
        and _is_text(rule.sha256, "[0-9a-f]{64}")
    )


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


EndpointMode = Literal["instance", "serverless", "none"]
ENDPOINT_MODES = get_args(EndpointMode)
"""How single images are answered: by an endpoint on an instance of its own, by a serverless
endpoint, or by transform jobs, in a stage without an endpoint."""


@dataclass(frozen=True, slots=True)
class ActiveModel:
    """`models/active.json`: the active model and the SageMaker resources that run it.

    `endpoint` is None if and only if `mode` is none. `sagemaker_model`: of transform jobs.
    """

    id: ModelId
    endpoint: str | None
    sagemaker_model: str
    activated_at: str
    mode: EndpointMode = "instance"

    def to_json(self) -> str:
        fields = asdict(self) | {"id": str(self.id)}
        if self.mode == "instance":
            del fields["mode"]
        return json.dumps(fields, indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> "ActiveModel":
        """Raises ValueError or KeyError. Pointers of earlier releases name no mode."""
        fields: dict[str, Any] = json.loads(text)
        model, mode = ModelId.parse(fields["id"]), fields.get("mode", "instance")
        endpoint: str | None = fields["endpoint"]
        if mode not in ENDPOINT_MODES or (endpoint is None) != (mode == "none"):
            raise ValueError(f"no stage answers by the endpoint {endpoint!r} in mode {mode!r}")
        return cls(
            id=model,
            endpoint=endpoint,
            sagemaker_model=fields["sagemaker_model"],
            activated_at=fields["activated_at"],
            mode=mode,
        )
