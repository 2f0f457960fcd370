"""The folders of a training job: where SageMaker puts them, or as the environment says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from domain import timestamps


@dataclass(frozen=True, slots=True)
class ContainerPaths:
    config: Path
    """hyperparameters.json, inputdataconfig.json, resourceconfig.json"""
    channels: Path
    """One folder per channel."""
    model: Path
    output: Path
    """`data/` is uploaded beside the model; `failure` becomes the job's FailureReason."""
    checkpoints: Path
    """SageMaker copies it to S3 and restores it when the job restarts."""
    job: str = field(default="", kw_only=True)
    """The training job's name; empty where no job runs."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "ContainerPaths":
        """SM_* as in SageMaker's training toolkit, SM_CHECKPOINT_DIR, and TRAINING_JOB_NAME, which
        SageMaker sets in every container of a training job.
        """
        input_folder = Path(environ.get("SM_INPUT_DIR", "/opt/ml/input"))
        return cls(
            config=Path(environ.get("SM_INPUT_CONFIG_DIR", input_folder / "config")),
            channels=input_folder / "data",
            model=Path(environ.get("SM_MODEL_DIR", "/opt/ml/model")),
            output=Path(environ.get("SM_OUTPUT_DIR", "/opt/ml/output")),
            checkpoints=Path(environ.get("SM_CHECKPOINT_DIR", "/opt/ml/checkpoints")),
            job=environ.get("TRAINING_JOB_NAME", ""),
        )

    @property
    def reports(self) -> Path:
        return self.output / "data"

    def origin(self) -> str:
        """The line of a report that says which job wrote it, and when."""
        written = f"written {timestamps.to_text(datetime.now(UTC))}"
        return f"Job {self.job}, {written}." if self.job else f"{written.capitalize()}."

    @property
    def failure(self) -> Path:
        return self.output / "failure"

    def write_failure(self, reason: str) -> None:
        """The first failure is the cause; processes that fail after it do not overwrite it."""
        self.output.mkdir(parents=True, exist_ok=True)
        if not self.failure.exists():
            self.failure.write_text(reason)
