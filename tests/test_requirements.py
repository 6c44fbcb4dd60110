"""The pinned requirements: what is tested is what ships, and every file is checked by its hash."""

import re
import tomllib
from itertools import combinations

import pytest
from building import PROJECT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
FILES = sorted(path.name for path in PROJECT.glob("requirements*.txt"))

# The environments of the Makefile, each with what is installed into it.
ENVIRONMENTS = {
    ".venv": [
        "requirements-uv.txt",
        "requirements.txt",
        "requirements-dev.txt",
        "requirements-extract.txt",
        "requirements-store.txt",
    ],
    ".venv-bench": ["requirements-uv.txt", "requirements.txt", "requirements-bench.txt"],
    ".venv-spark": ["requirements-uv.txt", "requirements.txt", "requirements-dev.txt", "requirements-spark.txt"],
    # without this project's packages, whose versions Airflow does not take
    ".venv-schedulers": ["requirements-uv.txt", "requirements-schedulers.txt"],
    # on top of these, requirements-duckdb-2.txt replaces duckdb on purpose
    ".venv-duckdb-2": ["requirements-uv.txt", "requirements.txt", "requirements-dev.txt"],
}

# What pyproject.toml asks for, by the file that pins it.
ASKED = {
    "requirements.txt": PYPROJECT["project"]["dependencies"],
    **{
        f"requirements-{extra}.txt": PYPROJECT["project"]["dependencies"] + asked
        for extra, asked in PYPROJECT["project"]["optional-dependencies"].items()
    },
    "requirements-uv.txt": PYPROJECT["dependency-groups"]["install"],
    "requirements-duckdb-2.txt": PYPROJECT["dependency-groups"]["duckdb-2"],
    "requirements-schedulers.txt": PYPROJECT["dependency-groups"]["schedulers"],
}
# These hold one package each, or stand apart from what ships.
BY_THEMSELVES = ("requirements-uv.txt", "requirements-duckdb-2.txt", "requirements-schedulers.txt")


def entries(text: str) -> list[tuple[str, list[str]]]:
    """Each entry of a requirements file: (the requirement without its options, its options)."""
    joined = re.sub(r"\\\r?\n", " ", text)
    found = []
    for line in joined.splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if line:
            requirement, *options = re.split(r"\s+(?=--)", line)
            found.append((requirement, options))
    return found


def pins(file: str) -> dict[str, str]:
    """Package -> version. Fails on a line that is not one pinned package, and on a package named twice."""
    versions: dict[str, str] = {}
    for text, _ in entries((PROJECT / file).read_text(encoding="utf-8")):
        requirement = Requirement(text)
        name, specifiers = canonicalize_name(requirement.name), list(requirement.specifier)
        assert [s.operator for s in specifiers] == ["=="], f"{file}: {text} is not pinned"
        assert name not in versions, f"{file}: {name} stands twice"
        versions[name] = specifiers[0].version
    return versions


def test_entries_are_read_over_their_lines():
    text = (
        "# a comment\n"
        "one[extra, more]==1.0 ; sys_platform == 'win32' \\\n"
        "    --hash=sha256:0a \\\n"
        "    --hash=sha256:0b\n"
        "    # via two\n"
    )
    hashes = ["--hash=sha256:0a", "--hash=sha256:0b"]
    assert entries(text) == [("one[extra, more]==1.0 ; sys_platform == 'win32'", hashes)]


def test_every_file_of_requirements_is_known_here():
    assert set(FILES) == set(ASKED)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_what_is_installed_together_has_one_version(environment):
    versions = {file: pins(file) for file in ENVIRONMENTS[environment]}
    different = [
        f"{name}: {versions[one][name]} in {one}, {versions[other][name]} in {other}"
        for one, other in combinations(versions, 2)
        for name in sorted(versions[one].keys() & versions[other].keys())
        if versions[one][name] != versions[other][name]
    ]
    assert different == []


@pytest.mark.parametrize("file", [file for file in ASKED if file not in ("requirements.txt", *BY_THEMSELVES)])
def test_each_set_holds_all_that_ships(file):
    assert pins("requirements.txt").keys() - pins(file).keys() == set()


@pytest.mark.parametrize("file", ["requirements-extract.txt", "requirements-store.txt"])
def test_the_tests_run_with_the_packages_of_the_extras(file):
    assert pins(file).items() - pins("requirements-dev.txt").items() == set()


@pytest.mark.parametrize("file", FILES)
def test_every_package_has_hashes_and_nothing_else(file):
    found = entries((PROJECT / file).read_text(encoding="utf-8"))
    bad = [text for text, options in found if not options or not all(is_hash(option) for option in options)]
    assert found
    assert bad == []


def is_hash(option: str) -> bool:
    return re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", option) is not None


@pytest.mark.parametrize("file", FILES)
def test_no_file_names_an_index_or_a_path_of_the_machine_that_wrote_it(file):
    text = (PROJECT / file).read_text(encoding="utf-8")
    assert (
        re.findall(r".*(?:://|\bfile:|\s@\s|--(?:\w+-)*(?:index|links|host)\b|(?:^|\s)/\w|\b[A-Za-z]:\\).*", text) == []
    )


@pytest.mark.parametrize("file", ASKED)
def test_the_pins_are_what_pyproject_asks_for(file):
    versions = pins(file)
    asked = [Requirement(text) for text in ASKED[file]]
    unmet = [str(r) for r in asked if not r.specifier.contains(versions.get(canonicalize_name(r.name), "0"))]
    assert asked
    assert unmet == []


def test_the_makefile_installs_these_files_and_pins_them():
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    rules = "\n".join(re.findall(r"\$\(INSTALL\) .*", makefile))
    assert set(re.findall(r"requirements[\w-]*\.txt", rules)) == set(FILES) - {"requirements-uv.txt"}
    assert set(re.findall(r"--output-file=(\S+)", makefile)) == set(ASKED)
