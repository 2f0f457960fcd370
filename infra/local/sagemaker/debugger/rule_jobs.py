"""Rule jobs: a process beside the training that evaluates rules on its tensors, as on AWS."""

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
from infra.local.sagemaker.containers.images import ContainerImage
from infra.local.sagemaker.core.store import Record
from infra.local.sagemaker.debugger.request import DebuggerRequest, status, stops_training
from infra.local.sagemaker.training.folder import TrainingFolder

POLL_SECONDS = 0.5
FINISH_SECONDS = 60.0
"""The time for the rules to read the last tensors after training has ended."""

END_FILE = "training_job_end.ts"
"""smdebug's mark that no more tensors follow."""

FINAL_STATES = ("IssuesFound", "NoIssuesFound", "Error")


class RuleJobs:
    def __init__(
        self,
        request: DebuggerRequest,
        image: ContainerImage,
        folder: TrainingFolder,
        containers: Containers,
        update_job: Callable[[Record], None],
        stop_training: Callable[[], None],
    ) -> None:
        """`update_job` sets members of the job's record."""
        self._request = request
        self._folder = folder
        self._containers = containers
        self._update_job = update_job
        self._stop_training = stop_training
        self._statuses: list[Record] = []
        self._child = self._start(image) if request.rules and image.rules else None

    def _start(self, image: ContainerImage) -> processes.Child:
        name = f"{self._request.job}-rules"
        self._rules_file.write_text(json.dumps(self._request.rules))
        arguments = [self._folder.tensors, self._rules_file, self._statuses_file]
        env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": os.environ.get("HOME", str(self._folder.root)),
            **image.env,
        }
        log = self._containers.log(name)
        return processes.start([*image.rules, *map(str, arguments)], env, log, name, image.cwd)

    async def follow(self) -> None:
        """Report changed statuses until cancelled."""
        while self._child is not None:
            await asyncio.sleep(POLL_SECONDS)
            self._poll()

    def terminate(self) -> None:
        """Kill the process without waiting for a last status: the server is stopping."""
        if self._child is not None:
            self._child.terminate(0)

    async def finish(self) -> None:
        """Wait for the final statuses once training has ended; upload reports and tensors."""
        if self._child is not None:
            self._folder.tensors.mkdir(exist_ok=True)
            (self._folder.tensors / END_FILE).touch()
            await asyncio.wait({asyncio.wrap_future(self._child.exited)}, timeout=FINISH_SECONDS)
            self._child.terminate(0)
            await asyncio.wrap_future(self._child.exited)
            self._poll()
        self._report([self._final_status(rule) for rule in self._request.rules])
        await asyncio.to_thread(self._upload)

    def _poll(self) -> None:
        statuses = _read_statuses(self._statuses_file)
        changed = [status for status in statuses if status not in self._statuses]
        self._statuses = statuses
        if changed:
            self._report([status(rule, *self._state(rule)) for rule in self._request.rules])
        for rule in self._request.rules:
            if stops_training(rule) and self._state(rule)[0] == "IssuesFound":
                self._stop_training()

    def _state(self, rule: Record) -> tuple[str, str]:
        for current in self._statuses:
            if current["RuleConfigurationName"] == rule["RuleConfigurationName"]:
                return current["RuleEvaluationStatus"], current.get("StatusDetails", "")
        return "InProgress", ""

    def _final_status(self, rule: Record) -> Record:
        state, details = self._state(rule)
        if state in FINAL_STATES:
            return status(rule, state, details)
        reason = (
            "The rule process exited without a status."
            if self._child
            else "The image has no `rules`."
        )
        return status(rule, "Error", reason)

    def _report(self, statuses: Sequence[Record]) -> None:
        if statuses:
            self._update_job({"DebugRuleEvaluationStatuses": list(statuses)})

    def _upload(self) -> None:
        s3, statuses = self._containers.roles.s3(self._request.role), []
        for rule in self._request.profiler_rules:
            report = self._folder.data / "ProfilerReport"
            statuses.append(status(rule, *_profiler_state(report)))
            with suppress(ClientError, BotoCoreError):
                transfers.upload_changed(s3, report, self._request.report_of(rule), {})
        if self._request.tensors is not None:
            with suppress(ClientError, BotoCoreError):
                transfers.upload_changed(s3, self._folder.tensors, self._request.tensors, {})
        if statuses:
            self._update_job({"ProfilerRuleEvaluationStatuses": statuses})

    @property
    def _rules_file(self) -> Path:
        return self._folder.root / "rules.json"

    @property
    def _statuses_file(self) -> Path:
        return self._folder.root / "statuses.json"


def _read_statuses(path: Path) -> list[Record]:
    try:
        statuses: list[Record] = json.loads(path.read_text())
    except (OSError, ValueError):
        return []
    return statuses


def _profiler_state(folder: Path) -> tuple[str, str]:
    """The status and details from the report that the container wrote."""
    try:
        report = json.loads((folder / "profiler-output" / "profiler-report.json").read_text())
        issues = [rule["rule"] for rule in report["rules"] if rule["state"] == "IssuesFound"]
        bottleneck = str(report["bottleneck"])
    except (OSError, ValueError, LookupError, TypeError):
        return "Error", "The container left no ProfilerReport/profiler-output."
    if issues:
        return "IssuesFound", f"{', '.join(issues)}: {bottleneck}"
    return "NoIssuesFound", bottleneck
