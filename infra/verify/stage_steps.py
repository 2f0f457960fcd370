"""Steps that create and remove the stage. They never touch what this run did not create."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from aws.bucket import Bucket
from domain import keys
from infra import leftovers
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
"""The prefixes that a deployment alone writes to the bucket."""

MARKER = f"{keys.WORK}verify.txt"
"""The object with the id of the run that created the stage."""


class NotOurStageError(StepFailed):
    """The stage was not created by this run; nothing was changed."""


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
    """The state to resume from, without passed steps if the stage does not exist any more.

    Raises NotOurStageError if the stage or its bucket exists and was not created by this run.
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
    """Run the doctor when the endpoint is in service, which takes time if a run is resumed."""
    name, sagemaker = site.stage.endpoint, site.client("sagemaker")

    def is_settled() -> bool | None:
        status = sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]
        return True if status in ("InService", "Failed") else None

    site.wait(is_settled, f"the endpoint {name} in service", ENDPOINT_MINUTES)
    context = CheckContext(site.stage, site.image_for("serve"), site.client)
    return require(list(run_checks(context)))


def clean_ups(run: str) -> list[CleanUp]:
    """The clean-ups in order: what is billed by the hour first, what holds data last."""
    parts = [CleanUp(name, partial(_remove, act)) for name, act in remove.PARTS]
    return [
        *parts,
        CleanUp("bucket and queues", lambda site: _remove_storage(site, run)),
        CleanUp("logs and registry", lambda site: _remove_leftovers(site, run)),
    ]


def _remove(act: Callable[[Stage], None], site: Site) -> str:
    act(site.stage)
    return "gone"


def _remove_storage(site: Site, run: str) -> str:
    """Delete the run's own bucket, if it contains nothing but what the run wrote."""
    bucket = _own_bucket(site, run)
    clients = [site.client(name) for name in ("s3", "sqs", "cloudformation")]
    remove.delete_storage(site.stage, bucket, *clients)
    return "gone"


def _remove_leftovers(site: Site, run: str) -> str:
    """What SageMaker logged for the stage, and its versions of models; images serve all stages. All
    of it is kept with a bucket that is not the run's own: that stage still needs it.
    """
    _own_bucket(site, run)
    account = leftovers.RemovedStage(site.stage, site.client)
    for leftover in leftovers.find(account, ("logs", "models")):
        if leftover.delete is None:
            raise StepFailed(leftover.sentence)
        leftover.delete()
    return "gone"


def _own_bucket(site: Site, run: str) -> str | None:
    """The bucket, None if there is none. Raises NotOurStageError if it has data of others."""
    bucket = _bucket(site)
    if bucket is not None and not _is_ours(site, bucket, run):
        raise NotOurStageError(
            "The bucket holds what this run did not write: it was kept. "
            f"`./sortbox remove --stage {site.stage.name} --bucket delete` deletes it."
        )
    return bucket


def _bucket(site: Site) -> str | None:
    """The stage's bucket, by its name, because it may exist without its stack; None if there is
    none.
    """
    account = site.client("sts").get_caller_identity()["Account"]
    s3 = site.client("s3")
    return remove.find_bucket(s3, site.stage, account, s3.meta.region_name)


def _is_ours(site: Site, name: str, run: str) -> bool:
    """Whether the bucket belongs to this run: it has the run's marker and no other uploads. Without
    a marker, whether the bucket contains no data yet.
    """
    bucket = Bucket(site.client("s3"), name)
    stored = bucket.read(MARKER)
    if stored is None:
        return all(item.key.startswith(BEFORE_DATA) for item in bucket.walk(""))
    uploads = bucket.walk(keys.INBOX)
    prefix = keys.INBOX + KEY_PREFIX
    return stored.body.decode() == run and all(item.key.startswith(prefix) for item in uploads)
