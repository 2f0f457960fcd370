"""Write verify.json and verify.html, to attach to an issue: requested, expected and observed."""

import json
import platform
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3

from domain import timestamps
from domain.version import VERSION
from infra.diagnostics.cost import Prices
from infra.verify import estimate
from infra.verify.redaction import Redaction
from infra.verify.step import Step, StepResult
from pages.render import render

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Report:
    """`place` is where it ran: the AWS region, or the local cloud, which costs nothing."""

    place: str
    is_billed: bool
    instance_type: str
    steps: Sequence[Step]
    results: Sequence[StepResult]
    clean_up: Sequence[StepResult]
    operations: Collection[str] = ()
    """The AWS operations that were called, from which the needed permissions follow."""

    @property
    def has_passed(self) -> bool:
        return all(result.state == "passed" for result in (*self.results, *self.clean_up))

    def document(self, prices: Prices) -> dict[str, Any]:
        rows: list[dict[str, Any]] = [
            {
                "name": step.name,
                "state": result.state,
                "requested": step.requested,
                "expected": step.expected,
                "observed": result.observed,
                "seconds": round(result.seconds, 1),
                "cost": self._cost(prices, step, result),
            }
            for step, result in zip(self.steps, self.results, strict=True)
        ]
        return {
            "schema": SCHEMA,
            "result": "passed" if self.has_passed else "failed",
            "place": self.place,
            "written_at": timestamps.to_text(datetime.now(UTC)),
            "versions": {
                "sortbox": VERSION,
                "python": platform.python_version(),
                "boto3": boto3.__version__,
            },
            "currency": prices.currency,
            "seconds": round(sum(result.seconds for result in self.results), 1),
            "cost": round(sum(row["cost"] for row in rows), 2),
            "steps": rows,
            "clean_up": [
                {"name": result.name, "state": result.state, "observed": result.observed}
                for result in self.clean_up
            ],
            "operations": sorted(self.operations),
        }

    def _cost(self, prices: Prices, step: Step, result: StepResult) -> float:
        if not self.is_billed:
            return 0.0
        minutes = result.seconds / 60
        return round(estimate.cost(prices, step.usage, self.instance_type, minutes), 3)


def write(report: Report, prices: Prices, redaction: Redaction, folder: Path) -> tuple[Path, ...]:
    """Write the two files, redacted; returns their paths."""
    document = redaction.document(report.document(prices))
    folder.mkdir(parents=True, exist_ok=True)
    page, data = folder / "verify.html", folder / "verify.json"
    page.write_text(render("runs/verify.html.jinja", title="Acceptance run", report=document))
    data.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return page, data
