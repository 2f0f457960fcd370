"""SageMaker's own Debugger, for accounts that still have it: what a request asks of it.

AWS has closed it to new customers. The container's rules and reports are there with it and without;
with it, the job also shows DebugRuleEvaluationStatuses and ProfilerRuleEvaluationStatuses.
"""

import warnings
from typing import Any

from training.config import hook_config
from training.config.train_config import TrainConfig

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its dependencies compile with them
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

MILLISECONDS = 500
MAPS = frozenset({"rule_parameters", "collection_parameters", "hook_parameters"})
"""Their keys are not ours to rename."""

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


class Managed(ModelTrainer):  # type: ignore[misc]
    """The SDK's trainer, whose request has room for Debugger but no argument for it."""

    asks: dict[str, Any]

    def _create_training_job_args(self, *given: Any, **named: Any) -> dict[str, Any]:
        request: dict[str, Any] = super()._create_training_job_args(*given, **named)
        return {**request, **self.asks}


def request(told: TrainConfig, output: str, region: str) -> dict[str, Any]:
    """Members of CreateTrainingJob; `output`: s3://…, below which tensors and profiles go."""
    every = told.debug_interval or (
        hook_config.HEAD if told.unfreeze == "head" else hook_config.WHOLE
    )
    collections = [
        CollectionConfig(name=each["CollectionName"], parameters=each["CollectionParameters"])
        for each in hook_config.collections(every)
    ]
    hook = DebuggerHookConfig(s3_output_path=output, collection_configs=collections)
    rules = [Rule.sagemaker(rule()) for rule in RULES]
    profiler_rule = ProfilerRule.sagemaker(rule_configs.ProfilerReport())
    for rule in [*rules, profiler_rule]:
        rule.image_uri = get_rule_container_image_uri(rule.name, region)
    for rule in rules:
        if told.stop_on == "any" or rule.name in told.stop_on.split(","):
            rule.rule_parameters["action_json"] = rule_configs.StopTraining().serialize()
    profiler = ProfilerConfig(s3_output_path=output, system_monitor_interval_millis=MILLISECONDS)
    return {
        "DebugHookConfig": hook._to_request_dict(),
        "DebugRuleConfigurations": [rule.to_debugger_rule_config_dict() for rule in rules],
        "ProfilerConfig": profiler._to_request_dict(),
        "ProfilerRuleConfigurations": [profiler_rule.to_profiler_rule_config_dict()],
    }


def asks(told: TrainConfig, output: str, region: str) -> dict[str, Any]:
    """The same as the SDK's trainer wants it."""
    found: dict[str, Any] = _in_the_sdks_words(request(told, output, region))
    return found


def _in_the_sdks_words(value: Any) -> Any:
    """S3OutputPath becomes s3_output_path: the SDK's two halves do not speak alike."""
    if isinstance(value, list):
        return [_in_the_sdks_words(each) for each in value]
    if not isinstance(value, dict):
        return value
    named = {_snake(name): each for name, each in value.items()}
    return {
        name: each if name in MAPS else _in_the_sdks_words(each) for name, each in named.items()
    }


def _snake(name: str) -> str:
    plain = name.replace("S3", "S3_").replace("InGB", "InGb")
    return "".join(
        f"_{letter.lower()}" if letter.isupper() and at and plain[at - 1] != "_" else letter.lower()
        for at, letter in enumerate(plain)
    )
