"""Actions are processes of their own: they outlive a console, and everybody learns how they end."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.actions.record import UNKNOWN, ActionFiles
from console.actions.runner import BusyError, NoActionError, Runner
from console.actions.verbs import Order
from console.actions.worker import LOG_BYTES, Log
from tests.support.consoles.actions import (
    FOLLOW_LOGS,
    LINE,
    ended,
    make_stopped_cloud,
    wait_for,
    wait_for_end,
)

QUICK = ("--version",)
WRONG = ("promte",)


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    make_stopped_cloud(tmp_path / "cloud", monkeypatch)
    with ended(Runner(tmp_path / "actions")) as runner:
        yield runner


def order(*commands: tuple[str, ...], exclusive: bool = True, title: str = "Try") -> Order:
    return Order("train", title, commands, exclusive)


def test_an_action_runs_the_command_line_and_ends_in_words(runner: Runner) -> None:
    action = runner.start(order(QUICK))
    assert action.state == "running", "what the page shows until it has asked again"
    assert action.command_lines() == ["./sortbox --version"]
    action = wait_for_end(runner, action.id)
    assert (action.state, action.code) == ("done", 0)
    assert action.ended_at is not None
    assert "sortbox, version" in runner.output(action.id).text


def test_the_first_command_that_fails_is_the_last(runner: Runner) -> None:
    action = runner.start(order(QUICK, WRONG, QUICK))
    action = wait_for_end(runner, action.id)
    assert (action.step, action.code) == (1, 2)
    assert action.state == "failed: the command line is wrong"
    text = runner.output(action.id).text
    assert "Did you mean 'promote'?" in text
    assert text.count("sortbox, version") == 1


def test_nobody_is_there_to_answer_a_question(runner: Runner) -> None:
    action = runner.start(order(("remove", "--stage=dev", "--images")))
    assert wait_for_end(runner, action.id).code == 2
    assert "not a terminal" in runner.output(action.id).text


def test_stop_is_ctrl_c(runner: Runner) -> None:
    action = runner.start(order(FOLLOW_LOGS))
    wait_for(runner, action.id, lambda _: LINE in runner.output(action.id).text)
    assert "as by Ctrl-C" in runner.stop(action.id)
    action = wait_for_end(runner, action.id)
    assert (action.state, action.code) == ("interrupted", 130)
    files = ActionFiles(runner.folder, action.id)
    wait_for(runner, action.id, lambda _: files.holder() is None)  # it ends after its last words
    with pytest.raises(NoActionError, match="nothing to stop"):
        runner.stop(action.id)


def test_a_stop_ends_the_commands_that_would_follow(runner: Runner) -> None:
    action = runner.start(order(FOLLOW_LOGS, QUICK))
    runner.stop(action.id)  # also at once, before Python has started
    assert wait_for_end(runner, action.id).code == 130
    assert "sortbox, version" not in runner.output(action.id).text


def test_actions_of_one_second_are_in_their_order(runner: Runner) -> None:
    started = [runner.start(order(QUICK, exclusive=False)).id for _ in range(6)]
    assert [action.id for action in runner.actions()] == started[::-1]


def test_a_second_exclusive_action_is_refused_by_the_name_of_the_first(runner: Runner) -> None:
    first = runner.start(order(FOLLOW_LOGS, title="Promote sortbox-dev-dogs-1"))
    with pytest.raises(BusyError, match=r"^Promote sortbox-dev-dogs-1 is running, since 20"):
        runner.start(order(QUICK))
    other = Runner(runner.folder)
    with pytest.raises(BusyError):
        other.start(order(QUICK))
    beside = runner.start(order(QUICK, exclusive=False))
    assert wait_for_end(runner, beside.id).code == 0
    runner.stop(first.id)
    wait_for_end(runner, first.id)
    assert wait_for_end(runner, runner.start(order(QUICK)).id).code == 0


def test_a_refused_action_clears_nothing(runner: Runner, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "corrections").mkdir(parents=True)
    first = runner.start(order(FOLLOW_LOGS))
    with pytest.raises(BusyError):
        runner.start(Order("train", "Again", (QUICK,), True, clears=data))
    assert (data / "corrections").is_dir(), "the first action may be using it"
    runner.stop(first.id)
    wait_for_end(runner, first.id)
    wait_for_end(runner, runner.start(Order("train", "Again", (QUICK,), True, clears=data)).id)
    assert not data.exists()


def test_a_console_that_was_killed_is_no_matter(runner: Runner) -> None:
    """Another console of the same bucket sees what still runs, stops it and reads how it ended."""
    pid = os.fork()
    if pid == 0:  # the console that is killed, with all that it holds in memory
        try:
            runner.start(order(FOLLOW_LOGS))
        finally:  # also after an error, which would go on with the tests in this process
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    later = Runner(runner.folder)
    [action] = later.actions()
    assert action.is_running
    wait_for(later, action.id, lambda _: LINE in later.output(action.id).text)
    later.stop(action.id)
    assert wait_for_end(later, action.id).code == 130


def test_an_action_whose_processes_were_killed_ended_unknown(runner: Runner) -> None:
    action = runner.start(order(FOLLOW_LOGS))
    group = ActionFiles(runner.folder, action.id).holder()
    assert group is not None
    os.killpg(group, signal.SIGKILL)
    assert wait_for_end(runner, action.id).state == UNKNOWN
    assert wait_for_end(runner, runner.start(order(QUICK)).id).code == 0, "it is in nobody's way"


def test_output_is_read_on_from_where_it_was_read(runner: Runner) -> None:
    action = runner.start(order(QUICK))
    wait_for_end(runner, action.id)
    whole = runner.output(action.id)
    rest = runner.output(action.id, 5)
    assert (rest.start, rest.end, whole.text[5:]) == (5, whole.end, rest.text)
    assert runner.output(action.id, whole.end).text == ""


def test_a_log_has_a_bound(tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab") as file:
        log = Log(file)
        for _ in range(40):
            log.write(b"x" * 2**16)
    body = (tmp_path / "log").read_bytes()
    assert len(body) < LOG_BYTES + 100
    assert body.endswith("… (the rest of the output is not kept)\n".encode())


@pytest.mark.parametrize("id_", ["../../etc/passwd", "20260101T000000000000-00000000", "", "turn"])
def test_nothing_else_can_be_read(runner: Runner, id_: str) -> None:
    (runner.folder).mkdir()
    (runner.folder / "turn.json").write_text("{}")
    with pytest.raises(NoActionError):
        runner.output(id_)


def test_a_record_that_was_cut_off_is_no_action(runner: Runner) -> None:
    action = runner.start(order(QUICK))
    wait_for_end(runner, action.id)
    path = ActionFiles(runner.folder, action.id).record
    path.write_text(path.read_text()[:30])
    assert runner.actions() == []


def test_others_on_the_machine_cannot_read_it(runner: Runner) -> None:
    action = runner.start(order(QUICK))
    wait_for_end(runner, action.id)
    modes = {path.stat().st_mode & 0o777 for path in (runner.folder, *runner.folder.iterdir())}
    assert modes == {0o700, 0o600}
    document = json.loads(ActionFiles(runner.folder, action.id).record.read_text())
    assert document["commands"] == [["--version"]]
