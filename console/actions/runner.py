"""Starts, stops and lists the actions of a bucket, which run in processes of their own."""

import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from threading import Thread

from console.actions import worker
from console.actions.record import KEPT_ACTIONS, Action, ActionFiles, ids
from console.actions.verbs import Order
from domain import timestamps
from domain.errors import SortboxError
from infra import interrupt

OUTPUT_BYTES = 2**18
"""Of a log, in one answer; the page asks for the rest."""


class BusyError(SortboxError):
    """Another action changes the model or starts jobs; the sentence names it."""


class NoActionError(SortboxError):
    """There is no action of that id, or nothing of it to stop."""


@dataclass(frozen=True, slots=True)
class Output:
    """A part of an action's log: whole lines while it runs. `start` and `end` are bytes."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Runner:
    """The actions of one console. Several consoles may share the folder."""

    folder: Path

    def start(self, order: Order) -> Action:
        """Raises BusyError where an exclusive action runs, and this is another one."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._turn():
            running = self.exclusive() if order.is_exclusive else None
            if running is not None:
                raise BusyError(
                    f"{running.title} is running, since {running.started_at}. Wait until it has "
                    "ended, or stop it."
                )
            if order.clears is not None:
                shutil.rmtree(order.clears, ignore_errors=True)
            now = datetime.now(UTC)
            id_ = f"{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"
            action = Action(
                id=id_,
                verb=order.verb,
                title=order.title,
                commands=order.commands,
                is_exclusive=order.is_exclusive,
                started_at=timestamps.to_text(now),
                is_running=True,
            )
            self._spawn(action)
            self._prune()
            return action

    def actions(self, limit: int = KEPT_ACTIONS) -> list[Action]:
        """The newest first."""
        read = (ActionFiles(self.folder, id_).read() for id_ in ids(self.folder))
        return list(islice((action for action in read if action is not None), limit))

    def action(self, id_: str) -> Action:
        """Raises NoActionError."""
        action = self._files(id_).read()
        if action is None:
            raise NoActionError(f"There is no action {id_} here, or it is long forgotten.")
        return action

    def running(self) -> list[Action]:
        return [action for action in self.actions() if action.is_running]

    def exclusive(self) -> Action | None:
        """The action that changes the model or starts jobs, and runs."""
        return next((action for action in self.running() if action.is_exclusive), None)

    def latest(self, *verbs: str) -> Action | None:
        """What a page about these verbs shows first: what runs, else what ran last."""
        actions = [action for action in self.actions() if action.verb in verbs]
        running = (action for action in actions if action.is_running)
        return next(running, actions[0] if actions else None)

    def output(self, id_: str, start: int = 0) -> Output:
        """A part of the log from `start` on. Raises NoActionError."""
        files = self._files(id_)
        is_running = files.is_held()  # asked first: what is written after it ended is read as well
        with suppress(FileNotFoundError), files.log.open("rb") as log:
            log.seek(start)
            chunk = log.read(OUTPUT_BYTES)
            if is_running and len(chunk) < OUTPUT_BYTES:
                chunk = chunk[: chunk.rfind(b"\n") + 1]
            return Output(chunk.decode(errors="replace"), start, start + len(chunk))
        return Output("", start, start)

    def stop(self, id_: str) -> str:
        """What Ctrl-C does in a terminal; a second one, while the command ends, kills it.

        Raises NoActionError.
        """
        action, group = self.action(id_), self._files(id_).holder()
        if group is None or not action.is_running:  # the worker outlives its last word a little
            raise NoActionError(f"{action.title} does not run: there is nothing to stop.")
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGINT)
        return f"{action.title} is asked to stop, as by Ctrl-C. Its last lines say what goes on."

    def _files(self, id_: str) -> ActionFiles:
        if id_ not in ids(self.folder):
            raise NoActionError(f"There is no action {id_} here, or it is long forgotten.")
        return ActionFiles(self.folder, id_)

    def _spawn(self, action: Action) -> None:
        files = ActionFiles(self.folder, action.id)
        files.lock.touch(0o600)
        with files.lock.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            files.write(action)
            files.log.touch(0o600)
            interrupt.hold()  # a Stop waits until the worker can answer it
            with files.log.open("ab") as log:
                child = subprocess.Popen(
                    [sys.executable, worker.__file__, str(files.record), str(lock.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,  # where the worker itself cannot even start
                    pass_fds=(lock.fileno(),),  # the lock is held as long as the worker lives
                    start_new_session=True,
                )
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            lock.write(str(child.pid))
        Thread(target=child.wait, name=f"wait-{action.id}", daemon=True).start()

    def _prune(self) -> None:
        for id_ in [*ids(self.folder)][KEPT_ACTIONS:]:
            files = ActionFiles(self.folder, id_)
            if not files.is_held():
                files.delete()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One start at a time, of all consoles that share the folder."""
        path = self.folder / "turn"
        path.touch(0o600)
        with path.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
