"""Mistakes in unpacking archives."""

from tests.faults.mistakes.product import Mistake

TESTS = "tests/unit/functions/test_archives.py"

OF_THE_ARCHIVES = (
    Mistake(
        "an archive replaces what people put there",
        "batch/archives/members.py",
        '            return "unchanged" if is_same else "taken"\n',
        "            return _Place(name, head.listed.etag)\n",
        f"{TESTS}::test_what_people_put_there_stays",
    ),
    Mistake(
        "a repeated event unpacks an archive again",
        "functions/archives.py",
        "        if not state.is_settled(bucket, key, source.version):\n",
        "        if source.bytes:\n",
        f"{TESTS}::test_repeated_and_reordered_messages_unpack_nothing_again",
    ),
    Mistake(
        "the place of the next step is not written",
        "batch/archives/unpack.py",
        "    state.save(context.bucket, unpacking)\n",
        "",
        f"{TESTS}::test_archives_take_turns",
    ),
    Mistake(
        "a drive's name leads out of the folder",
        "batch/archives/members.py",
        '    if re.match("[A-Za-z]:", name):\n',
        '    if re.match("[A-Za-z]:/", name):\n',
        TESTS,
    ),
    Mistake(
        "the sizes in a zip's directory are believed",
        "batch/archives/zips.py",
        "    if len(content) != record.size or zlib.crc32(content) != record.checksum:\n",
        "    if len(content) != record.size:\n",
        f"{TESTS}::test_a_member_whose_checksum_is_wrong_is_left_out",
    ),
    Mistake(
        "a gzip file may unpack to anything",
        "batch/archives/source.py",
        "        if self.position + len(self._rest) > self._most:\n",
        "        if self._most == 0:\n",
        f"{TESTS}::test_an_archive_that_unpacks_to_far_more_than_it_is_is_rejected",
    ),
    Mistake(
        "an archive that fails holds up the others",
        "batch/archives/state.py",
        "    stored = bucket.read(waiting[(attempt - 1) % len(waiting)].key)\n",
        "    stored = bucket.read(waiting[0].key)\n",
        f"{TESTS}::test_an_archive_that_cannot_be_read_now_does_not_hold_up_others",
    ),
    Mistake(
        "an archive is rejected for what its earlier version was",
        "functions/archives.py",
        "            if last and last.version.is_same(unpacking.version):",
        "            if last:",
        f"{TESTS}::test_an_archive_that_is_replaced_while_it_is_rejected_is_unpacked",
    ),
    Mistake(
        "an archive whose event was lost is forgotten",
        "batch/planning/walk.py",
        "            self.context.unpack_later(archive.key)\n",
        "            pass\n",
        f"{TESTS}::test_an_archive_whose_event_was_lost_is_found_by_the_search_for_unanswered_images",
    ),
    Mistake(
        "a file that is cut off and skipped is taken as whole",
        "batch/archives/source.py",
        "        if self.position > self.packed.size:\n",
        "        if self.position < 0:\n",
        "tests/unit/batch/archives/test_tars.py",
    ),
    Mistake(
        "the folders of an archive are not counted",
        "batch/archives/unpack.py",
        "    if entry.number >= limits.archive_entries:\n",
        "    if entry.number >= limits.archive_entries and not entry.is_folder:\n",
        f"{TESTS}::test_an_archive_of_too_many_entries_is_rejected",
    ),
    Mistake(
        "offsets that begin again are not told apart by names",
        "batch/archives/zips.py",
        "            if name == record.raw:\n",
        "            if lengths:\n",
        "tests/unit/batch/archives/test_zips.py",
    ),
)
