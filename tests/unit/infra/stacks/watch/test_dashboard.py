"""The dashboard shows what is sent: an unknown metric is an empty graph, and no error."""

import ast
import json
from collections.abc import Iterator
from typing import Any

from domain.model import EndpointMode
from domain.result import Classified, Rejected
from functions.runtime import metrics as sent
from infra.models.endpoint import VARIANT
from infra.shipped import REPOSITORY
from infra.stage import Stage
from tests.support.builders.packaged import of_type, packaged, storage

STAGE = "local"
"""The stage whose parameters ask for the dashboard."""

PLACE = {"AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "111122223333"}
FREE_METRICS = 50
"""Of a dashboard in CloudWatch's free tier, which has three of them."""

OF_AWS = {
    ("AWS/SQS", "QueueName"): {
        *("ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible"),
        *("ApproximateNumberOfMessagesDelayed", "ApproximateAgeOfOldestMessage"),
        *("NumberOfMessagesSent", "NumberOfMessagesReceived", "NumberOfMessagesDeleted"),
    },
    ("AWS/Lambda", "FunctionName"): {
        *("Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions"),
    },
    ("AWS/SageMaker", "EndpointName", "VariantName"): {
        *("Invocations", "InvocationsPerInstance", "Invocation4XXErrors", "Invocation5XXErrors"),
        *("ModelLatency", "OverheadLatency"),
    },
    ("/aws/sagemaker/Endpoints", "EndpointName", "VariantName"): {
        *("CPUUtilization", "MemoryUtilization", "DiskUtilization"),
    },
}
"""AWS's metrics by namespace and names of dimensions, as the services' documentation lists them."""


def body(mode: EndpointMode = "instance") -> dict[str, Any]:
    """DashboardBody as CloudWatch gets it."""
    template = packaged(STAGE, mode=mode)
    (dashboard,) = of_type(template, "AWS::CloudWatch::Dashboard").values()
    text = dashboard["DashboardBody"]["Fn::Sub"]
    for name, value in PLACE.items():
        text = text.replace(f"${{{name}}}", value)
    assert "${" not in text, "nothing is left to substitute"
    made: dict[str, Any] = json.loads(text)
    return made


def widgets(kind: str, mode: EndpointMode = "instance") -> list[dict[str, Any]]:
    return [widget["properties"] for widget in body(mode)["widgets"] if widget["type"] == kind]


def metrics(mode: EndpointMode = "instance") -> Iterator[tuple[str, str, dict[str, str]]]:
    """Namespace, name and dimensions of each."""
    for widget in widgets("metric", mode):
        for metric in widget["metrics"]:
            namespace, name, *rest = [part for part in metric if isinstance(part, str)]
            yield namespace, name, dict(zip(rest[::2], rest[1::2], strict=True))


def counted() -> set[str]:
    """The names of metrics in the functions' sources: of `count(…)` and `add_metric(name=…)`."""
    names = {Classified.__name__, Rejected.__name__}  # count(type(result).__name__)
    for path in (REPOSITORY / "functions").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            match call:
                case ast.Call(ast.Name("count"), [name, *_]):
                    names |= _texts(name)
                case ast.Call(ast.Attribute(ast.Name("metrics"), "add_metric"), keywords=words):
                    (name,) = (word.value for word in words if word.arg == "name")
                    names |= _texts(name)
    return names


def _texts(node: ast.expr) -> set[str]:
    constants = (part for part in ast.walk(node) if isinstance(part, ast.Constant))
    return {part.value for part in constants if isinstance(part.value, str)}


def resources() -> set[tuple[tuple[str, str], ...]]:
    """The values of dimensions that name something of this stage."""
    stage, template = Stage(STAGE), packaged(STAGE)
    queues = {each["QueueName"] for each in of_type(template, "AWS::SQS::Queue").values()}
    kept = of_type(storage(), "AWS::SQS::Queue").values()
    queues |= {each["QueueName"]["Fn::Sub"].replace("${Stage}", STAGE) for each in kept}
    functions = of_type(template, "AWS::Lambda::Function").values()
    return {
        *((("QueueName", name),) for name in queues),
        *((("FunctionName", each["FunctionName"]),) for each in functions),
        (("EndpointName", stage.endpoint), ("VariantName", VARIANT)),
        (("service", str(sent.service)), ("stage", STAGE)),
    }


def test_each_metric_is_sent_under_its_dimensions_by_something_that_exists() -> None:
    known = OF_AWS | {(str(sent.namespace), "service", "stage"): counted()}
    existing, unknown = resources(), []
    for namespace, name, dimensions in metrics():
        of_kind = known.get((namespace, *dimensions), set())
        if name not in of_kind or tuple(dimensions.items()) not in existing:
            unknown.append(f"{namespace} {name} {dimensions}")
    assert not unknown, "CloudWatch draws an empty graph for a metric that nobody sends"


def test_graphs_and_alarm_are_of_the_endpoint_of_the_stages_mode() -> None:
    name = Stage(STAGE).endpoint_names["serverless"]
    drawn = {dimensions.get("EndpointName", name) for _, _, dimensions in metrics("serverless")}
    assert drawn == {name}, "the other endpoint is deleted, and its graphs are empty"
    alarms = of_type(packaged(STAGE, mode="serverless"), "AWS::CloudWatch::Alarm").values()
    watched = [each["Dimensions"] for each in alarms if each.get("Namespace") == "AWS/SageMaker"]
    assert [dimensions[0]["Value"] for dimensions in watched] == [name]


def test_a_metric_that_nobody_counts_would_be_noticed() -> None:
    assert {"Classified", "Retried", "LongestRunWait", "ArchiveRejected"} <= counted()
    assert not counted() & {"Rejections", "type", "name", ""}


def test_every_alarm_is_on_it() -> None:
    (shown,) = widgets("alarm")
    alarms = of_type(packaged(STAGE), "AWS::CloudWatch::Alarm").values()
    prefix = "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:"
    assert sorted(shown["alarms"]) == sorted(prefix + alarm["AlarmName"] for alarm in alarms), (
        "an alarm that the page of graphs leaves out looks like one that does not ring"
    )


def test_it_stays_within_the_free_tier() -> None:
    asked = {(namespace, name, *dimensions.items()) for namespace, name, dimensions in metrics()}
    assert len(asked) <= FREE_METRICS, "a dashboard with more metrics is billed from the first on"


def test_widgets_fit_on_the_grid_and_lie_beside_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for widget in body()["widgets"]:
        columns = range(widget["x"], widget["x"] + widget["width"])
        assert columns.stop <= 24, "CloudWatch's grid has 24 columns"
        cells = {(x, widget["y"] + row) for x in columns for row in range(widget["height"])}
        assert not cells & taken, "one widget would push the other down"
        taken |= cells
    for properties in widgets("metric"):
        assert properties.keys() == {"title", "region", "stat", "period", "metrics"}


def test_its_name_has_the_region_because_dashboards_are_the_accounts() -> None:
    (dashboard,) = of_type(packaged(STAGE), "AWS::CloudWatch::Dashboard").values()
    assert dashboard["DashboardName"] == {"Fn::Sub": f"sortbox-{STAGE}-${{AWS::Region}}"}, (
        "stages of one name in two regions would write over each other's dashboard"
    )


def test_a_stage_in_aws_has_none_unless_it_is_asked_for() -> None:
    assert not of_type(packaged("dev"), "AWS::CloudWatch::Dashboard"), (
        "beyond the account's first three each is $3 a month, which nobody has agreed to"
    )
