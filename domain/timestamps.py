"""The timestamp format of everything that users and scripts read: `2026-11-22T09:00:00Z`.

Always UTC with a resolution of one second, so that timestamps sort as text. Internal timestamps
that need a finer resolution (leases, rows of a result page) are ISO 8601 with fractions.
"""

from datetime import UTC, datetime


def to_text(moment: datetime) -> str:
    """Format `moment` (timezone-aware); fractions of a second are truncated."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def parse(text: str) -> datetime:
    """Parse a timestamp into an aware datetime in UTC.

    Also accepts other ISO 8601 formats, which earlier versions wrote; without a time zone they are
    taken as UTC. Raises ValueError.
    """
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
