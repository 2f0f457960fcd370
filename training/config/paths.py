"""The folders a training job is given, where SageMaker puts them unless told otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Places:
    config: Path
    """hyperparameters.json, inputdataconfig.json, resourceconfig.json"""
    channels: Path
    """One folder a channel."""
    model: Path
    output: Path
    """`data/` is uploaded beside the model; `failure` becomes the job's FailureReason."""
    checkpoints: Path
    """SageMaker keeps it in S3 and restores it when the job is started again."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Places":
        """SM_* by the names of SageMaker's training toolkit; SM_CHECKPOINT_DIR is ours."""
        given = Path(environ.get("SM_INPUT_DIR", "/opt/ml/input"))
        return cls(
            config=Path(environ.get("SM_INPUT_CONFIG_DIR", given / "config")),
            channels=given / "data",
            model=Path(environ.get("SM_MODEL_DIR", "/opt/ml/model")),
            output=Path(environ.get("SM_OUTPUT_DIR", "/opt/ml/output")),
            checkpoints=Path(environ.get("SM_CHECKPOINT_DIR", "/opt/ml/checkpoints")),
        )

    @property
    def reports(self) -> Path:
        return self.output / "data"

    @property
    def failure(self) -> Path:
        return self.output / "failure"

    def fail(self, why: str) -> None:
        """The first to fail says why; what misses it afterwards does not overwrite that."""
        self.output.mkdir(parents=True, exist_ok=True)
        if not self.failure.exists():
            self.failure.write_text(why)
