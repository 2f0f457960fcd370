"""The page of models: promote, renew answers, roll back, and what was before."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from aws import active_model
from aws.active_model import PreviousModel
from console.actions.routes import runner_of
from console.actions.runner import Runner
from console.actions.verbs import JOB
from console.context import Console
from console.models.versions import Versions
from console.web.events import Hub
from console.web.rendering import page
from domain.model import ActiveModel, ModelId

SHOWN_MOVES = 20
SHOWN_RUNS = 10
SHOWN_CANDIDATES = 30
VERBS = ("preview", "promote", "rollback", "reclassify", "halt")


@dataclass(frozen=True, slots=True)
class ModelPages:
    console: Console
    runner: Runner
    versions: Versions

    def page(self, request: Request) -> Response:
        """A GET for each move of the pointer that is shown, and two requests for each version."""
        s3, bucket = self.console.bucket.client, self.console.bucket.name
        catalog = self.console.catalog
        active = active_model.read(s3, bucket).active
        earlier = active_model.before(s3, bucket) if active else None
        versions, has_more = self.versions.rows()
        jobs, _ = catalog.rows("jobs")
        completed = [
            row for row in jobs if row["kind"] == "training" and row["status"] == "Completed"
        ]
        runs, _ = catalog.rows("runs")
        return page(
            request,
            "models/models.html.jinja",
            title="Models",
            action=self.runner.latest(*VERBS),
            verbs=VERBS,
            active=active,
            earlier=earlier,
            rollback_text=_rollback_text(active, earlier),
            candidates=completed[:SHOWN_CANDIDATES],
            job=_named_job(request),
            versions=versions,
            has_more=has_more,
            moves=active_model.history(s3, bucket, SHOWN_MOVES),
            runs=[row for row in runs if row["kind"] != "folder"][:SHOWN_RUNS],
        )


def _named_job(request: Request) -> str:
    job = request.query_params.get("job", "")
    return job if JOB.fullmatch(job) else ""


def _rollback_text(active: ActiveModel | None, earlier: PreviousModel | None) -> str:
    """What happens, before it does."""
    if active is None or earlier is None:
        return ""
    now, then = name_of(active.id), name_of(earlier.active.id)
    return (
        f"{then} becomes active again, in place of {now}. What {now} has answered becomes stale, "
        f"and stays until a reclassification renews it. A second rollback goes back one model "
        "further."
    )


def name_of(model: ModelId) -> str:
    return f"{model.name}:{model.version}"


def routes(console: Console, hub: Hub) -> list[BaseRoute]:
    pages = ModelPages(console, runner_of(console), Versions(console))
    return [Route("/models", pages.page)]
