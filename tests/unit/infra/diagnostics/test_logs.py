"""What `logs` says where it finds none."""

from pathlib import Path

import pytest

from infra.diagnostics.logs import LogError, of_files


def test_a_name_that_no_log_has_is_answered_with_the_names(tmp_path: Path) -> None:
    (tmp_path / "sagemaker.log").write_text("started\n")
    with pytest.raises(LogError, match=r"No log has 'lambda' in its name. There are: sagemaker\."):
        of_files([tmp_path], "lambda", 10, follow=False)


def test_a_cloud_that_never_was_up_has_no_logs(tmp_path: Path) -> None:
    """It said: No log has '' in its name. There are: none."""
    with pytest.raises(LogError, match=r"^There are no logs yet\.$"):
        of_files([tmp_path], "", 10, follow=False)
