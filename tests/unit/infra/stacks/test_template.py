"""What is deployed, read off the packaged template: the queues, the events, the alarms."""

import json
from typing import Any

import pytest

from aws.event_bus import SOURCE
from batch.claim import Run
from batch.closing import Closing
from batch.context import Limits
from batch.reports import notice, training_notice
from batch.reports.folder_report import Counts
from functions.messages import Reclassify, parse_folder
from functions.on_folder import REPEAT_STEP_SECONDS
from functions.settings import OnFolder, OnPage, OnSchedule, OnUpload, variables
from infra.shipped import REPOSITORY
from infra.stacks.deploy import expired_answers
from infra.stacks.stage_parameters import params
from tests.support.builders.packaged import Template, of_type, packaged, storage
from tests.support.worlds.folders import World

STAGES = ["dev", "prod", "local"]
NOTICES = {"Ref": "NoticeTopic"}
TWO_WEEKS = 14 * 24 * 3600
SETTINGS = {"onUpload": OnUpload, "onFolder": OnFolder, "onPage": OnPage, "onSchedule": OnSchedule}
TIMEOUTS = {"onUpload": 60, "onFolder": 400, "onPage": 300, "onSchedule": 60}


@pytest.fixture(params=STAGES)
def template(request: pytest.FixtureRequest) -> Template:
    return packaged(request.param)


def functions(template: Template) -> dict[str, Template]:
    found = of_type(template, "AWS::Lambda::Function").values()
    return {properties["FunctionName"].split("-")[-1]: properties for properties in found}


def queues(template: Template) -> dict[str, Template]:
    """Both stacks' queues by the last part of their names."""
    ours = of_type(template, "AWS::SQS::Queue").values()
    return {
        "inbox": of_type(storage(), "AWS::SQS::Queue")["InboxQueue"],
        "inbox-dead": of_type(storage(), "AWS::SQS::Queue")["InboxDeadLetters"],
        "backlog": of_type(storage(), "AWS::SQS::Queue")["BacklogQueue"],
        "backlog-dead": of_type(storage(), "AWS::SQS::Queue")["BacklogDeadLetters"],
        **{queue["QueueName"].split("-", 2)[-1]: queue for queue in ours},
    }


def test_each_function_gets_the_settings_it_reads_and_no_others(template: Template) -> None:
    for name, function in functions(template).items():
        given = set(function["Environment"]["Variables"])
        powertools = {variable for variable in given if variable.startswith("POWERTOOLS_")}
        assert given - powertools == variables(SETTINGS[name]), name
        assert "POWERTOOLS_SERVICE_NAME" in powertools


def test_a_message_stays_hidden_for_six_times_the_time_its_function_has(
    template: Template,
) -> None:
    assert {name: each["Timeout"] for name, each in functions(template).items()} == TIMEOUTS
    takes = {"inbox": "onUpload", "backlog": "onUpload", "folder": "onFolder", "page": "onPage"}
    for queue, function in takes.items():
        assert queues(template)[queue]["VisibilityTimeout"] == 6 * TIMEOUTS[function]


def test_what_times_out_at_every_receive_is_in_the_dead_letters_before_it_is_forgotten(
    template: Template,
) -> None:
    for name in ("inbox", "folder", "page"):
        queue = queues(template)[name]
        receives = queue["RedrivePolicy"]["maxReceiveCount"]
        assert receives * queue["VisibilityTimeout"] < queue["MessageRetentionPeriod"], name


def test_a_step_of_a_folder_ends_before_its_function_does(template: Template) -> None:
    """A thumbnail may take the endpoint's time-out more, a walk's last looks and pages some.

    A second step is begun within the margin, or not at all.
    """
    bounds, margin = Limits(), 60 + REPEAT_STEP_SECONDS
    planning = bounds.planning_seconds + bounds.walk_seconds
    reporting = bounds.report_seconds + bounds.pictures_seconds
    assert max(planning, reporting) + margin < functions(template)["onFolder"]["Timeout"]


def test_each_queue_tries_five_hundred_times_and_keeps_what_failed_for_two_weeks(
    template: Template,
) -> None:
    found = queues(template)
    names = ("inbox", "backlog", "folder", "page")
    assert set(found) == {f"{q}{d}" for q in names for d in ("", "-dead")} | {"job-event-dead"}
    for name, queue in found.items():
        assert queue["MessageRetentionPeriod"] == TWO_WEEKS, name
        assert queue["SqsManagedSseEnabled"] is True, name
        if not name.endswith("-dead"):
            assert queue["RedrivePolicy"]["maxReceiveCount"] == 500, name


def test_a_batch_reports_its_failures_one_by_one_and_its_concurrency_is_bounded(
    template: Template,
) -> None:
    mappings = of_type(template, "AWS::Lambda::EventSourceMapping").values()
    assert len(mappings) == 4
    for mapping in mappings:
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert 2 <= mapping["ScalingConfig"]["MaximumConcurrency"] <= 10
    assert sorted(mapping["BatchSize"] for mapping in mappings) == [1, 1, 10, 10]


def test_a_stages_functions_fit_into_a_new_account(template: Template) -> None:
    """Which runs 10 at once; a throttled message stays invisible for up to 40 minutes."""
    mappings = of_type(template, "AWS::Lambda::EventSourceMapping").values()
    on_schedule = 1
    together = sum(mapping["ScalingConfig"]["MaximumConcurrency"] for mapping in mappings)
    assert together + on_schedule <= 10


def test_lambda_does_not_cut_off_a_folder_that_is_fed_all_the_time(template: Template) -> None:
    """Its recursion detection counts a lineage of messages, about 16 long; the two send in turn."""
    allowed = {
        name: found.get("RecursiveLoop", "Terminate")
        for name, found in of_type(template, "AWS::Lambda::Function").items()
    }
    assert allowed == {
        "OnUploadLambdaFunction": "Terminate",
        "OnFolderLambdaFunction": "Allow",
        "OnPageLambdaFunction": "Allow",
        "OnScheduleLambdaFunction": "Terminate",
    }


def test_the_end_of_a_job_of_this_stage_reaches_the_folder_queue() -> None:
    template = packaged("dev")
    rule = of_type(template, "AWS::Events::Rule")["JobEnded"]
    assert rule["EventPattern"] == {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Transform Job State Change"],
        "detail": {
            "TransformJobName": [{"prefix": "sortbox-dev-"}],
            "TransformJobStatus": ["Completed", "Failed", "Stopped"],
        },
    }
    (target,) = rule["Targets"]
    assert target["Arn"] == {"Fn::GetAtt": ["FolderQueue", "Arn"]}
    assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["JobEventDeadLetters", "Arn"]}}


def test_schedules_send_to_the_folder_queue_what_it_can_read() -> None:
    template = packaged("dev")
    schedules = of_type(template, "AWS::Scheduler::Schedule")
    told = {name: each["Target"] for name, each in schedules.items()}
    assert {name: parse_folder(target["Input"], "dev") for name, target in told.items()} == {
        "Reclassify": Reclassify("", "renewal"),
        "Unanswered": Reclassify("", "unanswered"),
    }
    for target in told.values():
        assert target["Arn"] == {"Fn::GetAtt": ["FolderQueue", "Arn"]}
        assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["FolderDeadLetters", "Arn"]}}
    assert schedules["Reclassify"]["State"] == "DISABLED"
    assert schedules["Reclassify"]["ScheduleExpressionTimezone"] == "UTC"


def test_trainings_of_this_stage_that_ended_reach_the_folder_queue() -> None:
    rule = of_type(packaged("dev"), "AWS::Events::Rule")["TrainingEnded"]
    assert rule["EventPattern"] == {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Training Job State Change"],
        "detail": {
            "TrainingJobName": [{"prefix": "sortbox-dev-"}],
            "TrainingJobStatus": list(training_notice.STATES),
        },
    }
    (target,) = rule["Targets"]
    assert target["Arn"] == {"Fn::GetAtt": ["FolderQueue", "Arn"]}
    assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["JobEventDeadLetters", "Arn"]}}


def test_only_our_rule_may_send_to_the_folder_queue() -> None:
    (policy,) = of_type(packaged("dev"), "AWS::SQS::QueuePolicy").values()
    (statement,) = policy["PolicyDocument"]["Statement"]
    sources = [{"Fn::GetAtt": [rule, "Arn"]} for rule in ("JobEnded", "TrainingEnded")]
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": sources}}
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}


def test_a_rule_takes_the_notices_of_its_stage_and_hands_their_sentence_to_the_topic() -> None:
    rule = of_type(packaged("dev"), "AWS::Events::Rule")["RunEnded"]
    assert rule["EventPattern"] == {
        "source": [SOURCE],
        "detail-type": [notice.DETAIL_TYPE, training_notice.DETAIL_TYPE],
        "detail": {"stage": ["dev"]},
    }
    (target,) = rule["Targets"]
    assert target == {"Id": "notice-topic", "Arn": NOTICES, "InputPath": "$.detail.message"}, (
        "a template puts a value between quotes as it is: a folder's name may have quotes itself"
    )
    run = Run("trip/", "0" * 10, "2026-01-01T00:00:00Z", first=True)
    told: Any = {"detail": notice.detail(World().cloud, run, Closing(2), Counts())}
    for name in target["InputPath"].removeprefix("$.").split("."):
        told = told[name]
    assert isinstance(told, str)


def test_eventbridge_may_send_to_the_topic_of_notices() -> None:
    """docs.aws.amazon.com, EventBridge, "Amazon SNS permissions": a statement without a condition.

    Conditions are not supported in such a topic policy, and what is sent would be dropped.
    """
    (policy,) = of_type(packaged("dev"), "AWS::SNS::TopicPolicy").values()
    [statement] = _statements(policy, "events.amazonaws.com")
    assert policy["Topics"] == [NOTICES]
    assert {name: each for name, each in statement.items() if name != "Sid"} == {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": NOTICES,
    }


def _statements(policy: Any, service: str) -> list[Any]:
    every = policy["PolicyDocument"]["Statement"]
    return [each for each in every if each["Principal"] == {"Service": service}]


def test_no_stage_has_a_budget_unless_one_is_given() -> None:
    assert of_type(packaged("dev"), "AWS::Budgets::Budget") == {}
    assert "BudgetDollars" not in packaged("dev")["Outputs"]


def test_a_budget_counts_the_stages_tag_and_tells_the_topic_at_three_thresholds() -> None:
    """The form of the tag is that of AWS's guide: `user:`, its key, a dollar sign, its value."""
    template = packaged("dev", budget="120")
    (budget,) = of_type(template, "AWS::Budgets::Budget").values()
    data = budget["Budget"]
    [tag] = data["CostFilters"]["TagKeyValue"]
    separator, parts = tag["Fn::Join"]
    assert separator.join(parts) == "user:stage$dev"
    assert data["BudgetLimit"] == {"Amount": "120", "Unit": "USD"}
    assert (data["BudgetType"], data["TimeUnit"]) == ("COST", "MONTHLY")
    notifications = budget["NotificationsWithSubscribers"]
    assert [each["Notification"]["Threshold"] for each in notifications] == [50, 80, 100]
    for each in notifications:
        assert each["Subscribers"] == [{"SubscriptionType": "SNS", "Address": NOTICES}], (
            "another subscriber replaces the budget, which has a name and cannot be replaced"
        )
    assert template["Outputs"]["BudgetDollars"]["Value"] == "120"


def test_a_deployment_that_does_not_name_them_keeps_the_answers_of_expired_images() -> None:
    outputs = packaged("dev")["Outputs"]
    deployed = {name: output["Value"] for name, output in outputs.items()}
    assert deployed["expiredAnswers"] == "remove"
    written = params(REPOSITORY / "serverless.yml", "dev")
    assert expired_answers({}, written, {}) == "remove"
    assert expired_answers({}, written, deployed) == "remove"
    kept = deployed | {"expiredAnswers": "keep"}
    assert expired_answers({}, written, kept) == "keep", "the next reclassification deletes them"
    assert expired_answers({"expiredAnswers": "remove"}, written, kept) == "remove"
    assert expired_answers({}, written | {"expiredAnswers": "keep"}, {}) == "keep"


def test_budgets_of_this_account_may_send_to_the_topic() -> None:
    """docs.aws.amazon.com, Cost Management, "Creating an Amazon SNS topic for budget
    notifications": with both conditions.
    """
    (policy,) = of_type(packaged("dev"), "AWS::SNS::TopicPolicy").values()
    [statement] = _statements(policy, "budgets.amazonaws.com")
    assert statement["Action"] == "sns:Publish"
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
        "ArnLike": {
            "aws:SourceArn": {"Fn::Sub": "arn:${AWS::Partition}:budgets::${AWS::AccountId}:*"}
        },
    }


def test_an_address_is_subscribed_to_notices_where_one_is_given() -> None:
    assert of_type(packaged("dev"), "AWS::SNS::Subscription") == {}
    told = of_type(packaged("dev", "none", "anna@shop.example"), "AWS::SNS::Subscription")
    (subscription,) = told.values()
    assert subscription == {
        "TopicArn": NOTICES,
        "Protocol": "email",
        "Endpoint": "anna@shop.example",
    }


def test_every_dead_letter_queue_and_every_function_has_an_alarm_that_tells_somebody() -> None:
    template = packaged("dev")
    alarms = of_type(template, "AWS::CloudWatch::Alarm").values()
    assert all(alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}] for alarm in alarms)
    watched = [(alarm["MetricName"], alarm["AlarmName"]) for alarm in alarms]
    for name in queues(template):
        metric = "NumberOfMessagesVisible" if name.endswith("-dead") else "AgeOfOldestMessage"
        alarm = f"{name.removesuffix('-dead')}-{'dead-letters' if '-dead' in name else 'age'}"
        assert (f"Approximate{metric}", f"sortbox-dev-{alarm}") in watched
    for name in functions(template):
        assert ("Errors", f"sortbox-dev-{name}-errors") in watched
    assert ("RunFailed", "sortbox-dev-run-failed") in watched
    assert ("ManyFlipped", "sortbox-dev-many-flipped") in watched
    assert ("LongestRunWait", "sortbox-dev-runs-wait") in watched
    assert ("Retried", "sortbox-dev-retried") in watched
    assert ("NoCapacity", "sortbox-dev-no-capacity") in watched
    assert ("NoticeLost", "sortbox-dev-notice-lost") in watched


def test_an_alarm_says_how_often_its_dead_letters_failed() -> None:
    told = {
        alarm["AlarmName"]: alarm["AlarmDescription"]
        for template in (packaged("dev"),)
        for alarm in of_type(template, "AWS::CloudWatch::Alarm").values()
    }
    deployed = (packaged("dev"), storage())
    redrives = [
        properties["RedrivePolicy"]["maxReceiveCount"]
        for template in deployed
        for properties in of_type(template, "AWS::SQS::Queue").values()
        if "RedrivePolicy" in properties
    ]
    (times,) = set(redrives)
    for queue in ("inbox", "backlog", "folder", "page"):
        assert f"failed {times} times" in told[f"sortbox-dev-{queue}-dead-letters"]


def test_a_stage_in_aws_knows_nothing_of_a_local_one() -> None:
    for stage in ("dev", "prod"):
        assert "local" not in json.dumps(packaged(stage)).lower()


def test_stages_differ_by_their_name_alone_where_no_parameter_says_more() -> None:
    assert _unnamed("dev") == _unnamed("prod")


def _unnamed(stage: str) -> Any:
    """The template without the stage's name, the time of packaging and the hash of both."""
    text = json.dumps(packaged(stage))
    for spelling in (stage, stage.capitalize()):
        text = text.replace(spelling, "STAGE")
    template = json.loads(text)
    for function in of_type(template, "AWS::Lambda::Function").values():
        del function["Code"]
    return template


def test_what_is_paid_for_carries_its_stage() -> None:
    for function in functions(packaged("prod")).values():
        tags = {tag["Key"]: tag["Value"] for tag in function["Tags"]}
        assert tags == {"app": "sortbox", "stage": "prod"}
