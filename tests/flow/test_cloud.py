"""The local cloud as a machine: up, down, killed, interrupted, crowded out."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from infra.local import cloud as local
from infra.local.beside import console_address
from infra.local.cloud import CloudError, LocalCloud, down, up
from infra.local.place import REPOSITORY, VARIABLE, Place, Ports
from infra.local.processes import MARK
from tests.flow.support.drive import eventually

pytestmark = pytest.mark.flow

KEY = "inbox/.kept"  # hidden: nothing answers it, and nothing has to


class Heard(list[str]):
    """What a person would have read."""

    def __call__(self, sentence: str) -> None:
        self.append(sentence)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("place"))
    yield place
    down(place, print)
    assert processes(place) == []


@pytest.fixture
def running(place: Place) -> LocalCloud:
    return up(place, print)


def processes(place: Place) -> list[str]:
    """Found by their environment, not by asking the code under test."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            environ = process.environ()
            if MARK in environ and environ.get(VARIABLE) == str(place.root):
                found.append(f"{process.pid} {environ[MARK]}")
    return found


def servers(place: Place) -> list[str]:
    """All but the emulator's processes for functions, which the clock starts at any time."""
    found = []
    for entry in processes(place):
        with suppress(psutil.Error):
            command = psutil.Process(int(entry.split()[0])).cmdline()
            if not any(word.endswith("_worker.py") for word in command):
                found.append(entry)
    return found


def nothing_runs(place: Place) -> None:
    eventually(lambda: not processes(place) or None, "no process left")


def put(cloud: LocalCloud, body: bytes) -> None:
    cloud.client("s3").put_object(Bucket=cloud.bucket, Key=KEY, Body=body)


def got(cloud: LocalCloud) -> bytes:
    body: bytes = cloud.client("s3").get_object(Bucket=cloud.bucket, Key=KEY)["Body"].read()
    return body


def emulator(place: Place) -> psutil.Process:
    """The process that listens, not its leash or its functions."""
    ports = Ports.read(place.ports)
    assert ports is not None
    for entry in processes(place):
        process = psutil.Process(int(entry.split()[0]))
        listens = [c.laddr.port for c in process.net_connections() if c.status == "LISTEN"]
        if ports.aws in listens:
            return process
    raise AssertionError("nothing listens")


def test_a_second_up_finds_the_cloud_and_changes_nothing(place: Place, running: LocalCloud) -> None:
    before = servers(place)
    again = up(place, print)
    assert again == running
    assert servers(place) == before


def test_it_listens_on_this_machine_only(place: Place, running: LocalCloud) -> None:
    listening = {
        connection.laddr.ip
        for entry in processes(place)
        for connection in psutil.Process(int(entry.split()[0])).net_connections()
        if connection.status == "LISTEN"
    }
    assert listening == {"127.0.0.1"}


def test_nobody_else_on_this_machine_can_read_it(place: Place, running: LocalCloud) -> None:
    put(running, b"private")
    running.client("lambda").invoke(FunctionName="sortbox-local-onSchedule")
    kept = [path for path in place.root.rglob("*") if not path.is_symlink()]
    assert {"env", "keys.json", "aws.log", "supervisor.log"} <= {path.name for path in kept}
    open_ = [f"{path.stat().st_mode:o} {path}" for path in kept if path.stat().st_mode & 0o077]
    assert open_ == []
    assert place.root.stat().st_mode & 0o777 == 0o700
    log = place.logs / "aws.log"
    log.chmod(0o644)
    up(place, print)
    assert log.stat().st_mode & 0o777 == 0o600, "up closes what was opened"


def test_a_shell_that_sources_the_file_reaches_the_cloud(place: Place, running: LocalCloud) -> None:
    put(running, b"for the shell")
    script = (
        "import boto3, os; print(boto3.client('s3').get_object("
        f"Bucket=os.environ['SORTBOX_BUCKET'], Key='{KEY}')['Body'].read().decode())"
    )
    done = subprocess.run(
        ["sh", "-c", f'. "{place.environment_file}" && "{sys.executable}" -c "$SCRIPT"'],
        env={"PATH": os.environ["PATH"], "SCRIPT": script, "AWS_PROFILE": "somebody"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "for the shell"


def test_the_dashboard_is_deployed_with_nothing_left_to_substitute(running: LocalCloud) -> None:
    cloudwatch = running.client("cloudwatch")
    (entry,) = cloudwatch.list_dashboards()["DashboardEntries"]
    stored = cloudwatch.get_dashboard(DashboardName=entry["DashboardName"])["DashboardBody"]
    region = cloudwatch.meta.region_name
    assert entry["DashboardName"] == f"sortbox-local-{region}"
    assert "${" not in stored
    (alarms, *graphs) = json.loads(stored)["widgets"]
    described = cloudwatch.describe_alarms()["MetricAlarms"]
    assert sorted(alarms["properties"]["alarms"]) == sorted(one["AlarmArn"] for one in described)
    assert {graph["properties"]["region"] for graph in graphs} == {region}


def test_objects_and_addresses_survive_down_and_up(place: Place, running: LocalCloud) -> None:
    put(running, b"kept")
    down(place, print)
    assert processes(place) == []
    assert place.holder() is None
    again = up(place, print)
    assert again.ports == running.ports
    assert got(again) == b"kept"


def test_down_where_nothing_runs_says_so(tmp_path: Path) -> None:
    heard = Heard()
    down(Place(tmp_path), heard)
    assert heard == ["The local cloud is not running."]


def test_a_killed_supervisor_leaves_no_process_and_up_starts_again(
    place: Place, running: LocalCloud
) -> None:
    put(running, b"before the kill")
    holder = place.holder()
    assert holder is not None
    os.kill(holder, signal.SIGKILL)
    nothing_runs(place)
    assert got(up(place, print)) == b"before the kill"


def test_an_emulator_that_dies_takes_the_cloud_down_aloud_and_up_mends_it(
    place: Place, running: LocalCloud
) -> None:
    put(running, b"before the crash")
    emulator(place).kill()
    nothing_runs(place)
    assert "aws ended with status 137 by itself" in (place.logs / "supervisor.log").read_text()
    mended = up(place, print)
    assert got(mended) == b"before the crash"
    names = mended.client("lambda").list_functions()["Functions"]
    assert len(names) == 4


def test_a_cloud_that_no_longer_answers_is_cleared_away_and_started_again(
    place: Place, running: LocalCloud
) -> None:
    emulator(place).suspend()
    heard = Heard()
    mended = up(place, heard)
    assert "A half-started or crashed cloud is here; clearing it away." in heard
    put(mended, b"mended")
    assert got(mended) == b"mended"


def test_a_port_taken_meanwhile_is_told_and_another_one_serves(
    place: Place, running: LocalCloud
) -> None:
    put(running, b"moved")
    queue = running.client("sqs").get_queue_url(QueueName="sortbox-local-page-dead")["QueueUrl"]
    running.client("sqs").send_message(QueueUrl=queue, MessageBody="still here")
    down(place, print)
    heard = Heard()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", running.ports.aws))
        other.listen()
        moved = up(place, heard)
    assert moved.ports.aws != running.ports.aws
    assert heard == [
        f"Port {running.ports.aws} is taken by another program; "
        f"AWS answers on {moved.ports.aws} from now on."
    ]
    assert got(moved) == b"moved"
    url = moved.client("sqs").get_queue_url(QueueName="sortbox-local-page-dead")["QueueUrl"]
    (message,) = moved.client("sqs").receive_message(QueueUrl=url)["Messages"]
    assert message["Body"] == "still here"


def test_a_console_stands_beside_it_and_goes_with_it(place: Place, running: LocalCloud) -> None:
    address = console_address(place)
    assert address is not None
    assert httpx.get(address).status_code == 303, "it lets a browser in"
    assert console_address(place) == address, "one console, however often somebody asks"
    assert json.loads(place.console.read_text())["root"] == str(place.root), "a copy has its own"
    [console] = [entry for entry in processes(place) if entry.endswith(" console")]
    process = psutil.Process(int(console.split()[0]))
    process.kill()
    process.wait(10)
    again = console_address(place)
    assert again is not None
    assert again != address, "a token ends with its console"
    assert httpx.URL(again).port == httpx.URL(address).port, "bookmarks stay"
    (REPOSITORY / "console" / "__init__.py").touch()
    updated = console_address(place)
    assert updated is not None
    assert updated != again, "after an update it is the console of the new sources"
    assert httpx.URL(updated).port == httpx.URL(address).port
    down(place, print)
    with pytest.raises(httpx.ConnectError):
        httpx.get(updated)


def starting(place: Place) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "cli", "up"],
        cwd=REPOSITORY,
        env={**os.environ, VARIABLE: str(place.root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_listen_to_interrupts,
    )


def deploys(command: "subprocess.Popen[str]") -> bool:
    assert command.stdout is not None
    return any("account" in line for line in command.stdout)  # what deploying says first


def holds(place: Place) -> bool:
    return eventually(place.holder, "a supervisor") > 0


@pytest.mark.parametrize("while_it", ["starts", "deploys"])
def test_an_interrupted_up_leaves_nothing(tmp_path: Path, while_it: str) -> None:
    place = Place(tmp_path)
    with starting(place) as command:
        assert holds(place) if while_it == "starts" else deploys(command)
        command.send_signal(signal.SIGINT)
        _, complaint = command.communicate()
    assert command.returncode == 130
    assert "Interrupted" in complaint
    nothing_runs(place)
    assert place.holder() is None


def test_an_up_that_was_killed_half_way_is_finished_by_the_next(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with starting(place) as command:
        assert deploys(command)
        command.kill()
    try:
        cloud = up(place, print)
        assert len(cloud.client("lambda").list_functions()["Functions"]) == 4
    finally:
        down(place, print)


def _listen_to_interrupts() -> None:
    """Where tests run in the background, a shell has told them to ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_fresh_account_has_ten_functions_and_no_machines(tmp_path: Path) -> None:
    with local.local_cloud(tmp_path, kind="fresh") as fresh:
        limit = fresh.client("lambda").get_account_settings()["AccountLimit"]
        assert limit["ConcurrentExecutions"] == 10
        quotas = fresh.client("service-quotas").list_service_quotas(ServiceCode="sagemaker")
        assert {each["Value"] for each in quotas["Quotas"]} == {0}
        assert up(fresh.place, print).kind == "fresh"
        with pytest.raises(CloudError, match=r"of the kind fresh: `[.]/sortbox down` first"):
            up(fresh.place, print, kind="established")


def test_two_places_do_not_know_of_each_other(
    place: Place, running: LocalCloud, tmp_path: Path
) -> None:
    put(running, b"ours")
    with local.local_cloud(tmp_path) as other:
        theirs, ours = other.ports, running.ports
        assert {theirs.aws, theirs.sagemaker}.isdisjoint((ours.aws, ours.sagemaker))
        listed = other.client("s3").list_objects_v2(Bucket=other.bucket, Prefix="inbox/")
        assert listed["KeyCount"] == 0
    assert processes(Place(tmp_path)) == []
    assert got(running) == b"ours"
