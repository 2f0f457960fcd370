"""Steps that make the stage and remove it. What is not this run's is never touched."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from aws.bucket import Bucket
from domain import keys
from infra.diagnostics.doctor import CheckContext, run_checks
from infra.models.activate import activate_archive
from infra.models.image_choice import for_training
from infra.shipped import Variant
from infra.stacks import deploy, remove
from infra.stage import Stage
from infra.verify.runner import CleanUp
from infra.verify.state import RunState
from infra.verify.step import KEY_PREFIX, Site, Step, StepFailed, Usage, require

ENDPOINT_MINUTES = 2.0

BEFORE_DATA = ("deploy/", keys.WORK)
"""What a deployment alone puts into the bucket."""

MARKER = f"{keys.WORK}verify.txt"
"""Names the run that made the stage."""


class NotOurStageError(StepFailed):
    """The stage is somebody's: nothing of it was touched."""


def steps(state: RunState) -> list[Step]:
    return [
        Step(
            name="deploy",
            requested="two CloudFormation stacks, with the deployment's default settings",
            expected="both stacks are complete",
            usage=Usage(minutes=4, most_minutes=30),
            act=lambda site: deployment(site, state.run),
            needs=("quotas",),
        ),
        Step(
            name="image",
            requested="the container's images for serving and for training, by CodeBuild",
            expected="ECR has both, in a form that SageMaker runs",
            usage=Usage(minutes=9, most_minutes=120, is_build=True),
            act=images,
            needs=("deploy",),
        ),
        Step(
            name="model",
            requested="promote --bundled: the bundled ImageNet model on an endpoint",
            expected="the model is active and the endpoint InService",
            usage=Usage(minutes=5, most_minutes=60, machines=1),
            act=bundled_model,
            needs=("image",),
        ),
        Step(
            name="doctor",
            requested="every check of the doctor",
            expected="nothing is missing",
            usage=Usage(minutes=0.1, most_minutes=2, machines=1),
            act=doctor,
            needs=("model",),
        ),
    ]


def resume(site: Site, state: RunState) -> RunState:
    """Where the run goes on from: its beginning, where its stage was removed meanwhile.

    Raises NotOurStageError where the stage, or its bucket, stands and this run made neither.
    """
    stage = site.stage
    bucket, cloudformation = _bucket(site), site.client("cloudformation")
    stacks = [deploy.status_of(cloudformation, name) for name in (stage.storage_stack, stage.stack)]
    stands = bucket is not None or any(stacks)
    if not stands:
        return replace(state, passed={})
    if state.is_ours and (bucket is None or _is_ours(site, bucket, state.run)):
        return state
    raise NotOurStageError(
        f"Stage {stage.name} exists already, and an acceptance run makes and removes a stage of "
        "its own: nothing was touched. Name one that does not exist with --stage, or remove this "
        f"one first: `./sortbox remove --stage {stage.name} --bucket delete`."
    )


def deployment(site: Site, run: str) -> str:
    deploy.deploy(site.stage)
    site.client("s3").put_object(Bucket=site.stage.bucket, Key=MARKER, Body=run.encode())
    return f"{site.stage.storage_stack} and {site.stage.stack} are deployed"


def images(site: Site) -> str:
    variants: tuple[Variant, ...] = ("serve", for_training(site.stage.endpoint_instance_type))
    uris = {variant: site.image_for(variant) for variant in variants}
    return ", ".join(f"{variant}: {uri}" for variant, uri in uris.items())


def bundled_model(site: Site) -> str:
    active = activate_archive(site.stage, site.bundled(), site.image_for("serve"), keep=False)
    return f"{active.id} is active on {active.endpoint}"


def doctor(site: Site) -> str:
    """Once the endpoint is in service: it may come back up where a run is resumed."""
    name, sagemaker = site.stage.endpoint, site.client("sagemaker")

    def is_settled() -> bool | None:
        status = sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]
        return True if status in ("InService", "Failed") else None

    site.wait(is_settled, f"the endpoint {name} in service", ENDPOINT_MINUTES)
    context = CheckContext(site.stage, site.image_for("serve"), site.client)
    return require(list(run_checks(context)))


def clean_ups(run: str) -> list[CleanUp]:
    """In this order: what bills by the hour comes first, what holds data last."""
    parts = [CleanUp(name, partial(_remove, act)) for name, act in remove.PARTS]
    return [*parts, CleanUp("bucket and queues", lambda site: _remove_storage(site, run))]


def _remove(act: Callable[[Stage], None], site: Site) -> str:
    act(site.stage)
    return "gone"


def _remove_storage(site: Site, run: str) -> str:
    """Only the run's own bucket, and only if nobody has put anything beside what the run put."""
    bucket = _bucket(site)
    if bucket is not None and not _is_ours(site, bucket, run):
        raise NotOurStageError(
            "The bucket holds what this run did not write: it was kept. "
            f"`./sortbox remove --stage {site.stage.name} --bucket delete` deletes it."
        )
    clients = [site.client(name) for name in ("s3", "sqs", "cloudformation")]
    remove.delete_storage(site.stage, bucket, *clients)
    return "gone"


def _bucket(site: Site) -> str | None:
    """The stage's, by its name: it may have outlived its stack."""
    account = site.client("sts").get_caller_identity()["Account"]
    s3 = site.client("s3")
    return remove.find_bucket(s3, site.stage, account, s3.meta.region_name)


def _is_ours(site: Site, name: str, run: str) -> bool:
    """Whether the run named itself in it; before it came to that, whether it holds no data yet."""
    bucket = Bucket(site.client("s3"), name)
    stored = bucket.read(MARKER)
    if stored is None:
        return all(item.key.startswith(BEFORE_DATA) for item in bucket.walk(""))
    uploads = bucket.walk(keys.INBOX)
    prefix = keys.INBOX + KEY_PREFIX
    return stored.body.decode() == run and all(item.key.startswith(prefix) for item in uploads)
