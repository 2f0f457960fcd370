"""A training job's rules: a process beside the training that reads its tensors, as on AWS."""

import asyncio
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from infra.local import processes
from infra.local.sagemaker.containers import transfers
from infra.local.sagemaker.containers.containers import Containers
from infra.local.sagemaker.containers.images import Image
from infra.local.sagemaker.core.store import Record
from infra.local.sagemaker.training.debugger_request import DebugPlan, status, stops
from infra.local.sagemaker.training.folder import TrainingFolder

LOOK_SECONDS = 0.5
FINISH_SECONDS = 60.0
"""For the rules to read what was saved last."""

END = "training_job_end.ts"
"""By this file smdebug knows that no more tensors come."""

ENDED = ("IssuesFound", "NoIssuesFound", "Error")


class RuleJobs:
    def __init__(
        self,
        name: str,
        plan: DebugPlan,
        image: Image,
        folder: TrainingFolder,
        containers: Containers,
        told: Callable[[Record], None],
        stop: Callable[[], None],
    ) -> None:
        """`told`: what Describe says from now on; `stop` ends the training."""
        self._plan = plan
        self._folder = folder
        self._containers = containers
        self._told = told
        self._stop = stop
        self._statuses: list[Record] = []
        self._child = self._start(name, image) if plan.rules and image.rules else None

    def _start(self, name: str, image: Image) -> processes.Child:
        self._asked.write_text(json.dumps(self._plan.rules))
        arguments = [str(self._folder.tensors), str(self._asked), str(self._answers)]
        env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": os.environ.get("HOME", str(self._folder.root)),
            **image.env,
        }
        log = self._containers.log(f"{name}-rules")
        return processes.start([*image.rules, *arguments], env, log, f"{name}-rules", image.cwd)

    async def follow(self) -> None:
        """Until cancelled."""
        while self._child is not None:
            await asyncio.sleep(LOOK_SECONDS)
            self._look()

    def let_go(self) -> None:
        """The server ends, and with it whatever was about to be said."""
        if self._child is not None:
            self._child.let_go(0)

    async def finish(self) -> None:
        """Training is over: the rules have the last word, and reports and tensors go to S3."""
        if self._child is not None:
            self._folder.tensors.mkdir(exist_ok=True)
            (self._folder.tensors / END).touch()
            await asyncio.wait({asyncio.wrap_future(self._child.exited)}, timeout=FINISH_SECONDS)
            self._child.let_go(0)
            await asyncio.wrap_future(self._child.exited)
            self._look()
        self._tell([self._last(rule) for rule in self._plan.rules])
        await asyncio.to_thread(self._upload)

    def _look(self) -> None:
        found = _read(self._answers)
        changed = [each for each in found if each not in self._statuses]
        self._statuses = found
        if changed:
            self._tell([self._now(rule) for rule in self._plan.rules])
        for rule in self._plan.rules:
            if stops(rule) and self._state(rule)[0] == "IssuesFound":
                self._stop()

    def _state(self, rule: Record) -> tuple[str, str]:
        for each in self._statuses:
            if each["RuleConfigurationName"] == rule["RuleConfigurationName"]:
                return each["RuleEvaluationStatus"], each.get("StatusDetails", "")
        return "InProgress", ""

    def _now(self, rule: Record) -> Record:
        return status(rule, *self._state(rule))

    def _last(self, rule: Record) -> Record:
        state, details = self._state(rule)
        if state in ENDED:
            return status(rule, state, details)
        why = "The rules ended without a word." if self._child else "The image has no `rules`."
        return status(rule, "Error", why)

    def _tell(self, statuses: Sequence[Record]) -> None:
        if statuses:
            self._told({"DebugRuleEvaluationStatuses": list(statuses)})

    def _upload(self) -> None:
        s3, told = self._containers.s3, []
        for rule in self._plan.profiler_rules:
            report = self._folder.data / "ProfilerReport"
            told.append(status(rule, *_profiled(report)))
            with suppress(ClientError, BotoCoreError):
                transfers.upload_changed(s3, report, self._plan.report_of(rule), {})
        if self._plan.tensors is not None:
            with suppress(ClientError, BotoCoreError):
                transfers.upload_changed(s3, self._folder.tensors, self._plan.tensors, {})
        if told:
            self._told({"ProfilerRuleEvaluationStatuses": told})

    @property
    def _asked(self) -> Path:
        return self._folder.root / "rules.json"

    @property
    def _answers(self) -> Path:
        return self._folder.root / "statuses.json"


def _read(path: Path) -> list[Record]:
    try:
        found: list[Record] = json.loads(path.read_text())
    except (OSError, ValueError):
        return []
    return found


def _profiled(report: Path) -> tuple[str, str]:
    """From the report that the container leaves."""
    try:
        found = json.loads((report / "profiler-output" / "profiler-report.json").read_text())
        issues = [each["rule"] for each in found["rules"] if each["state"] == "IssuesFound"]
        said = str(found["bottleneck"])
    except (OSError, ValueError, LookupError, TypeError):
        return "Error", "The container left no ProfilerReport/profiler-output."
    return ("IssuesFound", f"{', '.join(issues)}: {said}") if issues else ("NoIssuesFound", said)
