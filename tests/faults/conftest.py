"""A deployed cloud of one's own, since roles, endpoints and queues are tampered with here."""

from tests.flow.conftest import activate, cloud, knobs, live, running

__all__ = ["activate", "cloud", "knobs", "live", "running"]
