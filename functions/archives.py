"""Unpack the archives of the inbox, one step of one archive at a time.

All archives of a stage share a lease, so that they never take more than one of the invocations that
folders need as well. They take turns: whoever has finished a step sends the message for the next
archive. A message that finds the lease taken has recorded its archive, and is done. The schedule
sends a message, too, for turns that ended with a process.

After its last step an archive is done with: its folder's run begins, and the report says for which
version of the archive that was, so that a repeated event unpacks nothing again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import assert_never

from batch import lease
from batch.archives import state
from batch.archives.entries import DAMAGED
from batch.archives.source import ReplacedError, UnpackError
from batch.archives.state import Unpacking
from batch.archives.unpack import unpack
from batch.context import Context
from batch.unreadable import OtherObjects
from domain import timestamps
from domain.result import UNREADABLE, How, Rejected, Result
from domain.route import PackedFolder, route
from functions.inbox import Absent, Image, peek
from functions.messages import NextArchive, OurMessage, Start, Unpack
from functions.outbox import Outbox, delete_result, reconcile
from functions.runtime import count, log_context, logger

LEASE = "archives"


@dataclass(frozen=True, slots=True)
class Archives:
    """`send` queues a message for folders."""

    context: Context
    send: Callable[[OurMessage], None]

    def accept(self, message: Unpack | NextArchive, attempt: int) -> None:
        """Take a step of this archive or of the next; at a later attempt, of one after that."""
        bucket = self.context.bucket
        match message:
            case Unpack(key):
                self._record(key)
                self._take_turn(partial(state.read, bucket, key))
            case NextArchive(key):
                self._take_turn(partial(state.next_after, bucket, key, attempt))
            case never:
                assert_never(never)

    def _take_turn(self, choose: Callable[[], Unpacking | None]) -> None:
        """Raises errors of AWS, and SQS delivers the message again."""
        holder = lease.acquire(self.context, LEASE)
        if holder is None:
            logger.info("another archive is being unpacked")
            return
        try:
            with lease.keep_renewed(self.context, LEASE, holder):
                unpacking = choose()
                if unpacking:
                    with log_context(unpacking.key):
                        self._step(unpacking)
        finally:
            lease.release(self.context, LEASE, holder)
        last = unpacking.key if unpacking else ""
        if state.next_after(self.context.bucket, last, 1):  # also what came during the step
            self.send(NextArchive(last))

    def _record(self, key: str) -> None:
        """Record the archive, unless this version of it is done with; end one that is gone."""
        bucket = self.context.bucket
        unpacking, image = state.read(bucket, key), peek(bucket.client, bucket.name, key)
        if isinstance(image, Absent):
            if unpacking:
                self._finish(unpacking, None)
            return
        source = image.source
        if not state.is_settled(bucket, key, source.version):
            at = timestamps.to_text(self.context.now())
            state.begin(bucket, Unpacking(key, source.etag, source.version_id, source.bytes, at))

    def _step(self, unpacking: Unpacking) -> None:
        others = OtherObjects(self.context.bucket)
        denial = others.denial(unpacking.key)
        if denial and (denial.certain or others.are_readable(unpacking.key)):
            self._finish(unpacking, UnpackError(UNREADABLE, denial.why))
            return
        try:
            unpacking, is_over = unpack(self.context, unpacking, self._archive(unpacking))
        except ReplacedError:
            self._record(unpacking.key)
            return
        except UnpackError as error:
            last = state.read(self.context.bucket, unpacking.key)
            if last and last.version.is_same(unpacking.version):  # or another has replaced it
                self._finish(last, error)
            return
        logger.info("unpacked a part", files=unpacking.files, entries=unpacking.number)
        if not is_over:
            state.publish(
                self.context.bucket, unpacking, self._archive(unpacking), "unpacking", None
            )
        else:
            self._finish(unpacking, None if unpacking.files else _nothing(unpacking))

    def _finish(self, unpacking: Unpacking, error: UnpackError | None) -> None:
        """Publish the report, and a rejection if there is an `error`; then begin the folder's run.

        The state goes last, so that a crash in between repeats all of it.
        """
        bucket, key, archive = self.context.bucket, unpacking.key, self._archive(unpacking)
        reason = _sentence(unpacking, error) if error else None
        is_removed = isinstance(peek(bucket.client, bucket.name, key), Absent)
        outcome: state.ReportState = "rejected" if error else "unpacked"
        state.publish(bucket, unpacking, archive, "removed" if is_removed else outcome, reason)
        outbox = Outbox(bucket.client, bucket.name, self.context.active_model, lambda image: None)
        if error and reason:
            answer = partial(self._reject, unpacking, error.code, reason)
            reconcile(outbox, key, partial(peek, bucket.client, bucket.name), answer)
        else:
            delete_result(outbox, key, is_restored=True)
        if not is_removed:
            count("ArchiveRejected" if error else "ArchiveUnpacked")
        if unpacking.files:
            self.send(Start(archive.folder.path))
        state.drop(bucket, unpacking)

    def _archive(self, unpacking: Unpacking) -> PackedFolder:
        """Raises TypeError if the key is not an archive's; only archives are recorded."""
        archive = route(unpacking.key, self.context.folder_depth)
        if not isinstance(archive, PackedFolder):
            raise TypeError(f"{unpacking.key} is not an archive")
        return archive

    def _reject(self, unpacking: Unpacking, code: str, why: str, image: Image) -> Result | None:
        """None for another version of the archive, which has an event of its own."""
        if not image.source.version.is_same(unpacking.version):
            return None
        how = How("batch", None, 1, timestamps.to_text(self.context.now()))
        return Rejected(unpacking.key, image.source, None, how, code, why)


def _nothing(unpacking: Unpacking) -> UnpackError:
    """Why an archive without a file is rejected."""
    if not unpacking.reasons:
        return UnpackError("empty", "The archive holds no files.")
    counts = "; ".join(f"{count:,} times: {reason}" for reason, count in unpacking.reasons)
    code = "corrupt" if DAMAGED in dict(unpacking.reasons) else "unsupported_format"
    return UnpackError(code, f"The archive holds no file that can be unpacked ({counts}).")


def _sentence(unpacking: Unpacking, error: UnpackError) -> str:
    if not unpacking.files:
        return str(error)
    return f"{error} Before that, {unpacking.files:,} of its files were unpacked."
