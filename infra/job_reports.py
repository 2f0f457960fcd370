"""The reports of a training job: fetched from its output.tar.gz, kept below build/reports/."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from aws.errors import is_absent
from domain import keys
from domain.archive import ArchiveError, members
from domain.errors import SortboxError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


REPORTS = Path("build/reports")

PROFILER_REPORT = "ProfilerReport/profiler-output/profiler-report"
REPORT_FILES = frozenset({"report.html", "report.json", "predictions.csv", "trials.json"})
REPORT_FILES |= {"findings.csv", "findings.json"}
REPORT_FILES |= {"debug.html", "debug.json", f"{PROFILER_REPORT}.html", f"{PROFILER_REPORT}.json"}
"""The files that are extracted from output.tar.gz; others are ignored."""

REPORT_BYTES = 256 * 2**20


class ReportsError(SortboxError):
    """The reports of a job cannot be unpacked or written; the message is for the user."""


def fetch_once(s3: "S3Client", bucket: str, job: str) -> Path | None:
    """The folder of a job's reports, fetched if it is not here; None if the job wrote none."""
    folder = REPORTS / job
    if not (folder / "report.html").is_file() and not fetch(s3, bucket, job):
        return None
    return folder


def fetch(s3: "S3Client", bucket: str, job: str, below: Path = REPORTS) -> list[Path]:
    """The downloaded reports; none if the job wrote none. Raises ReportsError.

    report.html comes last: where it is, all of them are, also after an interrupt.
    """
    try:
        return _fetch(s3, bucket, job, below)
    except OSError as error:
        raise ReportsError(
            f"The reports of {job} cannot be written to {below / job}: {error.strerror}. Fetch "
            f"them from another folder, with --attach {job}."
        ) from error


def _fetch(s3: "S3Client", bucket: str, job: str, below: Path) -> list[Path]:
    folder, key = below / job, f"{keys.TRAINING_JOBS}/{job}/output/output.tar.gz"
    below.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".", dir=below) as name:
        scratch = Path(name)
        archive = scratch / "output.tar.gz"
        try:
            s3.download_file(bucket, key, str(archive))
        except ClientError as error:
            if not is_absent(error):
                raise
            return []
        try:
            reports = _extract(archive, scratch / "reports")
        except ArchiveError as error:
            raise ReportsError(f"The reports of {job} cannot be unpacked: {error}.") from error
        for report in sorted(reports, key=lambda report: report == "report.html"):
            (folder / report).parent.mkdir(parents=True, exist_ok=True)
            (scratch / "reports" / report).replace(folder / report)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _extract(archive: Path, folder: Path) -> list[str]:
    """The names of the reports that are in the archive. Raises ArchiveError."""
    names = []
    with archive.open("rb") as packed:
        for member, content in members(packed, archive.stat().st_size):
            if member.name in REPORT_FILES and member.size <= REPORT_BYTES:
                (folder / member.name).parent.mkdir(parents=True, exist_ok=True)
                with (folder / member.name).open("wb") as file:
                    file.writelines(content)
                names.append(member.name)
    return names
