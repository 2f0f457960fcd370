"""The stack that holds the data: closed to the world, kept when the rest goes."""

from typing import Any

from batch.context import Limits
from domain.keys import (
    ACTIVE_MODEL,
    CLAIMS,
    CORRECTIONS,
    RECLASSIFIED,
    RUNS,
    archive_key,
    evaluation_key,
)
from domain.model import ModelId
from functions.messages import Changed, parse_inbox
from tests.support.builders.packaged import STORAGE, of_type, storage
from tests.support.worlds.uploads import notification

TEMPLATE = storage()
(BUCKET,) = of_type(TEMPLATE, "AWS::S3::Bucket").values()


def test_the_bucket_is_versioned_encrypted_and_closed() -> None:
    assert BUCKET["VersioningConfiguration"] == {"Status": "Enabled"}
    (rule,) = BUCKET["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert set(BUCKET["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(BUCKET["PublicAccessBlockConfiguration"]) == 4


def test_the_bucket_answers_over_tls_only() -> None:
    (policy,) = of_type(TEMPLATE, "AWS::S3::BucketPolicy").values()
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Principal"] == "*"
    assert statement["Action"] == "s3:*"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(statement["Resource"]) == 2, "the bucket and its objects"


def test_only_the_inbox_notifies_so_that_nothing_we_write_triggers_us() -> None:
    notified = BUCKET["NotificationConfiguration"]["QueueConfigurations"]
    assert {each["Event"] for each in notified} == {
        "s3:ObjectCreated:*",
        "s3:ObjectRemoved:*",
        "s3:LifecycleExpiration:*",
        "s3:ObjectRestore:Completed",
    }, "S3 does not count what a lifecycle rule removes as removed"
    for each in notified:
        (rule,) = each["Filter"]["S3Key"]["Rules"]
        assert rule == {"Name": "prefix", "Value": "inbox/"}
        assert each["Queue"] == {"Fn::GetAtt": ["InboxQueue", "Arn"]}


def test_what_the_bucket_tells_of_is_what_the_door_understands() -> None:
    """Each event that S3 documents for what is subscribed to; any other is a dead letter."""
    sent = {
        "s3:ObjectCreated:*": ("Put", "Post", "Copy", "CompleteMultipartUpload"),
        "s3:ObjectRemoved:*": ("Delete", "DeleteMarkerCreated"),
        "s3:LifecycleExpiration:*": ("Delete", "DeleteMarkerCreated"),
        "s3:ObjectRestore:Completed": ("Completed",),
    }
    for each in BUCKET["NotificationConfiguration"]["QueueConfigurations"]:
        kind = each["Event"].split(":")[1]
        for name in sent[each["Event"]]:
            (read,) = parse_inbox(notification("inbox/a b.jpg", f"{kind}:{name}"))
            assert read == (
                Changed("inbox/a b.jpg", removed=False, restored=True)
                if kind == "ObjectRestore"
                else Changed(
                    "inbox/a b.jpg",
                    removed=kind != "ObjectCreated",
                    expired=kind == "LifecycleExpiration",
                )
            )


def test_images_expire_only_where_days_are_given() -> None:
    def rule(days: str) -> Any:
        (bucket,) = of_type(storage(keep_days=days), "AWS::S3::Bucket").values()
        rules = bucket["LifecycleConfiguration"]["Rules"]
        return next(each for each in rules if each["Id"] == "images-are-kept-for-some-days")

    assert rule("0")["Status"] == "Disabled"
    assert (rule("90")["Status"], rule("90")["ExpirationInDays"]) == ("Enabled", "90")
    assert rule("90")["Prefix"] == "inbox/", "answers, models and training data stay"


def test_only_our_bucket_in_our_account_may_send_to_the_inbox_queue() -> None:
    (policy,) = of_type(TEMPLATE, "AWS::SQS::QueuePolicy").values()
    (statement,) = policy["PolicyDocument"]["Statement"]
    condition = statement["Condition"]
    assert condition["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    name = BUCKET["BucketName"]["Fn::Sub"]
    arn = {"Fn::Sub": f"arn:${{AWS::Partition}}:s3:::{name}"}
    assert condition["ArnEquals"] == {"aws:SourceArn": arn}


def test_what_we_no_longer_need_expires() -> None:
    rules = {rule.get("Prefix"): rule for rule in BUCKET["LifecycleConfiguration"]["Rules"]}
    assert all(rule["Status"] == "Enabled" for rule in rules.values())
    assert _days(rules["work/"]) == (None, 1)
    assert _days(rules["work/runs/"]) == (60, None)
    assert _days(rules["work/renewed/"]) == (60, None)
    assert _days(rules["work/leases/"]) == (1, None)
    assert _days(rules["work/tickets/"]) == (1, None)
    assert _days(rules["work/beats/"]) == (14, None)
    assert _days(rules["work/timeouts/"]) == (14, None)
    assert _days(rules["work/notices/"]) == (60, None)
    assert _days(rules["outbox/"]) == (None, 30)
    assert _days(rules["inbox/"]) == (None, 30), "only what was deleted or replaced"
    everywhere = rules[None]
    assert everywhere["ExpiredObjectDeleteMarker"] is True
    assert everywhere["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert _days(rules["training/checkpoints/"]) == (14, 1)
    scratch = ("runs", "renewed", "leases", "tickets", "beats", "timeouts", "notices")
    work = {"work/", *(f"work/{each}/" for each in scratch)}
    expiring = {*work, "inbox/", "outbox/", "deploy/", "training/checkpoints/", None}
    assert set(rules) == expiring, "nothing a person put there, and no claim"


def test_no_run_outlives_its_claim_or_its_files() -> None:
    """Rules count from an object's own date: a run's first files are as old as the run."""
    rules = BUCKET["LifecycleConfiguration"]["Rules"]
    kept = {
        rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule
    }
    assert not [prefix for prefix in kept if CLAIMS.startswith(prefix)], "a run is forgotten"
    margin = 14  # days for the clock to come to it, and for its end, however large it is
    assert kept[RUNS] >= Limits().oldest_run_days + margin
    assert kept[RECLASSIFIED] >= Limits().oldest_run_days + margin


def test_what_a_rollback_goes_back_to_never_expires() -> None:
    """The versions of the pointer are its history; the archives are what it names."""
    model = ModelId("pets", 1, f"sha256:{7:064x}")
    for rule in BUCKET["LifecycleConfiguration"]["Rules"]:
        if _days(rule) != (None, None):
            for key in (ACTIVE_MODEL, archive_key(model), evaluation_key(model)):
                assert not key.startswith(rule.get("Prefix", "")), rule["Id"]


def test_what_people_corrected_never_expires() -> None:
    for rule in BUCKET["LifecycleConfiguration"]["Rules"]:
        if _days(rule) != (None, None):
            assert not CORRECTIONS.startswith(rule.get("Prefix", "")), rule["Id"]


def _days(rule: dict[str, Any]) -> tuple[int | None, int | None]:
    noncurrent = rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays")
    return rule.get("ExpirationInDays"), noncurrent


def test_what_holds_data_is_kept_when_its_stack_goes() -> None:
    for name, resource in TEMPLATE["Resources"].items():
        assert resource["DeletionPolicy"] == "RetainExceptOnCreate", name
        assert resource["UpdateReplacePolicy"] == "Retain", name


def test_cloudformation_reads_no_yaml_aliases() -> None:
    lines = STORAGE.read_text().splitlines()
    assert not [line for line in lines if ": &" in line or ": *" in line or "<<:" in line]
