"""Ctrl-C at any moment: a sentence that is true, and never a traceback."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from botocore.exceptions import EndpointConnectionError
from click.testing import CliRunner

from cli import errors
from cli.__main__ import sortbox
from infra import interrupt, sentences

CANNOT_BLOCK = (
    subprocess.run(
        ["env", "--block-signal=INT", "true"], stderr=subprocess.DEVNULL, check=False
    ).returncode
    != 0
)
SORTBOX = Path(__file__).parents[3] / "sortbox"


pytestmark = pytest.mark.usefixtures("nothing_left", "own_handler")


@pytest.fixture
def own_handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_command_that_started_nothing_says_so() -> None:
    assert interrupt.sentence() == "Interrupted. Nothing was started."


def test_what_goes_on_is_said_until_it_has_ended() -> None:
    interrupt.leaves("cloud", "The local cloud is up.")
    interrupt.leaves("endpoint", "The endpoint goes on.")
    assert interrupt.sentence() == "Interrupted. The local cloud is up. The endpoint goes on."
    interrupt.leaves("endpoint", "")
    assert interrupt.sentence() == "Interrupted. The local cloud is up."


@pytest.mark.parametrize("error", [KeyboardInterrupt, click.Abort])
def test_the_command_ends_with_what_it_leaves(
    error: type[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        interrupt.leaves("job", "The job goes on.")
        raise error

    with pytest.raises(SystemExit) as ended:
        errors.run(command)
    assert ended.value.code == 130
    assert capsys.readouterr().err.strip() == "Interrupted. The job goes on."


def test_a_removal_that_deleted_nothing_yet_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """It said "What is being deleted goes on" before AWS had answered a single call."""
    nobody = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_REGION": "eu-west-1"}
    for name, value in {**nobody, **keys, "AWS_DEFAULT_REGION": "eu-west-1"}.items():
        monkeypatch.setenv(name, value)
    removal = CliRunner().invoke(sortbox, ["remove", "--stage", "dev"])
    assert isinstance(removal.exception, EndpointConnectionError)
    assert "does not answer" in str(sentences.explain(removal.exception))
    assert interrupt.sentence() == "Interrupted. Nothing was started."


def _listen_to_interrupts() -> None:
    """Where tests run in the background, a shell has told them to ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(CANNOT_BLOCK, reason="`env` of this machine cannot block a signal")
@pytest.mark.parametrize("moment", range(10))
def test_no_traceback_while_a_command_starts(moment: int, tmp_path: Path) -> None:
    """In each of these moments another part of it is imported."""
    with subprocess.Popen(
        [SORTBOX, "logs", "--follow"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"SORTBOX_LOCAL": str(tmp_path)},
        preexec_fn=_listen_to_interrupts,
        start_new_session=True,
    ) as command:
        time.sleep(0.03 * moment)
        if command.poll() is None:
            os.killpg(command.pid, signal.SIGINT)
        _, complaint = command.communicate()
    assert "Traceback" not in complaint
    assert command.returncode in (1, 130, -signal.SIGINT)


DROPPED = """
import signal, time
from cli import errors
from infra import interrupt

class Destroyed:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
        [None for _ in range(10)]

def command():
    interrupt.listen()
    Destroyed()
    time.sleep(60)

errors.run(command)
"""


def test_an_interrupt_in_a_destructor_ends_the_command() -> None:
    """Python prints a traceback and drops the exception there: the command went on."""
    command = [sys.executable, "-c", DROPPED]
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=SORTBOX.parent,
        preexec_fn=_listen_to_interrupts,
        timeout=50,
        check=False,
    )
    assert (ended.returncode, ended.stderr.strip()) == (130, "Interrupted. Nothing was started.")
