"""python -m tests.stand_in.rules TENSORS RULES STATUSES: finds what each rule's parameters say.

`{"found": "IssuesFound"}`: at once; all others find nothing, once training has ended.
"""

import json
import sys
import time
from pathlib import Path


def main(tensors: Path, rules: Path, statuses: Path) -> None:
    asked = json.loads(rules.read_text())
    ended = False
    while not ended:
        ended = (tensors / "training_job_end.ts").exists()
        states = [each.get("RuleParameters", {}).get("found") for each in asked]
        told = [
            {
                "RuleConfigurationName": each["RuleConfigurationName"],
                "RuleEvaluationStatus": state or ("NoIssuesFound" if ended else "InProgress"),
                "StatusDetails": "told to" if state else "",
            }
            for each, state in zip(asked, states, strict=True)
        ]
        part = statuses.with_suffix(".part")
        part.write_text(json.dumps(told))
        part.replace(statuses)
        time.sleep(0.05)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
