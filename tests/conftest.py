"""Real builds for tests: ``build`` runs ``dbt build`` over a world or a folder, ``sample`` is the sample world's build.

A build takes seconds, so tests that look at the same one stand in a class and share it through a class-scoped fixture.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from building import PROJECT, Build, Workbench, forget_old_builds
from dbt_forks import Forks, address_for
from reference.compiled import Project
from reference.proving import compile_all
from taking import Taking

BUILDS = "builds"  # the folder in which all modules build


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """A server that the workers of a run share: each one of its own would import dbt and parse the project again."""
    with Forks(address_for(os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex)) as forks:
        yield forks


@pytest.fixture(scope="session")
def workbench(tmp_path_factory: pytest.TempPathFactory, forks: Forks) -> Iterator[Workbench]:
    forget_old_builds()
    workbench = Workbench(tmp_path_factory.mktemp(BUILDS), forks)
    yield workbench
    _builds.update(ran=workbench.ran, taken=workbench.taken)


@pytest.fixture(scope="module", autouse=True)
def _module_frees_disk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Remove what a module's tests have made, if they passed: that of all modules would take tens of gigabytes."""
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed == failed:
        for path in (p for p in tmp_path_factory.getbasetemp().iterdir() if not p.is_symlink()):
            # all modules build in one folder, which has the sample world for all of them
            for made in path.glob("build-*") if path.name.startswith(BUILDS) else [path]:
                shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def build(workbench: Workbench) -> Callable[..., Build]:
    return workbench.build


@pytest.fixture
def extracts(workbench: Workbench) -> Path:
    """An empty folder for extracts, always the same one: dbt parses the project anew when its path changes."""
    return workbench.clear_extracts()


@pytest.fixture(scope="session")
def sample(build: Callable[..., Build]) -> Build:
    """The sample world: the warehouse of TEST_WAREHOUSE_DIR, or one that is built."""
    if built := os.environ.get("TEST_WAREHOUSE_DIR"):
        return Build(0, "", PROJECT / built)
    made = build()
    made.warehouse = made.warehouse.rename(made.warehouse.with_name("sample"))
    return made


@pytest.fixture(scope="session")
def projects(forks: Forks) -> dict[str, Project]:
    """The project compiled under each set of options of the proof."""
    return compile_all(forks)


@pytest.fixture
def taking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Taking:
    monkeypatch.syspath_prepend(PROJECT / "plugins")
    import deliveries

    return Taking(tmp_path, deliveries)


@pytest.fixture(scope="session")
def explain() -> ModuleType:
    """scripts/explain.py as a module."""
    specification = importlib.util.spec_from_file_location("explain", PROJECT / "scripts" / "explain.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


# ----------------------------------------------------------------------------------------------------------- quick runs

NEEDS_A_BUILD = {"forks", "workbench", "build", "sample", "projects"}
# All tests of these modules look at a few builds, and change none: one worker makes them.
OF_ONE_WORKER = (
    "test_bridge.py",
    "test_closes_damaged.py",
    "test_compaction.py",
    "test_forgetting.py",
    "test_streamed_events.py",
    "test_unit_tests.py",
)
# Of the classes and tests these take longest. One that began last would keep a worker busy while the others have ended.
LONGEST = (
    "test_closes.py::TestACauseAlone",
    "test_closes_damaged.py",
    "test_compaction.py",
    "test_forgetting.py",
    "test_after_random_runs",
    "test_incremental.py::TestOptions",
    "test_repair.py::TestRepair",
    "test_dashboard.py::TestSample",
    "test_proof.py::TestProof",
    "test_bridge.py",
    "test_publishing.py::TestRuns",
    "test_publishing.py::TestKills",
    "test_store.py::TestWarehouse",
    "test_unattended_builds.py::TestRealRuns",
    "test_differential.py",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--without-builds", action="store_true", help="leave out the tests that build a warehouse")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes long begins first. With --without-builds, only tests that ask for none of the fixtures that build."""
    building = [item for item in items if NEEDS_A_BUILD & set(getattr(item, "fixturenames", ()))]
    if config.getoption("--without-builds"):
        config.hook.pytest_deselected(items=building)
        items[:] = [item for item in items if item not in building]
    scopes = {scope_of(item.nodeid) for item in building}

    def rank(item: pytest.Item) -> tuple[int, bool]:
        places = [place for place, name in enumerate(LONGEST) if name in item.nodeid]
        return min(places, default=len(LONGEST)), scope_of(item.nodeid) not in scopes

    items.sort(key=rank)


# ------------------------------------------------------------------------------------------------- the number of builds

_builds: Counter[str] = Counter()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Each worker hands its counts to the process that started it."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["builds"] = dict(_builds)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    _builds.update(getattr(node, "workeroutput", {}).get("builds", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _builds.total():
        terminalreporter.write_line(f"{_builds['ran']} builds, and {_builds['taken']} taken from earlier ones")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One worker more than cores: a worker often waits, for a browser, a lock or the disk."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Keep the tests of a class, or of some modules, on one worker: they share builds. All others go wherever there is
    time, in order."""
    from xdist.scheduler import LoadScopeScheduling

    class LoadClasses(LoadScopeScheduling):
        _split_scope = staticmethod(scope_of)

    config.option.loadscopereorder = False
    return LoadClasses(config, log)


def scope_of(nodeid: str) -> str:
    """What one worker runs: the class of a test, or the test itself, where it has none; some modules as a whole."""
    module, *scopes = nodeid.split("::")
    if module.endswith(OF_ONE_WORKER):
        return module
    return "::".join([module, *scopes[:1]]) if len(scopes) > 1 else nodeid
