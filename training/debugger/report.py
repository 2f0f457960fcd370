"""The debug report: what each rule says, and the losses drawn.

HTML that needs no network, and JSON. It grows with the rules and the looks: some hundreds at most.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pages import charts
from pages.charts import Points
from pages.render import render
from training.config import hook_config

ISSUE, NO_ISSUE, ERROR = "IssuesFound", "NoIssuesFound", "Error"
"""SageMaker's words."""

NOT_APPLICABLE = "NotApplicable"
"""Ours: SageMaker says NoIssuesFound of a rule that had nothing to look at."""

STATES = {
    ISSUE: ("issue found", "bad"),
    NO_ISSUE: ("no issue", "good"),
    ERROR: ("the rule broke", "alarm"),
    NOT_APPLICABLE: ("not applicable", "quiet"),
}
"""What a page says of a state, and in which style."""


@dataclass(frozen=True, slots=True)
class RuleResult:
    rule: str
    state: str
    sentence: str
    step: int | None = None
    """Training steps made when it was found."""
    tensors: tuple[str, ...] = ()
    advice: str = ""


@dataclass(frozen=True, slots=True)
class DebugSummary:
    """A run as the debugger saw it."""

    state: str
    """on, off or failed"""
    why: str
    collections: tuple[str, ...] = ()
    verdicts: tuple[RuleResult, ...] = ()
    losses: Mapping[str, Points] = field(default_factory=dict)
    """By split: (training step, loss)"""
    gradients: Mapping[str, Points] = field(default_factory=dict)
    looks: int = 0
    bytes: int = 0


def write(folder: Path, summary: DebugSummary, origin: str) -> None:
    """debug.html and debug.json. `origin`: which job wrote it, and when."""
    folder.mkdir(parents=True, exist_ok=True)
    content = report_json(summary)
    (folder / "debug.json").write_text(json.dumps(content, indent=1, ensure_ascii=False))
    (folder / "debug.html").write_text(_html(content, origin))


def report_json(summary: DebugSummary) -> dict[str, Any]:
    """debug.json"""
    nothing = tuple(RuleResult(rule, NOT_APPLICABLE, summary.why) for rule in hook_config.RULES)
    verdicts = [asdict(verdict) for verdict in summary.verdicts or nothing]
    return asdict(summary) | {"verdicts": sorted(verdicts, key=_worst_first)}


def _worst_first(verdict: Mapping[str, Any]) -> int:
    return [ISSUE, ERROR, NO_ISSUE, NOT_APPLICABLE].index(verdict["state"])


def _html(content: dict[str, Any], origin: str) -> str:
    gradients = charts.lines(content["gradients"], "mean |gradient|", "step", logarithmic=True)
    return render(
        "training/debug.html.jinja",
        title="Debug report",
        origin=origin,
        content=content,
        headline=_headline(content),
        states=STATES,
        losses=charts.lines(content["losses"], "loss", "step"),
        gradients=gradients,
    )


def _headline(content: dict[str, Any]) -> str:
    issues = [verdict["rule"] for verdict in content["verdicts"] if verdict["state"] == ISSUE]
    return {
        "on": f"Issues found: {', '.join(issues)}." if issues else "No issue was found.",
        "off": f"Nothing was watched. {content['why']}",
        "failed": "The debugger broke, and training went on without it. What it had seen until "
        f"then is below. {content['why']}",
    }[content["state"]]
