"""What people do to the inbox: uploads in their order, over singles, folders and odd names."""

from dataclasses import dataclass
from random import Random

from domain.scope import Kind


@dataclass(frozen=True)
class Upload:
    """`in_parts_since`: a multipart upload, begun so many seconds before it was completed.

    `is_told`: S3 sends its event.
    """

    key: str
    body: bytes
    in_parts_since: float | None = None
    is_told: bool = True


@dataclass(frozen=True)
class Remove:
    key: str


@dataclass(frozen=True)
class Revert:
    """Delete the newest version only."""

    key: str


@dataclass(frozen=True)
class Ready:
    key: str


@dataclass(frozen=True)
class Promote:
    """The endpoint changes to this model, and the pointer after it."""

    number: int


@dataclass(frozen=True)
class Reclassify:
    """Everything below a prefix is to be brought up to date: a schedule asks, or a person does."""

    path: str = ""
    kind: Kind = "renewal"
    is_person: bool = True


@dataclass(frozen=True)
class Halt:
    """Nothing more of the live sweep, until it is resumed; or for good."""

    for_good: bool = False


@dataclass(frozen=True)
class Poison:
    """A message of the inbox queue that is no event of S3's."""

    body: str


Touch = Upload | Remove | Revert | Ready
Act = Touch | Poison | Promote | Reclassify | Halt
Plan = list[tuple[float, Act]]

ODD = ("a b+c%.jpg", "{}//x.jpg", "line\nbreak.jpg", "ünïcode-🐈.jpg", "..", "cat", "cat (1).jpg")
POISON = (
    "poison",
    "[]",
    '{"Records": [{"s3": "?"}]}',
    '{"Records": [{"eventName": "Replication:x"}]}',
)
HIDDEN = ("Thumbs.db", ".DS_Store", "_SUCCESS")
LARGE = 6_300_000
"""More than the endpoint takes."""


@dataclass(frozen=True)
class Size:
    """Two of five objects are in folders, of which each is filled `bursts` times."""

    uploads: int
    objects: int
    folder_objects: int = 300
    bursts: int = 3
    seconds: float = 7_200
    large: int = 3
    promotions: int = 2
    poison: int = 12


def plan(random: Random, size: Size) -> Plan:
    singles, folders = _keys(size)
    touches = int(size.uploads * 1.06)  # some of them remove
    of_singles = touches * 3 // 5
    acts = [(random.uniform(0, size.seconds), key) for key in _spread(random, singles, of_singles)]
    acts += _bursts(random, size, folders, touches - of_singles)
    planned: Plan = [(at, _act(random, key)) for at, key in acts]
    for number in range(size.large):
        body = b"x" * (LARGE + number)
        planned.append((random.uniform(0, size.seconds), Upload(f"inbox/big-{number}.jpg", body)))
    for number in range(2, 2 + size.promotions):
        planned.append((random.uniform(0.2, 0.8) * size.seconds, Promote(number)))
    for number in range(size.poison):
        poison = Poison(POISON[number % len(POISON)])
        planned.append((random.uniform(0, size.seconds), poison))
    planned += [(0.0, Upload(f"inbox/f0/{name}", b"hidden")) for name in HIDDEN]
    return sorted(planned, key=lambda pair: pair[0])


def _keys(size: Size) -> tuple[list[str], list[list[str]]]:
    in_folders = size.objects * 2 // 5
    singles = [f"inbox/{number}.jpg" for number in range(size.objects - in_folders)]
    folders = [
        [f"inbox/f{folder}/{number}.jpg" for number in range(size.folder_objects)]
        for folder in range(max(1, in_folders // size.folder_objects))
    ]
    folders[0] += [f"inbox/f0/{name.format('d')}" for name in ODD]
    return singles + [f"inbox/{name}" for name in ODD if "/" not in name], folders


def _spread(random: Random, keys: list[str], count: int) -> list[str]:
    """Every key once, and the rest by chance."""
    return [*keys, *random.choices(keys, k=count - len(keys))]


def _bursts(
    random: Random, size: Size, folders: list[list[str]], count: int
) -> list[tuple[float, str]]:
    acts = []
    for keys in folders:
        mine = _spread(random, keys, max(len(keys), count // len(folders)))
        starts = [random.uniform(0, size.seconds) for _ in range(size.bursts)]
        acts += [(random.choice(starts) + random.uniform(0, 60), key) for key in mine]
        acts += [(start + 61, keys[0].rpartition("/")[0] + "/_READY") for start in starts[:1]]
    return acts


def _act(random: Random, key: str) -> Act:
    if key.endswith("/_READY"):
        return Ready(key)
    chance = random.random()
    if chance < 0.03:
        return Remove(key)
    if chance < 0.05:
        return Revert(key)
    return upload(random, key)


def upload(random: Random, key: str, is_told: bool = True) -> Upload:
    """One of three contents, so that an image may come to be what it was before."""
    number = random.randint(0, 2)
    kind = "junk" if hash_of(key, number) % 10 == 0 else "image"
    parts = random.uniform(1, 60) if random.random() < 0.05 else None
    return Upload(key, f"{kind} {key}#{number}".encode(), parts, is_told)


def hash_of(key: str, number: int) -> int:
    """The same in every process, unlike `hash`."""
    return sum(key.encode()) * 7 + number * 13
