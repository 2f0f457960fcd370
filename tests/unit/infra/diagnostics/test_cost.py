"""What a month costs, against sums done by hand on round prices."""

from dataclasses import replace

import pytest

from infra.diagnostics.cost import (
    DAYS_PER_MONTH,
    HOURS_PER_MONTH,
    TYPICAL,
    Load,
    batch_hours,
    break_even,
    break_even_gathered,
    break_even_serverless,
    instances,
    late,
    lines,
    load_prices,
    machines,
    month,
    sweep,
    without_jobs,
)

PRICES = replace(
    load_prices(),
    instance_hour={"ml.m5.xlarge": 0.5},
    serverless_gb_second=0.0001,
    hosting_gb=0.1,
    s3_put_or_list_per_1000=0.01,
    s3_get_or_head_per_1000=0.001,
)
GIVEN = replace(
    TYPICAL,
    rate=10,
    job_start_seconds=360,
    image_gb=0.001,
    headroom=2,
    serverless_gb=2,
    serverless_seconds=0.5,
    cooldown_seconds=540,
)
TEN_FOLDERS = Load(images_per_day=36_000, folder_size=3_600)


def test_an_endpoint_costs_its_hours_and_what_it_carries() -> None:
    # 730 h x 0.50 = 365; 36,000 x 730/24 images of a megabyte = 1,095 GB x 0.10 = 109.50
    assert month(PRICES, TEN_FOLDERS, GIVEN).endpoint == pytest.approx(365 + 109.5)


def test_batch_costs_a_start_a_folder_and_the_work() -> None:
    # a day: 10 starts of 360 s and 3,600 s of work = 2 h; x 730/24 days = 60.8333 h
    assert batch_hours(TEN_FOLDERS, GIVEN) == pytest.approx(60.8333, abs=1e-4)
    # 60.8333 h x 0.50 = 30.4167; 1,095,000 outputs written and read: 10.95 + 1.095
    assert month(PRICES, TEN_FOLDERS, GIVEN).batch == pytest.approx(30.4167 + 12.045, abs=1e-3)


def test_small_folders_through_the_endpoint_save_their_jobs_starts_and_pay_what_is_carried() -> (
    None
):
    # 36,000 folders of one image: 3,600 h of starts and 1 h of work a day; x 730/24 days x 0.50
    ones = Load(images_per_day=36_000, folder_size=1)
    assert without_jobs(PRICES, ones, GIVEN) == pytest.approx(
        3_601 * DAYS_PER_MONTH * 0.5 + 12.045 - 109.5, abs=1e-3
    )


def test_serverless_costs_what_it_computes_and_carries() -> None:
    # 1,095,000 x 0.5 s x 2 GB x 0.0001 = 109.50; and 109.50 for the data
    assert month(PRICES, TEN_FOLDERS, GIVEN).serverless == pytest.approx(219)


def test_an_asynchronous_endpoint_is_up_for_each_folder_and_a_while_after_it() -> None:
    # a day: 10 x (360 + 540) s + 3,600 s = 3.5 h; x 730/24 x 0.50 = 53.2292; + 109.50 + 12.045
    assert month(PRICES, TEN_FOLDERS, GIVEN).asynchronous == pytest.approx(174.7742, abs=1e-3)


def test_an_asynchronous_endpoint_is_never_up_for_more_than_all_day() -> None:
    crowded = Load(images_per_day=1_000, folder_size=1)
    hours = (month(PRICES, crowded, GIVEN).asynchronous - crowded.images * (0.0001 + 0.000011)) * 2
    assert hours == pytest.approx(HOURS_PER_MONTH)


def test_where_the_endpoint_becomes_cheaper_both_cost_the_same() -> None:
    # an image: 360/3,600 + 1/10 s = 0.2 s x 0.50/3,600 + 0.000011 - 0.0001 of data; a day: 12
    even = break_even(PRICES, 3_600, replace(GIVEN, image_gb=0))
    assert even == pytest.approx(12 / (0.2 * 0.5 / 3600 + 0.000011))
    there = Load(round(even / 3600) * 3600, 3_600)
    both = month(PRICES, there, replace(GIVEN, image_gb=0, headroom=0))
    assert both.endpoint == pytest.approx(both.batch, rel=0.01)


def test_where_the_endpoint_becomes_cheaper_than_serverless() -> None:
    # a day of the endpoint: 12; an image: 0.5 s x 2 GB x 0.0001 = 0.0001
    assert break_even_serverless(PRICES, GIVEN) == pytest.approx(120_000)


def test_gathered_singles_cost_a_start_each_gathering_time_and_the_work() -> None:
    # a day: 96 starts of 360 s and 3,600 s of work = 10.6 h; x 730/24 x 0.50 = 161.2083
    # requests an image: 0.000011 of its output, 0.00001 + 3 x 0.000001 to find it: 26.28
    assert month(PRICES, TEN_FOLDERS, GIVEN).gathered == pytest.approx(161.2083 + 26.28, abs=1e-3)
    # fewer than 96 images a day are a job each: 10 x 360 s + 1 s
    few = month(PRICES, Load(10, 1), GIVEN).gathered
    assert few == pytest.approx(3601 / 3600 * DAYS_PER_MONTH * 0.5 + 10 * DAYS_PER_MONTH * 0.000024)
    assert month(PRICES, Load(0, 1), GIVEN).gathered == 0


def test_where_the_endpoint_becomes_cheaper_than_gathered_singles_both_cost_the_same() -> None:
    even = break_even_gathered(PRICES, replace(GIVEN, image_gb=0))
    # a day: 12 of the endpoint, 9.6 h x 0.50 = 4.80 of starts; an image: 0.1 s and 0.000024
    assert even == pytest.approx((12 - 4.8) / (0.1 * 0.5 / 3600 + 0.000024))
    both = month(PRICES, Load(round(even), 1), replace(GIVEN, image_gb=0, headroom=0))
    assert both.endpoint == pytest.approx(both.gathered, rel=0.001)


def test_a_large_load_needs_more_endpoint_instances() -> None:
    assert instances(Load(432_000, 1), GIVEN) == 1  # 5 a second, twice that: 10
    assert instances(Load(432_001, 1), GIVEN) == 2


def test_a_reclassification_costs_its_jobs_and_its_requests() -> None:
    # 2 starts of 360 s and 3,600 images at 10/s: 0.3 h x 0.50 = 0.15
    # HEADs and GETs: 2 x 10,000 + 6 x 3,600 = 41,600 -> 0.0416; PUTs 7,200, LISTs 40 -> 0.0724
    takes = sweep(PRICES, looked_at=10_000, stale=3_600, jobs=2, assumptions=GIVEN)
    assert takes.hours == pytest.approx(0.3)
    assert takes.cost == pytest.approx(0.15 + 0.0416 + 0.0724)


def test_settings_follow_from_the_speed() -> None:
    assert late(GIVEN) == 900  # 360 s x 10/s, a quarter of it
    assert machines(Load(1, 36_000), GIVEN) == 1
    assert machines(Load(1, 36_001), GIVEN) == 2


def test_the_answer_names_its_prices_and_its_assumptions() -> None:
    text = "\n".join(lines(PRICES, TEN_FOLDERS, GIVEN))
    for told in (PRICES.region, PRICES.as_of, "10 images/s", "endpointMaxLate: 900"):
        assert told in text


def test_a_month_is_a_twelfth_of_a_year() -> None:
    assert pytest.approx(730) == HOURS_PER_MONTH
    assert pytest.approx(HOURS_PER_MONTH) == DAYS_PER_MONTH * 24
