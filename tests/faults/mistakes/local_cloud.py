"""Mistakes in what makes a local cloud survive."""

from tests.faults.mistakes.product import UNIT, Mistake

QUEUES = "infra/local/persistence/queues.py"
DATABASE = "infra/local/persistence/state_database.py"
TORN_WRITES = "infra/local/persistence/torn_writes.py"
DISK = "infra/local/persistence/disk.py"
OF_QUEUES = f"{UNIT}/infra/local/persistence/test_queues.py"
OF_DATABASE = f"{UNIT}/infra/local/persistence/test_state_database.py"
OF_TORN_WRITES = f"{UNIT}/infra/local/persistence/test_torn_writes.py"
OF_DISK = f"{UNIT}/infra/local/persistence/test_disk.py"

_PLANTED = (
    (
        "a message that arrives while another is deleted is lost",
        QUEUES,
        ' or self._numbers.get(message["id"], 0) > last',
        "",
        OF_QUEUES,
    ),
    (
        "who looks through a queue misses a message while another is deleted",
        QUEUES,
        "            return iter(list(super().__iter__()))\n",
        "            return super().__iter__()\n",
        OF_QUEUES,
    ),
    (
        "a deleted message comes back",
        QUEUES,
        "        self._store.remove(self._queue, gone)\n",
        "",
        OF_QUEUES,
    ),
    (
        "a message of a function that ended waits for half an hour",
        QUEUES,
        '            if message.get("receive_count"):\n',
        "            if False:\n",
        OF_QUEUES,
    ),
    (
        "services are saved one by one",
        DATABASE,
        '        self._db.execute("BEGIN IMMEDIATE")\n',
        '        self._db.execute("BEGIN IMMEDIATE")\n        self._db.execute("COMMIT")\n',
        OF_DATABASE,
    ),
    (
        "half an object replaces the one before",
        TORN_WRITES,
        "        part.replace(bytes_at)\n",
        "        part.unlink()\n",
        OF_TORN_WRITES,
    ),
    (
        "an upload takes the reserve",
        DISK,
        "free - self._under_way - size < RESERVE_BYTES",
        "free - self._under_way - size < 0",
        OF_DISK,
    ),
    (
        "a write that failed is answered as done",
        DISK,
        "            if has_begun or not failures:\n",
        "            if True:\n",
        OF_DISK,
    ),
    (
        "up does not wait for an endpoint under maintenance",
        "infra/models/endpoint.py",
        'if status in ("Creating", "SystemUpdating"):',
        'if status == "Creating":',
        f"{UNIT}/infra/models/test_activate.py",
    ),
    (
        "the next shell speaks to the first cloud",
        "infra/local/account.py",
        "        VARIABLE: str(place.root),\n",
        "",
        f"{UNIT}/infra/local/test_place.py",
    ),
    (
        "a cloud that is down is spoken to",
        "cli/stages.py",
        "        if place.holder() is None:\n",
        "        if False:\n",
        f"{UNIT}/cli/test_commands.py::test_a_local_cloud_that_is_not_up_is_a_sentence",
    ),
)

OF_THE_LOCAL_CLOUD = tuple(Mistake(*each) for each in _PLANTED)
