"""The alarm that undoes an endpoint's update."""

import boto3


class Alarm:
    """The alarm that undoes an update, in the emulated CloudWatch."""

    def __init__(self, aws: str, name: str) -> None:
        self._name = name
        session = boto3.Session("test", "test", region_name="us-east-1")
        self._cloudwatch = session.client("cloudwatch", endpoint_url=aws)
        self._cloudwatch.put_metric_alarm(
            AlarmName=self._name,
            MetricName="Invocation5XXErrors",
            Namespace="AWS/SageMaker",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=5,
            ComparisonOperator="GreaterThanThreshold",
        )

    def becomes(self, state: str) -> None:
        self._cloudwatch.set_alarm_state(AlarmName=self._name, StateValue=state, StateReason="test")

    def delete(self) -> None:
        self._cloudwatch.delete_alarms(AlarmNames=[self._name])
