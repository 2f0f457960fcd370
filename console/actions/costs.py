"""What an action costs at most, said before it starts."""

from console.actions.verbs import Fields, hyperparameter_words, max_hours
from console.context import Console
from domain.instance import DEFAULT_TYPE, PARALLEL_TRIALS
from infra.diagnostics import findings
from infra.diagnostics.cost import Prices, load_prices
from infra.diagnostics.most_cost import nothing, of_endpoint
from infra.endpoint_settings import EndpointSettings
from training.config.train_config import TrainConfig
from training.launch.limits import Limit, of_search

TRAINS = ("train", "tune", "train-corrections")


def cost_of(console: Console, verb: str, values: Fields) -> str:
    """A sentence; empty for what costs requests only. Raises FieldError and TrainingFailed."""
    if verb not in (*TRAINS, "reclassify", "promote", "rollback"):
        return ""
    prices = load_prices()
    if not console.is_billed:
        return nothing(prices).sentence
    match verb:
        case "reclassify" if values.get("dry_run"):
            return "A dry run costs a request or two for each image, and starts nothing."
        case "reclassify":
            return "The dry run says what it costs, and how many images it counts."
        case "promote" | "rollback":
            active = findings.active(console.sources)
            mode = active.mode if active else "instance"
            settings = EndpointSettings(mode)
            return of_endpoint(prices, console.stage.endpoint_instance_type, settings).sentence
    return _training(verb, values, prices)


def _training(verb: str, values: Fields, prices: Prices) -> str:
    hyperparameter_words(values, ranges=True)
    instance_type = values.get("instance_type") or DEFAULT_TYPE
    limit = Limit(max_hours(values), instance_type, values.get("spot") == "on")
    if verb == "tune" or values.get("tune") == "on":
        trials = int(values.get("trials") or TrainConfig().trials)
        limit = of_search(limit, trials, PARALLEL_TRIALS, values.get("in_one_job") == "on")
    return limit.sentence(prices)
