"""Make ministack keep its state in a database, instead of in files that it writes when it ends.

It runs in ministack's own environment, and replaces functions of ministack; the exact pin makes
that safe. What survives the end of the process at any moment:

- Objects of S3: ministack writes each before it answers. A write that the end cut in two is undone.
- Messages: in the store before the request is answered. Events of S3 are sent in the request that
  causes them, not by a thread later.
- Everything else (stacks, functions, roles, rules): saved soon after a request that may change it,
  all services in one transaction, and never while a stack changes. A deployment that was cut off is
  as if it had not begun, so that it can be repeated; the bucket that it created is adopted by the
  next one, with its objects.
"""

import asyncio
import json
import logging
import sqlite3
from http import HTTPStatus
from pathlib import Path
from typing import Any

from ministack import app
from ministack.core import persistence
from ministack.services import cloudformation, cloudwatch_logs, lambda_svc, s3, sqs
from ministack.services.cloudformation import provisioners

from infra.local.access import guard
from infra.local.access.guard import App, Receive, Scope, Send
from infra.local.persistence import SAVE_PATH, disk
from infra.local.persistence.queues import QueueTable
from infra.local.persistence.state_database import StateDatabase

logger = logging.getLogger("persistence")

SAVE_SECONDS = 1.0
"""How long after a request that may change something the services are saved: the most that the
end of the process can undo of changes other than objects and messages."""

FORMAT = "__ministack_format__"
LOGS = "cloudwatch_logs"
BUCKET = "AWS::S3::Bucket"


class EmulatorState:
    """What ministack knows, in the store."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._store = StateDatabase(folder / "state.db")
        self._queues = QueueTable(self._store, _to_json)
        self._orphans: set[str] = set()
        self._code_blobs: set[str] = set()
        self._log_groups: frozenset[Any] = frozenset()

    def install(self) -> None:
        """Replace ministack's functions. Before its application starts."""
        sqs._queues._data = self._queues
        app.load_state = self._load
        load_all = app._load_persisted_state

        def load_everything() -> None:
            load_all()
            self._queues.restore()
            self._find_orphans()

        app._load_persisted_state = load_everything
        app.save_all = lambda services: self.save(is_last=True)
        # The code of functions may be deleted only when the state that used it is replaced.
        self._prune = lambda_svc._prune_orphan_code_blobs
        lambda_svc._prune_orphan_code_blobs = self._keep_blobs
        s3._fire_s3_event_async = _send_event_now
        _note_full_disks()
        self._adopt_buckets()

    def save(self, is_last: bool = False) -> None:
        """Save all services, unless a stack is changing; with `is_last` the messages as well, with
        how often they were received. Raises sqlite3.Error.
        """
        messages = list(self._queues.messages()) if is_last else None
        states = {} if _stack_is_changing() else self._states(is_last)
        self._store.save(states, messages)
        if states:
            self._prune(self._code_blobs)

    def _states(self, is_last: bool) -> dict[str, str]:
        """What each service has to save. Log lines grow without end, and are in files as well, so
        they are saved only with a change of the log groups, or with `is_last`.
        """
        states = {}
        log_groups = frozenset(cloudwatch_logs._log_groups._data)
        are_logs_due = is_last or log_groups != self._log_groups
        self._log_groups = log_groups
        for name, get_state in app._build_persistence_save_dict().items():
            if name == LOGS and not are_logs_due:
                continue
            state = get_state()
            if state is not None:
                version = persistence._state_format_version(name)
                states[name] = _to_json({FORMAT: version, "payload": state})
        return states

    def _load(self, service: str) -> Any:
        """The state of a service; before its first save, that of ministack's own file."""
        saved = self._store.service(service)
        if saved is None:
            return persistence.load_state(service)
        state = json.loads(saved, object_hook=persistence._json_object_hook)["payload"]
        if service == "cloudformation":
            _drop_unmade(state["stacks"])
        return state

    def _keep_blobs(self, used: set[str]) -> None:
        self._code_blobs = set(used)

    def _find_orphans(self) -> None:
        """Buckets whose objects are on disk, and which no saved state describes."""
        saved = self._load("s3") or {}
        known = {name for _, name in getattr(saved.get("buckets_meta"), "_data", ())}
        self._orphans = {name for _, name in s3._buckets._data if name not in known}

    def _adopt_buckets(self) -> None:
        """Let the deployment that is repeated take the bucket that the first one had created."""
        handlers = provisioners._RESOURCE_HANDLERS[BUCKET]
        create, conflict = handlers["create"], provisioners.s3_bucket_name_conflict

        def create_or_adopt(logical_id: str, props: dict[str, Any], stack: str) -> Any:
            name = props.get("BucketName")
            if name not in self._orphans:
                return create(logical_id, props, stack)
            self._orphans.discard(name)
            logger.info("adopting bucket %s with its objects", name)
            s3._buckets[name].update(s3._new_bucket_public_access_block())
            provisioners._s3_update(name, {}, props, stack)
            return name, provisioners._s3_attrs(name)

        handlers["create"] = create_or_adopt
        provisioners.s3_bucket_name_conflict = lambda name: (
            None if name in self._orphans else conflict(name)
        )


class Saver:
    """ASGI middleware that saves the state after requests that may have changed it, and at once
    for a request to SAVE_PATH by the access key `owner`.
    """

    def __init__(self, application: App, state: EmulatorState, owner: str) -> None:
        self._app = application
        self._state = state
        self._owner = owner
        self._is_due = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] == SAVE_PATH and scope[guard.SIGNER] == self._owner:
            status = HTTPStatus.OK if self._save() else HTTPStatus.INSUFFICIENT_STORAGE
            length = (b"content-length", b"0")
            await send({"type": "http.response.start", "status": status, "headers": [length]})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._app(scope, receive, send)
            if scope["method"] not in ("GET", "HEAD") and not self._is_due:
                self._is_due = True
                asyncio.get_running_loop().call_later(SAVE_SECONDS, self._save)

    def _save(self) -> bool:
        self._is_due = False
        try:
            self._state.save()
        except (sqlite3.Error, RuntimeError, OSError):
            # Tried again after the next request; the state before stays as it is.
            logger.exception("the state of the services was not saved")
            return False
        return True


def _to_json(value: Any) -> str:
    return json.dumps(value, default=persistence._json_default)


def _stack_is_changing() -> bool:
    statuses = [stack["StackStatus"] for stack in cloudformation._stacks.all_values()]
    return any(
        status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS" for status in statuses
    )


def _drop_unmade(stacks: Any) -> None:
    """Forget stacks of which only a change set had been made: they cannot be created again."""
    for key, stack in list(stacks._data.items()):
        if stack["StackStatus"] == "REVIEW_IN_PROGRESS":
            del stacks._data[key]


def _note_full_disks() -> None:
    """ministack logs what it cannot write, and answers as if it had."""
    write = s3._atomic_write

    def write_or_note(path: str, data: bytes | str, *, text: bool = False) -> None:
        with disk.failing():
            write(path, data, text=text)

    s3._atomic_write = write_or_note


def _send_event_now(bucket: str, key: str, event: str, *values: Any, **named: Any) -> None:
    """As ministack's, but not in a thread: an upload that was answered has sent its event."""
    if bucket in s3._bucket_notifications:
        named["sequencer"] = s3._next_event_sequencer(event)
        s3._fire_s3_event(bucket, key, event, *values, **named)
