"""Mistakes in dropping images into the inbox from a page."""

from tests.faults.mistakes.product import Mistake

TESTS = "tests/unit/console/uploads/test_drop.py"

OF_THE_UPLOADS = (
    Mistake(
        "a large file is written over what somebody else has put there",
        "console/uploads/large.py",
        '        condition: Any = {"IfMatch": f\'"{etag}"\'} if etag else {"IfNoneMatch": "*"}\n',
        "        condition: Any = {}\n",
        f"{TESTS}::test_parts_of_another_content_are_not_mixed_in",
    ),
    Mistake(
        "parts of two contents of one name share an upload",
        "console/uploads/large.py",
        '        content = f"{self.key}\\0{self.size}\\0{self.fingerprint}"\n',
        "        content = self.key\n",
        f"{TESTS}::test_parts_of_another_content_are_not_mixed_in",
    ),
    Mistake(
        "a large file is put together although parts of it are missing",
        "console/uploads/large.py",
        "        if len(parts) < part_count(file.size):\n",
        "        if not parts:\n",
        f"{TESTS}::test_a_large_file_goes_on_from_the_parts_that_s3_has",
    ),
    Mistake(
        "a file of the same size counts as the same",
        "console/uploads/content.py",
        "        return head.metadata[METADATA] == fingerprint\n",
        "        return True\n",
        f"{TESTS}::test_a_file_that_is_there_is_known_by_its_content",
    ),
    Mistake(
        "a file that changes while it is sent is stored",
        "console/uploads/routes.py",
        "    if digest != sha256:\n",
        "    if False:\n",
        f"{TESTS}::test_what_is_not_sent_as_the_page_sends_it_is_refused",
    ),
    Mistake(
        "a name that leads out of its folder is a key",
        "console/uploads/paths.py",
        '    if any(segment in ("", ".", "..") for segment in path.split("/")):\n',
        "    if False:\n",
        "tests/unit/console/uploads/test_paths.py",
    ),
)
