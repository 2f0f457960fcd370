"""Tags of all kinds of resources, stored in their records."""

from infra.local.sagemaker.core.errors import ValidationException
from infra.local.sagemaker.core.operations import Request, Table
from infra.local.sagemaker.core.resources import KINDS, Kind
from infra.local.sagemaker.core.store import Record, Store

MAX_TAGS = 50


class Tags:
    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def operations(self) -> Table:
        return {"AddTags": self.add, "ListTags": self.list, "DeleteTags": self.delete}

    def add(self, request: Request) -> Record:
        added = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        tags = self._of(request["ResourceArn"]) | added
        if len(tags) > MAX_TAGS:
            raise ValidationException(f"A resource has at most {MAX_TAGS} tags.")
        return self._replace(request["ResourceArn"], tags)

    def list(self, request: Request) -> Record:
        """All tags on one page: a resource has at most 50."""
        return {"Tags": _as_list(self._of(request["ResourceArn"]))}

    def delete(self, request: Request) -> Record:
        tags = self._of(request["ResourceArn"])
        remaining = {key: value for key, value in tags.items() if key not in request["TagKeys"]}
        self._replace(request["ResourceArn"], remaining)
        return {}

    def _of(self, arn: str) -> dict[str, str]:
        record = self._store.get(*self._named(arn))
        return {tag["Key"]: tag["Value"] for tag in record.get("Tags", [])}

    def _replace(self, arn: str, tags: dict[str, str]) -> Record:
        self._store.update(*self._named(arn), Tags=_as_list(tags))
        return {"Tags": _as_list(tags)}

    def _named(self, arn: str) -> tuple[Kind, str]:
        slug, _, name = arn.rpartition(":")[2].partition("/")
        for kind in KINDS:
            if kind.slug == slug and kind.arn(self._store.region, name) == arn:
                return kind, name
        raise ValidationException(f"Could not find resource {arn}.")


def _as_list(tags: dict[str, str]) -> list[Record]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
