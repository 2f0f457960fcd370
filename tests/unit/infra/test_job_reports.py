"""The reports of a job, and a folder that cannot hold them."""

from pathlib import Path
from typing import Any

import pytest

from infra.job_reports import ReportsError, fetch
from tests.support.fakes.aws import FakeS3


def test_a_folder_that_cannot_be_written_to_is_a_sentence(tmp_path: Path) -> None:
    """The job had ended well, and all that was said was "build: No such file or directory."."""
    (tmp_path / "build").write_text("a file")
    s3: Any = FakeS3()
    with pytest.raises(ReportsError, match=r"of pets-1 cannot be written.*--attach pets-1"):
        fetch(s3, "bucket", "pets-1", tmp_path / "build" / "reports")
