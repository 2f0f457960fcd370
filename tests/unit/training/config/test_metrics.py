import math
import re

from hypothesis import given
from hypothesis import strategies as st

from training.config import metrics


@given(st.dictionaries(st.sampled_from(metrics.NAMES), st.floats(), min_size=1))
def test_a_line_is_read_back_to_seven_digits(values: dict[str, float]) -> None:
    found = metrics.parse(metrics.line(values))
    assert found.keys() == values.keys()
    for name, value in values.items():
        same = math.isnan(value) and math.isnan(found[name])
        assert same or math.isclose(found[name], value, rel_tol=1e-6)


@given(
    st.dictionaries(
        st.sampled_from(metrics.NAMES), st.floats(-1e9, 1e9, allow_subnormal=False), min_size=1
    )
)
def test_sagemakers_regexes_find_each_number_and_no_other(values: dict[str, float]) -> None:
    line = metrics.line(values)
    for definition in metrics.definitions():
        found = re.search(definition["Regex"], line)
        assert (found is not None) == (definition["Name"] in values)
        if found:
            assert math.isclose(float(found[1]), values[definition["Name"]], rel_tol=1e-6)


def test_other_lines_hold_no_metrics() -> None:
    assert metrics.parse("resumed after step 7") == {}
    assert metrics.parse("loss=high") == {}
