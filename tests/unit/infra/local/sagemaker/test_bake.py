"""What an update waits for, and what undoes it."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from infra.local.sagemaker.containers.containers import ContainerFailed
from infra.local.sagemaker.core.roles import Roles
from infra.local.sagemaker.hosting.bake import Bake


class Alarms:
    """CloudWatch, with one alarm; the last of its states stays."""

    def __init__(self, *states: str) -> None:
        self.states = list(states)

    def alarms(self) -> "Alarms":
        return self

    def describe_alarms(self, AlarmNames: Sequence[str]) -> dict[str, Any]:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return {"MetricAlarms": [{"AlarmName": "errors", "StateValue": state}]}


def watch(bake: Bake, *states: str) -> None:
    asyncio.run(bake.watch(cast("Roles", Alarms(*states))))


@pytest.mark.parametrize("state", ["OK", "INSUFFICIENT_DATA"])
def test_an_update_stays_where_its_alarm_is_quiet(state: str) -> None:
    watch(Bake(["errors"], 0), state)


@pytest.mark.parametrize("states", [("ALARM",), ("OK", "ALARM")])
def test_an_update_is_undone_when_its_alarm_rings(states: tuple[str, ...]) -> None:
    with pytest.raises(ContainerFailed, match=r"rolled back: in ALARM .*: errors"):
        watch(Bake(["errors"], 5), *states)


def test_an_alarm_that_does_not_exist_watches_nothing() -> None:
    with pytest.raises(ContainerFailed, match="There is no alarm another"):
        watch(Bake(["errors", "another"], 0), "OK")


def test_minutes_on_aws_are_at_most_so_long_here() -> None:
    routing = {"TrafficRoutingConfiguration": {"WaitIntervalInSeconds": 300}}
    update = {
        "DeploymentConfig": {
            "BlueGreenUpdatePolicy": routing,
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]},
        }
    }
    assert Bake.of(update, 1.5) == Bake(["errors"], 1.5)
    assert Bake.of({}, 1.5) == Bake([], 0)
