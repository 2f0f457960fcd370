"""Steps about the active model after a promotion: rollback, and alarms that do not ring."""

import re

from infra.models.rollback import roll_back
from infra.shipped import REPOSITORY
from infra.verify import answer_steps
from infra.verify.step import Site, Step, StepFailed, Usage

ALARMS = REPOSITORY / "infra" / "stacks" / "alarms.yml"


def rollback_step() -> Step:
    return Step(
        name="rollback",
        requested="rollback: the model that was active before the promotion",
        expected="the bundled model is active, and answers the single image again",
        usage=Usage(minutes=11, most_minutes=60, machines=2),
        act=rollback,
        needs=("promote", "single"),
    )


def alarms_step() -> Step:
    return Step(
        name="alarms",
        requested="DescribeAlarms",
        expected="every alarm of the stage exists, and none rings",
        usage=Usage(minutes=0.1, most_minutes=2, machines=1),
        act=alarms,
        needs=("deploy",),
    )


def rollback(site: Site) -> str:
    active = roll_back(site.stage, site.client("s3"), site.client("sagemaker"), None)
    observed = answer_steps.single(site)
    return f"{active.id} is active; {observed}"


def alarms(site: Site) -> str:
    pages = site.client("cloudwatch").get_paginator("describe_alarms")
    states = {
        alarm["AlarmName"].removeprefix(site.stage.prefix): alarm["StateValue"]
        for page in pages.paginate(AlarmNamePrefix=site.stage.prefix)
        for alarm in page["MetricAlarms"]
    }
    absent = sorted(alarm_names() - states.keys())
    if absent:
        raise StepFailed(f"the stage lacks the alarms {', '.join(absent)}: deploy it again.")
    ringing = sorted(name for name, state in states.items() if state == "ALARM")
    if ringing:
        raise StepFailed(
            f"{', '.join(ringing)} ring: `aws cloudwatch describe-alarms` has their reasons, "
            "docs/how-to/alarms.md says what to do."
        )
    return f"{len(states)} alarms, none of them rings"


def alarm_names() -> set[str]:
    """The names of the template's alarms, without the stage's prefix."""
    return set(re.findall(r"AlarmName: sortbox-\$\{sls:stage\}-(\S+)", ALARMS.read_text()))
