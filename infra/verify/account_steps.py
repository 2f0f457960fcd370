"""Steps that only read the account: identity, region and quotas. They create nothing."""

from infra.diagnostics.doctor import CheckContext, run_checks
from infra.verify.step import Site, Step, StepFailed, Usage, require

QUICK = Usage(minutes=0.1, most_minutes=2)


def steps() -> list[Step]:
    return [
        Step(
            name="identity",
            requested="GetCallerIdentity",
            expected="AWS accepts the credentials",
            usage=QUICK,
            act=identity,
            is_repeated=True,
        ),
        Step(
            name="region",
            requested="the region of the session",
            expected="one region for every service",
            usage=QUICK,
            act=region,
            needs=("identity",),
            is_repeated=True,
        ),
        Step(
            name="quotas",
            requested="ListServiceQuotas, ListAWSDefaultServiceQuotas",
            expected="machines for an endpoint and its update, a transform job and a training job",
            usage=QUICK,
            act=quotas,
            needs=("region",),
            is_repeated=True,
        ),
    ]


def identity(site: Site) -> str:
    return _check(site, "credentials")


def region(site: Site) -> str:
    """Each service's client is checked, because a profile can set the region of a single
    service.
    """
    regions = {site.client(name).meta.region_name for name in ("s3", "sagemaker", "cloudformation")}
    if len(regions) != 1:
        raise StepFailed(f"the services are in different regions: {', '.join(sorted(regions))}.")
    return str(regions.pop())


def quotas(site: Site) -> str:
    return _check(site, "quota")


def _check(site: Site, name: str) -> str:
    return require(list(run_checks(CheckContext(site.stage, None, site.client), [name])))
