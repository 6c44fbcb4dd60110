"""The warehouse holds exactly what the reference implementation makes of the same random worlds, in every format.

Sixty worlds a format (a quarter of them in a quick run) are merged into one build. Each decision row, figure, flag and
the number of quarantined rows is compared, without tolerance; each test prints how much that was.
"""

from reference.comparison import compare
from reference.files import drop_bad_rows, write_job_history, write_world
from reference.reference import Options
from reference.worlds import merge_worlds, random_world
from samples import sampled

WORLDS = sampled(60)


def worlds_from(first_seed):
    return merge_worlds({f"w{seed}-": random_world(seed) for seed in range(first_seed, first_seed + WORLDS)})


def assert_same(built, delivered, options):
    comparison = compare(built.connection, delivered, options)
    print(f"{WORLDS} worlds, {comparison.decisions:,} decisions, {comparison.rows.total():,} rows compared")
    assert comparison.decisions > 400 * WORLDS
    assert comparison.differences == [], comparison.report()


FIRST_SEED = {"csv": 0, "json": 100, "parquet": 200, "job_history": 300}


def test_the_warehouse_equals_the_reference_in_every_format(build, extracts):
    """In one folder, whose files have the worlds' accounts in one format each, with all of the engine's threads."""
    delivered, all_admins = {}, []
    for fmt, seed in FIRST_SEED.items():
        world, admins = worlds_from(seed)
        all_admins += admins
        if fmt == "job_history":
            part = write_job_history(world, extracts, name=fmt)
        else:
            part = write_world(drop_bad_rows(world) if fmt == "parquet" else world, extracts, fmt, name=fmt)
        for extract, rows in part.items():
            delivered.setdefault(extract, []).extend(rows)
    built = build(extracts, vars={"admin_account_ids": all_admins}, arguments=("--threads", "4"))
    assert_same(built, delivered, Options(admin_account_ids=tuple(all_admins)))


def test_the_warehouse_equals_the_reference_under_every_other_option(build, extracts):
    """Another time zone, the older task terms, no test jobs, the opposite defaults, another as-of date. With tests."""
    world, admins = worlds_from(400)
    options = {
        "admin_account_ids": admins,
        "reporting_timezone": "America/Los_Angeles",
        "count_test_jobs": False,
        "unruled_app_is_eligible": True,
        "unknown_app_is_eligible": False,
        "task_terms": "T1",
        "vendor_timezone": "UTC",
        "vendor_task_terms": "T3",
    }
    delivered = write_world(world, extracts, "json.gz")
    built = build(extracts, vars=options, env={"AS_OF_DATE": "2024-05-15"}, with_tests=True)
    assert_same(built, delivered, Options(**options, as_of_date="2024-05-15"))
