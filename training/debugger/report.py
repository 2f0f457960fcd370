"""The debug report: what each rule says, and the losses drawn.

HTML that needs no network, and JSON. It grows with the rules and the looks: some hundreds at most.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from training.config import hook_config
from training.reports import page, plots
from training.reports.plots import Points

ISSUE, NO_ISSUE, ERROR = "IssuesFound", "NoIssuesFound", "Error"
"""SageMaker's words."""

NOT_APPLICABLE = "NotApplicable"
"""Ours: SageMaker says NoIssuesFound of a rule that had nothing to look at."""

WORDS = {
    ISSUE: ("issue found", "#c0392b"),
    NO_ISSUE: ("no issue", "#1f7a4d"),
    ERROR: ("the rule broke", "#b8860b"),
    NOT_APPLICABLE: ("not applicable", "#8a8f98"),
}


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


def write(folder: Path, summary: DebugSummary) -> None:
    """debug.html and debug.json"""
    folder.mkdir(parents=True, exist_ok=True)
    content = report_json(summary)
    (folder / "debug.json").write_text(json.dumps(content, indent=1, ensure_ascii=False))
    (folder / "debug.html").write_text(_html(content))


def report_json(summary: DebugSummary) -> dict[str, Any]:
    """debug.json"""
    nothing = tuple(RuleResult(rule, NOT_APPLICABLE, summary.why) for rule in hook_config.RULES)
    verdicts = [asdict(verdict) for verdict in summary.verdicts or nothing]
    return asdict(summary) | {"verdicts": sorted(verdicts, key=_worst_first)}


def _worst_first(verdict: Mapping[str, Any]) -> int:
    return [ISSUE, ERROR, NO_ISSUE, NOT_APPLICABLE].index(verdict["state"])


def _html(content: dict[str, Any]) -> str:
    return page.document(
        "Debug report",
        [
            _headline(content),
            page.section("Rules", "".join(map(_rule, content["verdicts"]))),
            page.section(
                "Loss",
                plots.lines(content["losses"], "loss", "step"),
                "Train: single batches, while the network learns, and the mean of each epoch's. "
                "Validation and test: all of their images, after an epoch.",
            ),
            page.section(
                "Gradients",
                plots.lines(content["gradients"], "mean |gradient|", "step", logarithmic=True),
                "Of all layers that learn.",
            ),
            page.section("What was saved", _saved(content)),
        ],
    )


def _headline(content: dict[str, Any]) -> str:
    issues = [verdict["rule"] for verdict in content["verdicts"] if verdict["state"] == ISSUE]
    state = {
        "on": f"Issues found: {', '.join(issues)}." if issues else "No issue was found.",
        "off": f"Nothing was watched. {content['why']}",
        "failed": "The debugger broke, and training went on without it. What it had seen until "
        f"then is below. {content['why']}",
    }[content["state"]]
    return f'<div class="reading">{escape(state)}</div>'


def _rule(verdict: dict[str, Any]) -> str:
    words, colour = WORDS[verdict["state"]]
    when = f" after step {verdict['step']}" if verdict["step"] is not None else ""
    advice = f"<br><i>{escape(verdict['advice'])}</i>" if verdict["advice"] else ""
    return (
        f'<p><b>{escape(verdict["rule"])}</b> <span style="color:{colour}">{words}{when}</span>'
        f"<br>{escape(verdict['sentence'])}{advice}</p>"
    )


def _saved(content: dict[str, Any]) -> str:
    rows = [
        ["looks", str(content["looks"])],
        ["collections", ", ".join(content["collections"])],
        ["on disk", f"{content['bytes'] / 1e3:,.0f} kB"],
        ["configuration", content["why"]],
    ]
    return page.table((), rows) if content["looks"] else ""
