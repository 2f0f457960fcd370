"""The model registry: groups, and their numbered versions with approval, metrics and lineage."""

from collections.abc import Iterable

from infra.local.sagemaker.containers.images import ContainerImages
from infra.local.sagemaker.core import listing
from infra.local.sagemaker.core.errors import ConflictException, ValidationException
from infra.local.sagemaker.core.operations import Request, Table
from infra.local.sagemaker.core.resources import MODEL_PACKAGE, MODEL_PACKAGE_GROUP
from infra.local.sagemaker.core.store import Record, Store


class ModelPackages:
    def __init__(self, store: Store, images: ContainerImages) -> None:
        self._store = store
        self._images = images

    @property
    def operations(self) -> Table:
        return {
            "CreateModelPackageGroup": self.create_group,
            "DescribeModelPackageGroup": self.describe_group,
            "DeleteModelPackageGroup": self.delete_group,
            "ListModelPackageGroups": self.list_groups,
            "CreateModelPackage": self.create,
            "DescribeModelPackage": self.describe,
            "UpdateModelPackage": self.update,
            "DeleteModelPackage": self.delete,
            "ListModelPackages": self.list,
        }

    def create_group(self, request: Request) -> Record:
        status = {"ModelPackageGroupStatus": "Completed", "LatestVersion": 0}
        return self._store.create(MODEL_PACKAGE_GROUP, {**request, **status})

    def describe_group(self, request: Request) -> Record:
        return self._group(request["ModelPackageGroupName"])

    def delete_group(self, request: Request) -> Record:
        name = self._group(request["ModelPackageGroupName"])["ModelPackageGroupName"]
        if any(self._versions_of(name)):
            raise ConflictException(
                f"Model Package Group {name} cannot be deleted because it contains Model Packages."
            )
        self._store.delete(MODEL_PACKAGE_GROUP, name)
        return {}

    def list_groups(self, request: Request) -> Record:
        return listing.page(MODEL_PACKAGE_GROUP, self._store.all(MODEL_PACKAGE_GROUP), request)

    def create(self, request: Request) -> Record:
        """Create a version. Numbers are not used again, even after a version was deleted."""
        group = self._group(_group_of(request))
        for container in request.get("InferenceSpecification", {}).get("Containers", []):
            self._images.find(container.get("Image", ""))
        name, number = group["ModelPackageGroupName"], group["LatestVersion"] + 1
        for package in self._versions_of(name):  # a client that retries sends the same token
            if package.get("ClientToken", "") == request.get("ClientToken"):
                return package
        self._store.update(MODEL_PACKAGE_GROUP, name, LatestVersion=number)
        return self._store.create(
            MODEL_PACKAGE,
            {
                "ModelApprovalStatus": "PendingManualApproval",
                **request,
                "Version": f"{name}/{number}",
                "ModelPackageGroupName": name,
                "ModelPackageVersion": number,
                "ModelPackageStatus": "Completed",
                "ModelPackageStatusDetails": {"ValidationStatuses": []},
            },
        )

    def describe(self, request: Request) -> Record:
        return self._store.get(MODEL_PACKAGE, _name(request["ModelPackageName"]))

    def update(self, request: Request) -> Record:
        version = _name(request["ModelPackageArn"])
        properties = self._store.get(MODEL_PACKAGE, version).get("CustomerMetadataProperties", {})
        removed = request.get("CustomerMetadataPropertiesToRemove", [])
        properties = properties | request.get("CustomerMetadataProperties", {})
        metadata = {name: value for name, value in properties.items() if name not in removed}
        plain = ("ModelApprovalStatus", "ApprovalDescription", "SourceUri")
        changes = {member: request[member] for member in plain if member in request}
        return self._store.update(
            MODEL_PACKAGE, version, **changes, CustomerMetadataProperties=metadata or None
        )

    def delete(self, request: Request) -> Record:
        self._store.delete(MODEL_PACKAGE, _name(request["ModelPackageName"]))
        return {}

    def list(self, request: Request) -> Record:
        packages = self._store.all(MODEL_PACKAGE)
        if "ModelPackageGroupName" in request:
            group = self._group(request["ModelPackageGroupName"])
            packages = self._versions_of(group["ModelPackageGroupName"])
        status = request.get("ModelApprovalStatus")
        matching = (
            package for package in packages if status in (None, package["ModelApprovalStatus"])
        )
        return listing.page(MODEL_PACKAGE, matching, request)

    def _group(self, name_or_arn: str) -> Record:
        return self._store.get(MODEL_PACKAGE_GROUP, _name(name_or_arn))

    def _versions_of(self, group: str) -> Iterable[Record]:
        packages = self._store.all(MODEL_PACKAGE)
        return (package for package in packages if package["ModelPackageGroupName"] == group)


def _group_of(request: Request) -> str:
    match request:
        case {"ModelPackageGroupName": str(group)} if "ModelPackageName" not in request:
            return group
        case _:
            raise ValidationException(
                "The local SageMaker registers versions of a ModelPackageGroupName."
            )


def _name(name_or_arn: str) -> str:
    """The name, `pets` or `pets/7`, from a name or an ARN."""
    return name_or_arn.partition("/")[2] if name_or_arn.startswith("arn:") else name_or_arn
