"""Whatever file was accepted, every later run can take it in: hypothesis draws files with odd types, spellings and
columns over several runs, replaced and withdrawn ones among them."""

import csv
import gzip
import io
import json
import shutil

import duckdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference.files import identifier, literal
from samples import sampled
from taking import CONTRACT

EXAMPLES = sampled(200)
KNOWN = {name: kind for name, kind, _ in CONTRACT["extracts"]["jobs"]["columns"]}
PATHS = (
    "jobs/a.csv",
    "jobs/b.csv.gz",
    "jobs/sub/c.json",
    "jobs/d.json.gz",
    "jobs/e.parquet",
    "jobs/environment=x/f.csv",
)

# Of a Parquet column: its type, and values that it takes. The last three are no plain values.
TYPED = (
    ("VARCHAR", ("'5001'", "'größe'", "''", "'\\N'", "null")),
    ("BIGINT", ("5001", "-1", "9223372036854775807", "null")),
    ("DOUBLE", ("5001.0", "'nan'", "1e300", "0.5", "null")),
    ("DECIMAL(38,10)", ("78.0", "12345678901234567890.5", "null")),
    ("HUGEINT", ("170141183460469231731687303715884105727", "1")),
    ("BLOB", ("'abc'", "'\\xFF\\x00'", "null")),
    ("DATE", ("'2026-03-10'", "'9999-12-31'", "null")),
    ("TIMESTAMP", ("'2026-03-10 12:00:00.5'", "null")),
    ("TIMESTAMPTZ", ("'2026-03-10 12:00:00+02'",)),
    ("TIMESTAMP_NS", ("'2026-03-10 12:00:00.123456789'",)),
    ("TIME", ("'12:00:00'",)),
    ("BOOLEAN", ("true", "false", "null")),
    ("UUID", ("'b6d2a1f0-0000-4000-8000-000000000001'",)),
    ("INTERVAL", ("'1 day'",)),
    ("STRUCT(a INTEGER)", ("{'a': 1}", "null")),
    ("INTEGER[]", ("[1, 2]", "[]")),
    ("MAP(VARCHAR, INTEGER)", ("map {'a': 1}",)),
)
TEXTS = st.sampled_from(
    ["5001", "78.0", "", "\\N", "nan", "NULL", "größe", 'a "quote"', "two\nlines", "1e999", "\x7f", "1" * 50]
)
ODD_JSON = (5001, 78.0, 1e300, 10**30, [], {}, [1, {"a": None}], {"b": "c"}, "\ud800")
JSON_VALUES = st.one_of(TEXTS, st.none(), st.booleans(), st.sampled_from(ODD_JSON))


def spelled(name):
    return st.sampled_from([name, name.upper(), name.title(), f" {name} "])


@st.composite
def columns(draw):
    """Names of columns: the contract's, most of the time, and others, such as those that the store has itself."""
    known = [name for name in KNOWN if name in ("id", "status") or draw(st.booleans())]
    others = st.sampled_from(
        ["filename", "file_name", "load_id", "extra", "unread_column", "Größe", "", "a b", "statuss", "ID"]
    )
    return [draw(spelled(name)) for name in known] + draw(st.lists(others, max_size=3))


@st.composite
def csv_bytes(draw):
    names = draw(columns())
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=draw(st.sampled_from(["\n", "\r\n"])))
    writer.writerow(names)
    writer.writerows(draw(st.lists(st.lists(TEXTS, min_size=len(names), max_size=len(names)), max_size=4)))
    whole = (draw(st.sampled_from(["", "\ufeff"])) + text.getvalue()).encode()
    return whole[: len(whole) - draw(st.sampled_from([0, 0, 0, 1, 7]))]


@st.composite
def json_bytes(draw):
    names = draw(columns())
    rows = draw(st.lists(st.fixed_dictionaries(dict.fromkeys(names, JSON_VALUES)), max_size=4))
    is_array, cut = draw(st.booleans()), draw(st.sampled_from([0, 0, 0, 1, 7]))
    lines = json.dumps(rows) if is_array else "".join(json.dumps(row) + "\n" for row in rows)
    return lines.encode()[: len(lines) - cut]


@st.composite
def parquet_columns(draw):
    """[(name, type, values)], as many values in each."""
    rows = draw(st.integers(0, 4))
    chosen = []
    for name in {name.lower(): name for name in draw(columns()) if name}.values():
        kind, values = draw(
            st.sampled_from(TYPED if name.lower() not in KNOWN or draw(st.integers(0, 9)) == 0 else TYPED[:14])
        )
        chosen.append((name, kind, draw(st.lists(st.sampled_from(values), min_size=rows, max_size=rows))))
    return chosen


def parquet_bytes(columns, scratch):
    selected = ", ".join(
        f"unnest(cast([{', '.join(f'cast({value} as {kind})' for value in values)}] as {kind}[])) as {identifier(name)}"
        for name, kind, values in columns
    )
    with duckdb.connect() as db:
        db.execute(f"set timezone = 'UTC'; copy (select {selected}) to {literal(scratch)} (format parquet)")
    return scratch.read_bytes()


CONTENTS = {"csv": csv_bytes(), "json": json_bytes(), "parquet": parquet_columns()}
FILES = st.sampled_from(PATHS).flatmap(
    lambda path: st.tuples(st.just(path), st.none() | CONTENTS[path.removesuffix(".gz").rsplit(".", 1)[1]])
)
# What happens before each run: files come, in the place of others, or are withdrawn (None).
RUNS = st.lists(st.lists(FILES, min_size=1, max_size=4), min_size=2, max_size=5)


def lay(taking, path, content):
    file = taking.extracts / path
    if content is None:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, list):
        content = parquet_bytes(content, taking.extracts.with_name("scratch"))
    file.write_bytes(gzip.compress(content, mtime=0) if path.endswith(".gz") else content)


def counted(answer):
    """{(load, path): rows}"""
    return {(load, path): rows for load, _, path, rows in answer["files"].get("jobs", [])}


def test_what_was_accepted_is_taken_in_by_every_later_run(tmp_path, taking):
    tried = {"runs": 0, "files": 0, "refused": 0}

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(RUNS)
    def each(runs):
        for folder in (taking.extracts / "jobs", taking.store):
            shutil.rmtree(folder, ignore_errors=True)
        lay(taking, "jobs/good.csv", b"id,status\ngood,ok\n")
        before = counted(taking.take_in())
        for files in runs:
            for path, content in files:
                lay(taking, path, content)
            while problem := (answer := taking.answer())["problem"]:
                # only a file that came with this run stops it, and it is named
                refused = next(
                    path for path in sorted({path for path, _ in files}, key=len, reverse=True) if path in problem
                )
                lay(taking, refused, None)
                tried["refused"] += 1
            now = counted(answer)
            gone = {(load, path) for load, path, _ in answer["superseded"].get("jobs", [])}
            assert {key: rows for key, rows in before.items() if key not in gone}.items() <= now.items()
            before = now
            tried["runs"] += 1
        tried["files"] += len(before)
        again_in_every_way(taking, before, tmp_path)

    each()
    print(tried)
    assert tried["files"] > EXAMPLES and tried["refused"] > EXAMPLES / 10


def again_in_every_way(taking, expected, scratch):
    """A full refresh, other limits, a source that forgot all, a backup: always the same rows."""
    for path in PATHS:
        lay(taking, path, None)
    backup = scratch / "backup"
    shutil.copytree(taking.store, backup, dirs_exist_ok=True)
    try:
        for taking.whole, taking.limits in (
            (True, {}),
            (False, {"null_marks": ["none at all"]}),
            (True, {"null_marks": []}),
        ):
            assert counted(taking.take_in()) == expected
        shutil.rmtree(taking.store)
        backup.rename(taking.store)
        assert counted(taking.take_in()) == expected
        assert not taking.module.verify_store(str(taking.store))
        for stored in sorted(taking.store.glob("*/jobs.parquet")):
            assert_typed(stored)
    finally:
        taking.whole, taking.limits = False, {}


def assert_typed(stored):
    """Columns have the contract's types, whatever the files had, and every row can be read."""
    with duckdb.connect() as db:
        types = dict(row[:2] for row in db.execute(f"describe from {literal(stored)}").fetchall())
        assert {name: types.get(name) for name in KNOWN if name in types} == {
            name: CONTRACT["types"][kind]["as"].upper() for name, kind in KNOWN.items() if name in types
        }
        db.execute(f"from {literal(stored)}").fetchall()
