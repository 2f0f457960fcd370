"""The report that people attach to an issue: complete, and nobody's account."""

import json
import re
from pathlib import Path

import pytest

from infra.diagnostics.cost import load_prices
from infra.verify import estimate, report
from infra.verify.estimate import TooExpensiveError
from infra.verify.redaction import Redaction
from infra.verify.report import Report
from infra.verify.step import Step, StepResult, Usage
from tests.support.builders.pages import foreign_markup

KIND = "ml.m5.xlarge"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
OBSERVED = (
    "account 123456789012 as arn:aws:sts::123456789012:assumed-role/Admin/jane@example.org, "
    "arn:aws-cn:kms:cn-north-1:123456789012:key/0f5e-11, key AKIAIOSFODNN7EXAMPLE, "
    f"ASIAQWERTYUIOPASDFGH, secret {SECRET}, bucket sortbox-verify-123456789012-eu-west-1, "
    "s3://sortbox-dev-123456789012-us-gov-east-1/inbox/, user AIDAQWERTYUIOPASDFGH, "
    "123456789012.dkr.ecr.eu-west-1.amazonaws.com/sortbox@sha256:5555, 1234-5678-9012 <script>"
)
PERSONAL = (
    *("123456789012", "1234-5678-9012", "AKIA", "ASIA", "AIDA", "arn:", "jane", "Admin"),
    *("0f5e-11", SECRET),
)


def step(name: str, usage: Usage) -> Step:
    return Step(name, f"requested {name}", f"expected {name}", usage, lambda site: "")


def made(state: str = "failed") -> Report:
    steps = [step("deploy", Usage(4, 30)), step("single", Usage(1, 5, machines=1))]
    results = [
        StepResult("deploy", "passed", OBSERVED, 60.0),
        StepResult("single", "failed" if state == "failed" else "passed", OBSERVED, 3600.0),
    ]
    cleaned = [StepResult("bucket", "passed", OBSERVED)]
    return Report("AWS, eu-west-1", True, KIND, steps, results, cleaned)


def written(folder: Path) -> dict[str, str]:
    paths = report.write(made(), load_prices(), Redaction((SECRET,)), folder)
    return {path.name: path.read_text() for path in paths}


def test_no_file_says_whose_account_it_was(tmp_path: Path) -> None:
    for name, text in written(tmp_path).items():
        for personal in PERSONAL:
            assert personal not in text, f"{name} holds {personal}"
        assert not re.search(r"(?<!\d)\d{12}(?!\d)", text), name


def test_digests_times_and_counts_stay_readable() -> None:
    plain = "sha256:121e892aa3fd10de9633851a2026e36653f113a9b8bb52167cb185e420c7ca44"
    plain += " at 2026-11-28T12:00:00Z, 1,234,567 images, job verify-20261128120000-123"
    assert Redaction().text(plain) == plain


def test_each_step_has_what_was_requested_expected_and_observed(tmp_path: Path) -> None:
    document = json.loads(written(tmp_path)["verify.json"])
    assert document["result"] == "failed"
    assert set(document["versions"]) == {"sortbox", "python", "boto3"}
    for row in document["steps"]:
        assert row["requested"] == f"requested {row['name']}"
        assert row["expected"] == f"expected {row['name']}"
        assert row["observed"].startswith("account <account> as <arn>")
    assert [row["seconds"] for row in document["steps"]] == [60.0, 3600.0]
    assert document["steps"][1]["cost"] == load_prices().hour(KIND), "an hour of the endpoint"
    assert document["clean_up"][0]["state"] == "passed"


def test_the_page_shows_the_same_escaped(tmp_path: Path) -> None:
    page = written(tmp_path)["verify.html"]
    assert "requested single" in page
    assert "&lt;script&gt;" in page
    assert "<script>" not in foreign_markup(page)


def test_the_most_that_a_run_costs_follows_from_the_price_table() -> None:
    prices, steps = load_prices(), [step("single", Usage(1, 60, machines=2))]
    hour = prices.hour(KIND)
    assert estimate.most(prices, steps, KIND) == pytest.approx(2 * hour + estimate.OTHER_DOLLARS)
    build = [step("image", Usage(1, 10, is_build=True))]
    expected = 10 * prices.build_minute + estimate.OTHER_DOLLARS
    assert estimate.most(prices, build, KIND) == pytest.approx(expected)


def test_a_run_that_could_cost_more_than_three_dollars_is_refused() -> None:
    steps = [step("single", Usage(1, 60, machines=20))]
    with pytest.raises(TooExpensiveError, match=r"could cost USD 4\.65, and may cost 3\.00"):
        estimate.most(load_prices(), steps, KIND)
