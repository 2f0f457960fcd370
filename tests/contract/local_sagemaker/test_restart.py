"""What was made survives the server, however it ended; no process does."""

import socket
from typing import Any

from infra.local import processes
from tests.contract.local_sagemaker.support.cloud import BUCKET, Cloud
from tests.contract.local_sagemaker.support.patience import until
from tests.stand_in.answers import label_of


def test_a_restart_brings_models_tags_and_endpoints_back(own_cloud: Cloud) -> None:
    endpoint = own_cloud.serving()
    before = own_cloud.sagemaker.describe_endpoint(EndpointName=endpoint)
    own_cloud.sagemaker.add_tags(
        ResourceArn=before["EndpointArn"], Tags=[{"Key": "stage", "Value": "dev"}]
    )
    own_cloud.server.stop()
    assert processes.find_running(endpoint) == []
    own_cloud.server.start()
    after = own_cloud.settled(endpoint)
    assert after["EndpointStatus"] == "InService"
    assert after["CreationTime"] == before["CreationTime"]
    assert own_cloud.label(endpoint, b"x") == label_of(b"x")
    tags = own_cloud.sagemaker.list_tags(ResourceArn=before["EndpointArn"])["Tags"]
    assert tags == [{"Key": "stage", "Value": "dev"}]


def test_a_job_cut_off_by_the_servers_death_has_failed_and_says_so(own_cloud: Cloud) -> None:
    folder, images = own_cloud.images(40)
    model = own_cloud.model(STAND_IN_DELAY_MS="100")
    job = own_cloud.transform(own_cloud.manifest(folder, images), model)
    until(lambda: own_cloud.keys(f"out/{job}/"))
    own_cloud.server.kill()
    until(lambda: not processes.find_running(job))
    own_cloud.server.start()
    ended = own_cloud.finished(job)
    assert ended["TransformJobStatus"] == "Failed"
    assert "ended while the job was running" in ended["FailureReason"]


def test_a_training_job_cut_off_by_the_servers_death_says_so_and_another_goes_on(
    own_cloud: Cloud,
) -> None:
    kept: dict[str, Any] = {"CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/checkpoints/cut-off"}}
    slow = {"steps": "100000", "step_ms": "20"}
    job = own_cloud.training(HyperParameters=slow, **kept)
    until(lambda: own_cloud.keys("checkpoints/cut-off/"))
    own_cloud.server.kill()
    until(lambda: not processes.find_running(job))
    own_cloud.server.start()
    ended = own_cloud.trained(job)
    assert ended["TrainingJobStatus"] == "Failed"
    assert "ended while the job was running" in ended["FailureReason"]
    again = own_cloud.training(HyperParameters={"steps": "1"}, **kept)
    assert own_cloud.trained(again)["TrainingJobStatus"] == "Completed"
    assert "from step 1\n" not in own_cloud.server.log_of(again), "it begins at the checkpoint"


def test_an_update_cut_off_by_the_servers_death_is_undone_and_says_so(own_cloud: Cloud) -> None:
    endpoint = own_cloud.serving(SORTBOX_CONTAINER="before")
    before = own_cloud.settled(endpoint)["EndpointConfigName"]
    config = own_cloud.config(own_cloud.model(SORTBOX_CONTAINER="after", STAND_IN_UNREADY="true"))
    own_cloud.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    until(lambda: len(processes.find_running(endpoint)) > 1)
    own_cloud.server.kill()
    until(lambda: not processes.find_running(endpoint))
    own_cloud.server.start()
    state = own_cloud.settled(endpoint)
    assert (state["EndpointStatus"], state["EndpointConfigName"]) == ("InService", before)
    assert "ended during the update" in state["FailureReason"]
    assert own_cloud.label(endpoint, b"x") == label_of(b"x")
    config = own_cloud.config(own_cloud.model(SORTBOX_CONTAINER="after"))
    own_cloud.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    state = own_cloud.settled(endpoint)
    assert (state["EndpointConfigName"], state.get("FailureReason")) == (config, None)


def test_a_killed_server_leaves_no_process_and_its_endpoints_come_back(own_cloud: Cloud) -> None:
    endpoint = own_cloud.serving()
    own_cloud.server.kill()
    until(lambda: not processes.find_running(endpoint))
    own_cloud.server.start()
    assert own_cloud.settled(endpoint)["EndpointStatus"] == "InService"
    assert own_cloud.label(endpoint, b"x") == label_of(b"x")


def test_an_endpoint_whose_model_is_gone_fails_after_a_restart(own_cloud: Cloud) -> None:
    model = own_cloud.model()
    endpoint = own_cloud.endpoint(model)
    own_cloud.settled(endpoint)
    own_cloud.s3.delete_object(Bucket=BUCKET, Key=f"models/{model}.tar.gz")
    own_cloud.server.stop()
    own_cloud.server.start()
    assert "Could not access model data" in own_cloud.settled(endpoint)["FailureReason"]


def test_an_endpoint_whose_configuration_is_gone_fails_after_a_restart(own_cloud: Cloud) -> None:
    endpoint = own_cloud.serving()
    config = own_cloud.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    own_cloud.sagemaker.delete_endpoint_config(EndpointConfigName=config)
    own_cloud.server.stop()
    own_cloud.server.start()
    state = own_cloud.settled(endpoint)
    assert state["EndpointStatus"] == "Failed"
    assert "Could not find endpoint configuration" in state["FailureReason"]


def test_a_second_server_over_the_same_state_is_turned_away(cloud: Cloud) -> None:
    second = cloud.server.another()
    assert second.exited.result(timeout=30) == 1
    assert "another local SageMaker is running over" in second.log.read_text()


def test_a_port_that_is_taken_is_said_so(own_cloud: Cloud) -> None:
    port = own_cloud.server.port
    own_cloud.server.stop()
    with socket.create_server(("127.0.0.1", port)):
        second = own_cloud.server.another()
        assert second.exited.result(timeout=30) != 0
    assert "Address already in use" in second.log.read_text()
    own_cloud.server.start()
