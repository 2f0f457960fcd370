"""Anything that the vocabulary can say, for hypothesis to choose from."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from domain.corrections.form import NAME_TIME, Correction, moment_of
from domain.keys import INBOX, KEY_BYTES, JobName
from domain.model import (
    DECISIONS,
    ActiveModel,
    ModelCard,
    ModelId,
    Preprocessing,
    Promise,
    UnknownRule,
)
from domain.reply import Label, Labelled, Refused, Reply, Server
from domain.result import AnsweredBy, Classified, How, Previous, Rejected, Result, Source

# S3 keys are UTF-8, which has no surrogates.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
odd_names = st.sampled_from(
    ["a.jpg", "cat (1).jpg", "100%.jpg", "a+b.jpg", "..", "...", "_READY", "_x", ".x", "", "a.json"]
)
long_names = st.builds(
    lambda letter, size: letter * size, st.sampled_from("xé🐈"), st.integers(1, 250)
)
segments = st.one_of(
    odd_names, st.text(st.characters(exclude_categories=["Cs"]), max_size=12), long_names
)


def fits_s3(key: str) -> bool:
    return len(key.encode()) <= KEY_BYTES


paths = st.lists(segments, min_size=1, max_size=5).map("/".join)
inbox_keys = paths.map(lambda path: INBOX + path).filter(fits_s3)
any_keys = st.one_of(inbox_keys, paths.filter(fits_s3))

names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,39}", fullmatch=True)
digests = st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True)
nonces = st.from_regex(r"[0-9a-f]{10}", fullmatch=True)
stages = st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True)
scores = st.floats(0, 1)
sizes = st.integers(1, 50_000)
milliseconds = st.floats(0, 60_000)

model_ids = st.builds(ModelId, names, st.integers(0, 999_999_999), digests)
servers = st.builds(Server, model_ids.map(str), texts)
labels = st.lists(st.builds(Label, texts, scores), min_size=1, max_size=5).map(tuple)

decisions = st.none() | st.sampled_from(DECISIONS)
labelled = st.builds(Labelled, servers, labels, sizes, sizes, texts, milliseconds, decisions)
replies: st.SearchStrategy[Reply] = st.one_of(labelled, st.builds(Refused, servers, texts, texts))

instants = st.datetimes().map(lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ").zfill(20))
hows = st.builds(
    How, st.sampled_from(["endpoint", "batch"]), st.none() | texts, st.integers(1, 20), instants
)
etags = st.from_regex(r"[0-9a-f]{32}(-[1-9][0-9]{0,3})?", fullmatch=True)
version_ids = st.from_regex(r"[A-Za-z0-9._~-]{1,64}", fullmatch=True)
"""URL-ready, S3 says of them ("Using versioning in S3 buckets"); `null` is one too."""

sources = st.builds(Source, texts, etags, st.none() | version_ids, st.integers(0, 2**40))
answered_by = st.builds(AnsweredBy, model_ids, texts)

previous = st.builds(Previous, model_ids, st.builds(Label, texts, scores) | texts.filter(bool))
classified = st.builds(
    Classified,
    inbox_keys,
    sources,
    answered_by,
    hows,
    labels,
    sizes,
    sizes,
    texts,
    milliseconds,
    st.none() | previous,
    decisions,
)
rejected = st.builds(
    Rejected,
    inbox_keys,
    sources,
    st.none() | answered_by,
    hows,
    texts.filter(bool),
    texts,
    st.none() | previous,
)
results: st.SearchStrategy[Result] = st.one_of(classified, rejected)

triples = st.tuples(scores, scores, scores)
preprocessings = st.builds(Preprocessing, sizes, sizes, triples, triples, texts)
cards = st.builds(
    ModelCard,
    names,
    st.from_regex(r"\w{1,60}", fullmatch=True),
    st.lists(texts, min_size=1, max_size=5).map(tuple),
    preprocessings,
    st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    st.dictionaries(texts, scores, max_size=3),
    st.dictionaries(texts, texts, max_size=3),
    temperature=st.none() | st.floats(0.1, 10),
    unknown=st.none()
    | st.builds(
        UnknownRule,
        st.floats(0.001, 0.5),
        scores,
        *[st.integers(0, 2_000)] * 2,
        st.integers(1, 10_000),
        st.integers(1, 16_384),
        st.text("0123456789abcdef", min_size=64, max_size=64),
    ),
    promise=st.none()
    | st.builds(Promise, st.floats(0.001, 0.5), scores, *[st.integers(0, 2_000)] * 3),
)
active_models = st.builds(ActiveModel, model_ids, texts, texts, instants)


def job_names(slugs: st.SearchStrategy[str]) -> st.SearchStrategy[JobName]:
    return st.builds(
        JobName,
        stages,
        slugs,
        nonces,
        st.integers(0, 9),
        st.integers(0, 999_999),
        st.integers(0, 9),
    )


def name_after(now: datetime, nonce: str, names: Iterable[str] = ()) -> str:
    """The name of a correction that is made `now` by somebody who knows of `names`."""
    newest = max(names, default="")
    after = moment_of(newest) + timedelta(milliseconds=1) if newest else now
    return f"{max(now, after).astimezone(UTC):{NAME_TIME}}"[:-3] + f"-{nonce}"


persons = st.sampled_from(["ann", "Developer/bob", "c"])
correction_times = st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 1, 0, 0, 2)).map(
    lambda at: f"{at:%Y%m%dT%H%M%S.%f}"[:-3]
)
correction_names = st.builds(
    "{}-{}".format, correction_times, st.from_regex(r"[0-9a-f]{16}", fullmatch=True)
)
some_labels = st.none() | st.sampled_from(["skirt", "dress", "<script>"]) | texts.filter(bool)


def withdrawals(correction: Correction) -> st.SearchStrategy[Correction]:
    """Corrections that withdraw this one, which are later by a day."""
    day = f"20260102{correction.name[8:]}"
    return st.builds(
        Correction,
        st.just(day),
        st.just(correction.image),
        st.just(correction.etag),
        st.just(correction.before),
        st.none(),
        persons,
        st.just(correction.name),
    )


words = st.builds(
    Correction,
    correction_names,
    inbox_keys.filter(lambda key: key != INBOX),
    etags,
    some_labels,
    some_labels,
    persons,
)
corrections = st.one_of(words, words.flatmap(withdrawals))
