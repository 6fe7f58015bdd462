"""No engine is silently another one: a feature is equal, or something is said about it."""

import json
from pathlib import Path

import conformance
import conformance_contacts
import conformance_table
import mujoco
import pytest
from conformance_table import ROWS, key

ROOT = Path(__file__).parents[2]
RESULTS = json.loads((ROOT / "docs" / "results" / "engines.json").read_text())
BUNDLES = conformance.bundles(ROWS)


def named(bundle) -> str:
    return key(bundle[0])


def silent(name: str, bundle) -> list[str]:
    """Rows that differ without a word."""
    outcomes = conformance.outcomes(name, bundle)
    pairs = zip(bundle, outcomes, strict=True)
    return [f"{key(row)}: {o.error}" for row, o in pairs if o.verdict == "different"]


@pytest.mark.parametrize("part", list(dict.fromkeys(row.part for row in ROWS)))
def test_native_is_c_mujoco_to_the_last_bit_or_refuses(part):
    for bundle in BUNDLES:
        if bundle[0].part == part:
            assert not silent("native", bundle)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["mjx", "warp"])
@pytest.mark.parametrize("bundle", BUNDLES, ids=named)
def test_no_engine_differs_without_a_word(name, bundle):
    assert not silent(name, bundle)


def test_mjx_on_a_few_joints():
    words = ("slide joint", "stiffness and springref", "damping, polynomial")
    rows = [row for row in ROWS if row.part == "joints and bodies" and row.feature in words]
    verdicts = [outcome.verdict for outcome in conformance.outcomes("mjx", rows)]
    assert verdicts == ["equal", "equal", "refused"]


@pytest.mark.parametrize("row", conformance_contacts.ROWS, ids=key)
def test_rows_of_contacts_do_touch(row):
    model = conformance.compiled([row])
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    assert (data.ncon > 0) == (row.feature not in ("exclude", "contype and conaffinity"))


def test_the_results_have_no_silent_difference():
    assert set(RESULTS) == {key(row) for row in ROWS}
    for feature, engines in RESULTS.items():
        assert set(engines) == set(conformance.ENGINES), feature
        for name, outcome in engines.items():
            assert outcome["verdict"] != "different", f"{name} {feature}"
            if outcome["verdict"] in ("refused", "warned"):
                assert f"engine={name!r}" in outcome["said"]


def test_the_page_has_the_table_of_the_results(tmp_path):
    page = ROOT / "docs" / "engines.md"
    again = tmp_path / "engines.md"
    again.write_text(page.read_text())
    conformance_table.write(again, RESULTS)
    assert again.read_text() == page.read_text()
