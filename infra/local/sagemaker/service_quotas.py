"""Service Quotas: the account's SageMaker quotas, as `./sortbox doctor` reads them.

In AWS it is a separate API with its own endpoint; here it is part of the local SageMaker, which
enforces the same values. No quota has an applied value of its own, so ListServiceQuotas returns the
same as ListAWSDefaultServiceQuotas (in AWS, by botocore's model, the former omits a quota without
an applied value, so clients must call the latter too, which works here as well).
"""

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

from botocore.model import StringShape

from infra.local.accounts import Account
from infra.local.sagemaker.core.errors import (
    NoSuchResourceException,
    UnknownOperationException,
    ValidationException,
)
from infra.local.sagemaker.core.machines import Use
from infra.local.sagemaker.core.resources import ACCOUNT
from infra.local.sagemaker.core.shapes import service
from infra.local.sagemaker.core.store import Record

TARGET = "ServiceQuotasV20190624."
PAGE_SIZE = 100
"""The maximum and the default of MaxResults."""

SERVICES = {"sagemaker": "Amazon SageMaker", "codebuild": "AWS CodeBuild"}

BUILD_SIZES = ("Small", "Medium", "Large", "2XLarge")
"""CodeBuild's compute sizes, each with its own quota (AWS General Reference, CodeBuild quotas)."""

INSTANCE_TYPES: Mapping[Use, str] = {
    "endpoint usage": "ProductionVariantInstanceType",
    "transform job usage": "TransformInstanceType",
    "training job usage": "TrainingInstanceType",
    "spot training job usage": "TrainingInstanceType",
}
"""The enumeration in SageMaker's model with the instance types, by use."""


class ServiceQuotas:
    def __init__(self, account: Account, region: str) -> None:
        self._account = account
        self._region = region

    def perform(self, name: str, request: Mapping[str, Any]) -> Record:
        """Perform an operation. Raises ApiError."""
        operations: Mapping[str, Callable[[Mapping[str, Any]], Record]] = {
            "ListServiceQuotas": self.list,
            "ListAWSDefaultServiceQuotas": self.list,
        }
        if name not in operations:
            raise UnknownOperationException(f"The local Service Quotas does not know {name!r}.")
        if request.get("ServiceCode") not in SERVICES:
            raise NoSuchResourceException("The request failed because the specified service "
                                          "does not exist.")  # fmt: skip
        return operations[name](request)

    def list(self, request: Mapping[str, Any]) -> Record:
        quotas = list(self._quotas(request["ServiceCode"]))
        size = request.get("MaxResults", PAGE_SIZE)
        try:
            begin = int(request.get("NextToken", "0"))
        except ValueError as error:
            raise ValidationException("Invalid NextToken.") from error
        answer: Record = {"Quotas": quotas[begin : begin + size]}
        if begin + size < len(quotas):
            answer["NextToken"] = str(begin + size)
        return answer

    def _quotas(self, service_code: str) -> Iterator[Record]:
        if service_code == "codebuild":
            for size in BUILD_SIZES:
                yield self._quota(
                    f"Concurrently running builds for Linux/{size} environment", service_code
                )
            return
        for use in get_args(Use):
            shape = service().shape_for(INSTANCE_TYPES[use])
            assert isinstance(shape, StringShape)
            for instance_type in shape.enum:
                yield self._quota(f"{instance_type} for {use}", service_code)

    def _quota(self, name: str, service_code: str) -> Record:
        code = f"L-{zlib.crc32(name.encode()):08X}"
        return {
            "ServiceCode": service_code,
            "ServiceName": SERVICES[service_code],
            "QuotaArn": f"arn:aws:servicequotas:{self._region}:{ACCOUNT}:{service_code}/{code}",
            "QuotaCode": code,
            "QuotaName": name,
            "Value": float(self._account.quota(name)),
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }
