"""Mistakes with people's corrections: one that is lost, counted twice, or trained on wrongly."""

from tests.faults.mistakes.product import UNIT, Mistake

DOMAIN = f"{UNIT}/domain/corrections/test_corrections.py"
STORED = f"{UNIT}/infra/review/test_stored.py"
ROUTES = f"{UNIT}/console/corrections/test_routes.py"

OF_THE_CORRECTIONS = (
    Mistake(
        "the oldest correction rules",
        "domain/corrections/settling.py",
        "key=lambda one: one.name, reverse=True",
        "key=lambda one: one.name",
        DOMAIN,
    ),
    Mistake(
        "an undo changes nothing",
        "domain/corrections/settling.py",
        "        if one.name in withdrawn:\n",
        "        if one.withdraws in withdrawn:\n",
        DOMAIN,
    ),
    Mistake(
        "a correction that arrives twice confirms itself",
        "domain/corrections/settling.py",
        "    for one in sorted(named.values(), key",
        "    for one in sorted(corrections, key",
        DOMAIN,
    ),
    Mistake(
        "whoever corrects last is not seen to differ",
        "domain/corrections/settling.py",
        "    if earlier and earlier[0].to == ruling.to:\n",
        "    if earlier:\n",
        DOMAIN,
    ),
    Mistake(
        "a correction replaces another of its name",
        "infra/review/stored.py",
        "        if not self._bucket.create(correction.key, text):\n",
        "        if self._bucket.put(correction.key, text):\n",
        STORED,
    ),
    Mistake(
        "the corrections of a slow clock are passed over",
        "infra/review/stored.py",
        '            after = min(newest, f"{now - CLOCK_SLACK:{NAME_TIME}}")\n',
        "            after = newest\n",
        STORED,
    ),
    Mistake(
        "what is written during a listing is forgotten",
        "infra/review/stored.py",
        "WHERE name = ? AND number <= ? RETURNING",
        "WHERE name = ? AND ? >= 0 RETURNING",
        STORED,
    ),
    Mistake(
        "images that show none of the labels are trained on",
        "infra/review/stored.py",
        "FROM settled WHERE label IS NOT NULL AND image < ?",
        "FROM settled WHERE image < ?",
        STORED,
    ),
    Mistake(
        "a page says who corrects",
        "console/corrections/service.py",
        'fields | {"schema": SCHEMA, "who": who, "at": at}',
        '{"schema": SCHEMA, "who": who, "at": at} | fields',
        ROUTES,
    ),
    Mistake(
        "an image that was replaced is corrected",
        "console/corrections/service.py",
        "        if head.listed.etag != correction.etag:\n",
        "        if not head.listed.etag:\n",
        ROUTES,
    ),
    Mistake(
        "a page hears that all is stored while S3 fails",
        "console/corrections/service.py",
        '            return {"name": name, "later": explain(error) or str(error)}\n',
        '            return {"name": name, "stored": None}\n',
        f"{UNIT}/console/corrections/test_service.py",
    ),
    Mistake(
        "the console listens on another port each time",
        "console/web/server.py",
        "port or _read_port(remembered)",
        "port",
        f"{UNIT}/console/web/test_server.py",
    ),
)
