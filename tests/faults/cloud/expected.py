"""What a simulation may have come to, for the checker to hold it to."""

import json
from collections.abc import Callable
from typing import Any

from domain.keys import OUTBOX, JobName, result_key
from tests.faults.simulation.checker import Expect, Verdict, check, check_report
from tests.faults.simulation.simulation import EPOCH, Simulation
from tests.support.worlds.uploads import what_is_on

Models = Callable[[str], frozenset[str]]


def verdict_on(simulation: Simulation, models: Models | None = None) -> Verdict:
    """`models(key)` may have answered; if it is not said, as `may_have_answered` has it."""
    s3: Any = simulation.storage
    expect = Expect(label, models or may_have_answered(simulation))
    verdict = check(s3, "bucket", expect, threads=1)
    for folder in states(simulation):
        check_report(s3, "bucket", folder, verdict)
    verdict.misreported = [
        key for key in verdict.misreported if not _is_by_a_sweep_given_up(simulation, key)
    ]
    return verdict


def _is_by_a_sweep_given_up(simulation: Simulation, key: str) -> bool:
    """Of what such a sweep answered, tables keep the labels from before: that is no promise."""
    stored = simulation.storage.objects.get(result_key(key))
    told = json.loads(stored.body) if stored else {}
    lives = simulation.doors.given_up
    if told.get("job"):
        return JobName.parse(told["job"]).nonce in lives
    at = told.get("classified_at", "")  # a page that asked the endpoint, in place of another model
    return "previous" in told and any(began <= at <= end for began, end in lives.values())


def label(body: bytes) -> str | None:
    return None if body.startswith(b"junk") else what_is_on(body)


def may_have_answered(simulation: Simulation) -> Models:
    """The active model; and any, of an image that was there before the pointer last moved.

    Those are what a reclassification is for. The same bytes dropped into a folder again keep
    the answer they have; a single is answered anew.
    """

    def models(key: str) -> frozenset[str]:
        stored = simulation.storage.objects[key]
        since = (stored.last_modified - EPOCH).total_seconds()
        if key.count("/") > 1:
            since = simulation.storage.first_seen[key, stored.version_id]
        others = range(1, simulation.latest + 1) if since < simulation.moved_at else ()
        return frozenset({*map(_name, others), *by_the_active_model(simulation)(key)})

    return models


def by_the_active_model(simulation: Simulation) -> Models:
    only = frozenset({_name(simulation.doors.active_number)})
    return lambda key: only


def _name(number: int) -> str:
    return f"pets:{number}"


def states(simulation: Simulation) -> dict[str, str]:
    """Each folder's, by its name."""
    return {
        key.split("/")[1]: told["state"]
        for key, told in _statuses(simulation).items()
        if not key.startswith(f"{OUTBOX}_")  # sweeps, and singles that have no folder
    }


def notices(simulation: Simulation) -> dict[str, dict[str, Any]]:
    """Each by its id; whatever comes again says the same."""
    found: dict[str, dict[str, Any]] = {}
    for detail in simulation.events.details:
        assert found.setdefault(detail["id"], detail) == detail
    return found


def untold(simulation: Simulation) -> set[str]:
    """Folders, and sweeps with a report, of whose end no notice came."""
    of_sweeps = f"{OUTBOX}_reclassify/"
    ended = {f"inbox/{folder}/" for folder in states(simulation)}
    ended |= {
        json.loads(stored.body)["run"]
        for key, stored in simulation.storage.objects.items()
        if key.startswith(of_sweeps) and key.endswith("/_summary.json")
    }
    told = notices(simulation).values()
    given_up = set(simulation.doors.given_up)
    return ended - {each["prefix"] for each in told} - {each["run"] for each in told} - given_up


def last_renewal(simulation: Simulation) -> str:
    """Its state."""
    renewals = [told for told in _statuses(simulation).values() if told.get("kind") == "renewal"]
    return str(max(renewals, key=lambda told: str(told["started_at"]))["state"])


def _statuses(simulation: Simulation) -> dict[str, dict[str, Any]]:
    files = simulation.storage.objects.items()
    return {key: json.loads(v.body) for key, v in files if key.endswith("/_status.json")}
