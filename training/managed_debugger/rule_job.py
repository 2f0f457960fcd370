"""The rules as a process of their own, on tensors that another saves: what AWS calls a rule job.

`python -m training.managed_debugger.rule_job TENSORS RULES STATUSES`: a folder that smdebug writes,
a file with DebugRuleConfigurations, and the file that gets their DebugRuleEvaluationStatuses as
they change. It ends when training has ended and everything was looked at.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.debugger.evaluator import Asked, Jury, asked_for
from training.debugger.report import ERROR, NO_ISSUE, NOT_APPLICABLE, Verdict

LOOK_SECONDS = 0.5
END = "training_job_end.ts"

Statuses = list[Mapping[str, str]]


def evaluate(tensors: Path, configurations: Sequence[Mapping[str, Any]], statuses: Path) -> None:
    asked = asked_for(configurations)
    jury = Jury(tensors, [each for each in asked if isinstance(each, Asked)])
    ended, heard, since = False, jury.heard, time.monotonic()
    while not ended:
        ended = (tensors / END).exists()  # before the look: then the look sees everything
        jury.hear()
        if jury.heard != heard:
            heard, since = jury.heard, time.monotonic()
        elif heard >= 0 and not ended:  # before the first step there is much to prepare
            jury.wait(time.monotonic() - since, jury.made)
        _write(statuses, _told(configurations, asked, jury, ended))
        time.sleep(0 if ended else LOOK_SECONDS)


def _told(
    configurations: Sequence[Mapping[str, Any]],
    asked: Sequence[Asked | str],
    jury: Jury,
    ended: bool,
) -> Statuses:
    heard = iter(jury.verdicts())
    verdicts = [next(heard) if isinstance(each, Asked) else _unknown(each) for each in asked]
    return [
        {
            "RuleConfigurationName": each["RuleConfigurationName"],
            "RuleEvaluationStatus": _state(verdict, ended),
            "StatusDetails": _details(verdict, ended),
        }
        for each, verdict in zip(configurations, verdicts, strict=True)
    ]


def _state(verdict: Verdict, ended: bool) -> str:
    """SageMaker has no word for what is not applicable."""
    if verdict.state in (NO_ISSUE, NOT_APPLICABLE):
        return NO_ISSUE if ended else "InProgress"
    return verdict.state


def _details(verdict: Verdict, ended: bool) -> str:
    if verdict.state == NOT_APPLICABLE:
        return f"Not applicable: {verdict.sentence}" if ended else ""
    return verdict.sentence if verdict.state != NO_ISSUE else ""


def _unknown(name: str) -> Verdict:
    return Verdict(name, ERROR, f"There is no rule {name} here.")


def _write(path: Path, statuses: Statuses) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(statuses))
    part.replace(path)


if __name__ == "__main__":
    folder, rules, answers = map(Path, sys.argv[1:])
    evaluate(folder, json.loads(rules.read_text()), answers)
