"""Training jobs and searches by their names: created once, stopped, listed and described."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.support.fakes.aws import error


@dataclass
class FakeJobs:
    """SageMaker, as far as jobs have names and states."""

    training: dict[str, str] = field(default_factory=dict)
    searches: dict[str, str] = field(default_factory=dict)
    meanwhile: Callable[[], None] = lambda: None
    """Called before a job is created: what another command does at that moment."""
    _listed: str = ""

    def create(self, name: str) -> None:
        """A training job, as the SDK asks for it."""
        self.meanwhile()
        if name in self.training:
            raise error("CreateTrainingJob", 400, "ResourceInUse")
        self.training[name] = "InProgress"

    def get_paginator(self, operation: str) -> "FakeJobs":
        self._listed = operation
        return self

    def paginate(self, NameContains: str) -> Iterator[dict[str, Any]]:
        """A page a job, and an empty one: pages are cut before they are filtered."""
        kind = "TrainingJob" if self._listed == "list_training_jobs" else "HyperParameterTuningJob"
        jobs = self.training if kind == "TrainingJob" else self.searches
        yield {f"{kind}Summaries": []}
        for name, status in jobs.items():
            if NameContains in name:
                yield {f"{kind}Summaries": [{f"{kind}Name": name, f"{kind}Status": status}]}

    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:
        if TrainingJobName not in self.training:
            raise error("DescribeTrainingJob", 400, "ResourceNotFound")
        return {"TrainingJobStatus": self.training[TrainingJobName]}

    def describe_hyper_parameter_tuning_job(
        self, HyperParameterTuningJobName: str
    ) -> dict[str, Any]:
        if HyperParameterTuningJobName not in self.searches:
            raise error("DescribeHyperParameterTuningJob", 400, "ResourceNotFound")
        return {"HyperParameterTuningJobStatus": self.searches[HyperParameterTuningJobName]}

    def stop_training_job(self, TrainingJobName: str) -> None:
        self.training[TrainingJobName] = "Stopping"

    def stop_hyper_parameter_tuning_job(self, HyperParameterTuningJobName: str) -> None:
        self.searches[HyperParameterTuningJobName] = "Stopping"
