"""Request members for SageMaker's managed Debugger, for accounts that still have it.

AWS has closed it to new customers. The container's own rules and reports do not need it; with it,
the job also has DebugRuleEvaluationStatuses and ProfilerRuleEvaluationStatuses.
"""

import warnings
from typing import Any

from training.config import hook_config
from training.config.train_config import TrainConfig

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # emitted by its dependencies
    from sagemaker.core.debugger import (
        CollectionConfig,
        DebuggerHookConfig,
        ProfilerConfig,
        ProfilerRule,
        Rule,
        get_rule_container_image_uri,
        rule_configs,
    )
    from sagemaker.train import ModelTrainer

MONITOR_MILLISECONDS = 500
VERBATIM_MAPS = frozenset({"rule_parameters", "collection_parameters", "hook_parameters"})
"""Maps whose keys are not renamed."""

RULES = (
    rule_configs.loss_not_decreasing,
    rule_configs.overfit,
    rule_configs.overtraining,
    rule_configs.vanishing_gradient,
    rule_configs.exploding_tensor,
    rule_configs.dead_relu,
    rule_configs.poor_weight_initialization,
    rule_configs.class_imbalance,
    rule_configs.all_zero,
    rule_configs.stalled_training_rule,
)


class ManagedTrainer(ModelTrainer):  # type: ignore[misc]
    """The SDK's trainer has no argument for Debugger, so its request is extended."""

    extra_request: dict[str, Any]

    def _create_training_job_args(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        request: dict[str, Any] = super()._create_training_job_args(*args, **kwargs)
        return {**request, **self.extra_request}


def request_members(config: TrainConfig, output: str, region: str) -> dict[str, Any]:
    """Members of CreateTrainingJob; `output`: s3://…, below which tensors and profiles go."""
    interval_steps = config.debug_interval or (
        hook_config.HEAD_INTERVAL if config.unfreeze == "head" else hook_config.NETWORK_INTERVAL
    )
    collections = [
        CollectionConfig(
            name=collection["CollectionName"], parameters=collection["CollectionParameters"]
        )
        for collection in hook_config.collections(interval_steps)
    ]
    hook = DebuggerHookConfig(s3_output_path=output, collection_configs=collections)
    rules = [Rule.sagemaker(rule()) for rule in RULES]
    profiler_rule = ProfilerRule.sagemaker(rule_configs.ProfilerReport())
    for rule in [*rules, profiler_rule]:
        rule.image_uri = get_rule_container_image_uri(rule.name, region)
    for rule in rules:
        if config.stop_on == "any" or rule.name in config.stop_on.split(","):
            rule.rule_parameters["action_json"] = rule_configs.StopTraining().serialize()
    profiler = ProfilerConfig(
        s3_output_path=output, system_monitor_interval_millis=MONITOR_MILLISECONDS
    )
    return {
        "DebugHookConfig": hook._to_request_dict(),
        "DebugRuleConfigurations": [rule.to_debugger_rule_config_dict() for rule in rules],
        "ProfilerConfig": profiler._to_request_dict(),
        "ProfilerRuleConfigurations": [profiler_rule.to_profiler_rule_config_dict()],
    }


def trainer_members(config: TrainConfig, output: str, region: str) -> dict[str, Any]:
    """The same members in the names of the SDK's trainer."""
    members: dict[str, Any] = _snake_case(request_members(config, output, region))
    return members


def _snake_case(value: Any) -> Any:
    """S3OutputPath becomes s3_output_path."""
    if isinstance(value, list):
        return [_snake_case(element) for element in value]
    if not isinstance(value, dict):
        return value
    named = {_snake(name): item for name, item in value.items()}
    return {
        name: entry if name in VERBATIM_MAPS else _snake_case(entry)
        for name, entry in named.items()
    }


def _snake(name: str) -> str:
    plain = name.replace("S3", "S3_").replace("InGB", "InGb")
    return "".join(
        f"_{letter.lower()}" if letter.isupper() and at and plain[at - 1] != "_" else letter.lower()
        for at, letter in enumerate(plain)
    )
