"""Endpoints change with no call lost, and come back when their container dies."""

import threading

from infra.local import processes
from tests.contract.local_sagemaker.support.cloud import Cloud, refused
from tests.contract.local_sagemaker.support.patience import until
from tests.stand_in.answers import label_of


def test_an_update_loses_no_call(cloud: Cloud) -> None:
    before = cloud.model(SORTBOX_CONTAINER="before", STAND_IN_DELAY_MS="20")
    after = cloud.model(SORTBOX_CONTAINER="after", STAND_IN_DELAY_MS="20")
    endpoint = cloud.endpoint(before)
    cloud.settled(endpoint)
    seen: list[str] = []
    updated = threading.Event()

    def invoke() -> None:
        """Raises at the first call that fails; ten more calls follow the update."""
        left = 10
        while left:
            left -= updated.is_set()
            body = cloud.runtime.invoke_endpoint(EndpointName=endpoint, Body=b"x")["Body"].read()
            seen.append("after" if b'"after"' in body else "before")

    callers = [threading.Thread(target=invoke) for _ in range(4)]
    for caller in callers:
        caller.start()
    until(lambda: len(seen) > 8)
    cloud.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=cloud.config(after))
    cloud.settled(endpoint)
    updated.set()
    for caller in callers:
        caller.join()
    assert seen[0] == "before"
    assert seen[-1] == "after"


def test_a_failed_update_leaves_the_old_variant_answering(cloud: Cloud) -> None:
    endpoint = cloud.serving()
    old = cloud.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    cloud.sagemaker.update_endpoint(
        EndpointName=endpoint, EndpointConfigName=cloud.config(cloud.model(STAND_IN_EXIT="1"))
    )
    settled = cloud.settled(endpoint)
    assert settled["EndpointStatus"] == "InService"
    assert settled["EndpointConfigName"] == old
    assert "exited with status 1" in settled["FailureReason"]
    assert cloud.label(endpoint, b"x") == label_of(b"x")


def test_a_container_that_dies_is_restarted_and_calls_meanwhile_are_model_errors(
    cloud: Cloud,
) -> None:
    endpoint = cloud.serving(STAND_IN_DIE_AFTER="1")
    assert cloud.label(endpoint, b"x") == label_of(b"x")
    assert cloud.model_error(endpoint)["OriginalStatusCode"] == 503

    def answers() -> bool:
        try:
            return cloud.label(endpoint, b"y") == label_of(b"y")
        except cloud.runtime.exceptions.ModelError:
            return False

    assert until(answers)


def test_a_deleted_endpoint_is_gone_with_its_process(cloud: Cloud) -> None:
    endpoint = cloud.serving()
    assert processes.find_running(endpoint)
    cloud.sagemaker.delete_endpoint(EndpointName=endpoint)
    cloud.sagemaker.get_waiter("endpoint_deleted").wait(
        EndpointName=endpoint, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    assert processes.find_running(endpoint) == []


def test_an_endpoint_being_created_can_be_neither_invoked_nor_changed(cloud: Cloud) -> None:
    model = cloud.model(STAND_IN_UNREADY="true")
    endpoint = cloud.endpoint(model)
    with refused("ValidationError", "not InService"):
        cloud.runtime.invoke_endpoint(EndpointName=endpoint, Body=b"x")
    with refused("ValidationException", "Cannot update in-progress endpoint"):
        cloud.sagemaker.delete_endpoint(EndpointName=endpoint)
    with refused("ValidationException", "Cannot update in-progress endpoint"):
        cloud.sagemaker.update_endpoint(
            EndpointName=endpoint, EndpointConfigName=cloud.config(model)
        )
    failed = cloud.settled(endpoint)
    assert failed["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in failed["FailureReason"]
