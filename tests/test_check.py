"""make check finds what a change concerns: its unit tests, and the Python tests of a changed module."""

import subprocess
from types import SimpleNamespace

import pytest
from building import PROJECT


@pytest.fixture
def check(monkeypatch):
    monkeypatch.syspath_prepend(PROJECT / "scripts")
    import check

    return check


def named(path, *, nodes=(), macros=(), **more):
    return SimpleNamespace(original_file_path=path, depends_on=SimpleNamespace(nodes=nodes, macros=macros), **more)


# model a reads the seed and uses the macro outer, which uses inner; model b uses nothing.
MANIFEST = SimpleNamespace(
    macros={"macro.outer": named("macros/outer.sql", macros=["macro.inner"]), "macro.inner": named("macros/inner.sql")},
    nodes={
        "seed.rules": named("seeds/rules.csv"),
        "model.a": named("models/a.sql", nodes=["seed.rules"], macros=["macro.outer"]),
        "model.b": named("models/b.sql", nodes=["model.a"]),
    },
    unit_tests={
        "a": named("models/a.yml", nodes=["model.a"], name="test of a"),
        "b": named("models/b.yml", nodes=["model.b"], name="test of b"),
    },
)


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        (["models/a.sql"], ["test of a"]),
        (["models/b.yml"], ["test of b"]),
        (["seeds/rules.csv"], ["test of a"]),
        (["macros/inner.sql"], ["test of a"]),
        (["macros/other.sql", "README.md"], []),
        (["dbt_project.yml"], ["test of a", "test of b"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_the_unit_tests_of_a_change(check, changed, names):
    assert check.unit_tests_of(changed, MANIFEST) == names


def test_the_python_tests_of_a_change(check):
    tests = ["test_deliveries.py", "test_docs.py", "test_explain.py"]
    changed = ["plugins/deliveries.py", "tests/test_explain.py", "docs/docs.md"]
    assert check.python_tests_of(changed, tests) == ["tests/test_deliveries.py", "tests/test_explain.py"]


def test_the_python_tests_of_a_package(check):
    tests = ["test_extraction.py", "test_extraction_jobs.py", "test_extracts.py", "test_jobs.py", "test_site.py"]
    changed = ["extraction/paging.py", "extraction/site.py"]
    expected = ["tests/test_extraction.py", "tests/test_extraction_jobs.py", "tests/test_site.py"]
    assert check.python_tests_of(changed, tests) == expected


def test_what_changed_is_what_differs_and_what_is_new_or_else_what_the_last_commit_brought(
    check, tmp_path, monkeypatch
):
    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e", *arguments], check=True, capture_output=True)

    monkeypatch.chdir(tmp_path)
    git("init")
    for name in ("first.sql", "second, with a comma and ä.sql"):
        (tmp_path / name).write_text("select 1")
        git("add", ".")
        git("commit", "-m", name)
    assert check.changed_files("") == ["second, with a comma and ä.sql"]
    (tmp_path / "first.sql").unlink()
    (tmp_path / "new.sql").write_text("select 1")
    assert check.changed_files("") == ["new.sql"]  # what is deleted cannot be looked at
    (tmp_path / "first.sql").write_text("select 2")
    assert check.changed_files("") == ["first.sql", "new.sql"]
    git("add", ".")
    git("commit", "-m", "third")
    assert check.changed_files("HEAD~2") == ["first.sql", "new.sql", "second, with a comma and ä.sql"]
