"""How a stage answers single images: the parameters of serverless.yml that its endpoint is made by.

The stack's outputs keep them (infra/stacks/endpoint.yml), so that a promotion makes the endpoint
that the deployment asked for, and a deployment that does not name them changes none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, cast

from domain.errors import SortboxError
from domain.model import ENDPOINT_MODES, EndpointMode

MEMORY_STEP_MB = 1024
MEMORY_MB = range(MEMORY_STEP_MB, 6 * MEMORY_STEP_MB + 1, MEMORY_STEP_MB)
MOST_CONCURRENT = 200
"""Of a serverless endpoint: botocore's model, ProductionVariantServerlessConfig."""


class EndpointSettingsError(SortboxError, ValueError):
    """A parameter of the endpoint is invalid; the message names it and the expected form."""


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """The fields are named as the parameters of serverless.yml; a test holds the defaults to it."""

    endpoint: EndpointMode = "instance"
    serverlessMemoryMb: int = 4096
    serverlessConcurrency: int = 10
    serverlessProvisioned: int = 0
    """Concurrency that is kept warm, and billed by the hour; 0: none."""

    @property
    def serverless(self) -> str:
        """Tells serverless configurations apart, for their names."""
        return (
            f"{self.serverlessMemoryMb} {self.serverlessConcurrency} {self.serverlessProvisioned}"
        )

    @classmethod
    def parse(cls, params: Mapping[str, Any]) -> "EndpointSettings":
        """From parameters, or from a stack's outputs of the same names; others are ignored, and
        missing ones have their defaults. Raises EndpointSettingsError.
        """
        mode = str(params.get("endpoint", cls().endpoint))
        if mode not in ENDPOINT_MODES:
            raise EndpointSettingsError(f"endpoint: {', '.join(ENDPOINT_MODES)}, not {mode!r}")
        memory = _number(params, "serverlessMemoryMb")
        if memory not in MEMORY_MB:
            sizes = ", ".join(map(str, MEMORY_MB))
            raise EndpointSettingsError(f"serverlessMemoryMb: one of {sizes}, not {memory}")
        most, warm = (
            _number(params, "serverlessConcurrency"),
            _number(params, "serverlessProvisioned"),
        )
        if not 1 <= most <= MOST_CONCURRENT:
            raise EndpointSettingsError(
                f"serverlessConcurrency: 1 to {MOST_CONCURRENT}, not {most}"
            )
        if not 0 <= warm <= most:
            raise EndpointSettingsError(
                f"serverlessProvisioned: 0 to serverlessConcurrency, {most}, not {warm}"
            )
        return cls(cast("EndpointMode", mode), memory, most, warm)


ON_AN_INSTANCE = EndpointSettings()
"""The defaults."""


def keep_deployed(
    requested: Mapping[str, object], written: Mapping[str, Any], deployed: EndpointSettings | None
) -> EndpointSettings:
    """Each parameter as `requested`, else as serverless.yml has it for the stage if that is not the
    default, else as deployed.

    A deployment that omits `--endpoint` therefore does not start an instance that bills by the
    hour. Raises EndpointSettingsError.
    """
    default = EndpointSettings()
    kept = {}
    for field in fields(EndpointSettings):
        name = field.name
        value = written.get(name, getattr(default, name))
        if deployed is not None and value == getattr(default, name):
            value = getattr(deployed, name)
        kept[name] = requested.get(name, value)
    return EndpointSettings.parse(kept)


def _number(params: Mapping[str, Any], name: str) -> int:
    text = str(params.get(name, getattr(EndpointSettings(), name)))
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise EndpointSettingsError(f"{name}: a whole number, not {text!r}")
    return int(text)
