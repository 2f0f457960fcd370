"""The bake time after an update, during which alarms decide whether it is rolled back.

"If any of your alarms trip during the entire deployment, SageMaker … starts a rollback to the blue
fleet" (docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html), which
also says that the execution role needs cloudwatch:DescribeAlarms. The FailureReason after a
rollback is not documented, nor is the effect of an alarm that rings before the update; here it
causes a rollback too.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.sagemaker.containers.containers import ContainerFailed
from infra.local.sagemaker.core.operations import Request
from infra.local.sagemaker.core.resources import ACCOUNT
from infra.local.sagemaker.core.roles import Need, Roles

POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Bake:
    alarms: Sequence[str]
    seconds: float

    @classmethod
    def of(cls, update: Request, longest: float) -> "Bake":
        """From UpdateEndpoint's DeploymentConfig. `longest` limits the bake time, to avoid waiting
        minutes.
        """
        deployment = update.get("DeploymentConfig", {})
        alarms = deployment.get("AutoRollbackConfiguration", {}).get("Alarms", [])
        routing = deployment.get("BlueGreenUpdatePolicy", {}).get("TrafficRoutingConfiguration", {})
        seconds = min(float(routing.get("WaitIntervalInSeconds", 0)), longest)
        return cls([alarm["AlarmName"] for alarm in alarms], seconds)

    def check(self, roles: Roles, role: str) -> None:
        """Raises RoleLacks if the execution role may not describe the alarms."""
        for name in self.alarms:
            arn = f"arn:aws:cloudwatch:{roles.region}:{ACCOUNT}:alarm:{name}"
            roles.check(role, Need("cloudwatch:DescribeAlarms", arn))

    async def watch(self, roles: Roles) -> None:
        """Wait for the bake time. Raises ContainerFailed when an alarm rings."""
        end = time.monotonic() + self.seconds
        while self.alarms:
            ringing = await asyncio.to_thread(self._ringing, roles)
            if ringing:
                raise ContainerFailed(
                    "The update was rolled back: in ALARM during the deployment: "
                    f"{', '.join(ringing)}."
                )
            if time.monotonic() > end:
                return
            await asyncio.sleep(POLL_SECONDS)

    def _ringing(self, roles: Roles) -> list[str]:
        """The alarms in ALARM. Raises ContainerFailed if they cannot be read, or one does not
        exist.
        """
        try:
            answer = roles.alarms().describe_alarms(AlarmNames=list(self.alarms))
        except (ClientError, BotoCoreError) as error:
            raise ContainerFailed(f"Could not describe the alarms: {error}") from error
        states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in answer["MetricAlarms"]}
        missing = sorted(set(self.alarms) - set(states))
        if missing:
            raise ContainerFailed(f"There is no alarm {', '.join(missing)}.")
        return sorted(name for name, state in states.items() if state == "ALARM")
