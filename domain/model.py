"""Models: what travels inside `model.tar.gz`, how one is named, and which one is active."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


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
        found = re.fullmatch(
            r"([a-z0-9][a-z0-9-]{0,39}):(0|[1-9][0-9]{0,8}):(sha256:[0-9a-f]{64})", text
        )
        if found is None:
            raise ValueError(f"a model id looks like pets:7:sha256:<64 hex digits>, not {text!r}")
        return cls(found[1], int(found[2]), found[3])


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """From a decoded image to the network's input: resize the shorter side, crop, normalise."""

    resize: int
    crop: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bilinear"


Precision = Literal["int8", "bf16", "fp32"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a precision changes against fp32, on photos that did not calibrate it."""

    precision: Precision
    outcome: Literal["kept", "refused", "not judged"]
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
        """Raises ValueError, TypeError or KeyError for what is not a card."""
        fields: dict[str, Any] = json.loads(text)
        numbers = fields.pop("preprocessing")
        compiled = fields.pop("openvino", None)
        return cls(
            openvino=None if compiled is None else Compiled.from_fields(compiled),
            labels=tuple(fields.pop("labels")),
            preprocessing=Preprocessing(
                mean=tuple(numbers.pop("mean")), std=tuple(numbers.pop("std")), **numbers
            ),
            **fields,
        )


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
