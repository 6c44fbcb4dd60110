"""dbt commands as forks of one process that has imported dbt and parsed the project.

A dbt command spends more time on importing and parsing than on a small world. ``Forks`` starts one server process; each
command is a fork of it with its own environment, folder and output, so nothing that a command does reaches another one.
Before it forks, the server imports and compiles what each command would. A fork neither collects garbage, which a short
process has no need of, nor makes what no test reads: the events of the debug log, summaries of dbt's graph, counts of
rows for the display of progress and, where the environment has WITHOUT_COMMENTS, the database's comments. The objects
that dbt makes for each model are made the short way.

    with Forks() as forks:
        exit_code = forks.start(["build"], environment, folder, output, parsing_key(folder, "sample")).wait()

The server is ``python dbt_forks.py``: a request per line of a connection, an answer per line. The workers of a test run
share one.

Decisions::

    docs/decisions/tests-in-forks.md
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import hashlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn, TextIO

NODE_EVENTS = ("NodeStart", "NodeFinished")
LINES_OF_NODES = ("LogStartLine", "LogModelResult", "LogSeedResult")
IMPORTED_LATE = ("dbt.task.build", "dbt_common.clients.agate_helper", "numpy", "daff", "multiprocessing.dummy")
COMPARES_COLUMNS = "macro.dbt.get_assert_columns_equivalent"
WRITES_COMMENTS = "macro.embedded_usage.write_comments"
TOO_LONG = 900  # seconds after which a command that doesn't end is killed, so that its test fails
ADDRESS = "FORKS_ADDRESS"  # the environment variable with the address of a server that processes share
PARSED = ("dbt_project.yml", "profiles", "models", "seeds", "macros", "analyses", "tests/data")
EXCLUDED = "DBT_EXCLUDE_RESOURCE_TYPES"
OF_ONE_COMMAND = ("KILLED_BEFORE", "SEEDS_ARE_LOADED")  # and not of those that it starts
LOOK_EVERY = 0.02  # seconds after which the server looks again whether a command has ended


class Forks:
    """A server of dbt commands; one command at a time.

    ``address``: of the socket of a server that other processes use, too; it is started where none answers, and ends
    with its last user. None: a server of its own.
    """

    def __init__(self, address: Path | None = None) -> None:
        self._address = address
        self._connection: TextIO | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Forks:
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection:
            self._connection.close()

    def start(
        self,
        arguments: list[str],
        environment: dict[str, str],
        folder: Path,
        output: Path,
        manifest_key: str | None = None,
        group: int = 0,
    ) -> Command:
        """Start ``dbt`` with the arguments in the folder; what it prints goes to the file ``output``.

        Commands with the same ``manifest_key`` share a parsed project, in whichever folders its copies are: the key
        holds whatever parsing depends on (``parsing_key``). None: the command parses the project itself. ``group``:
        the process group that the command joins; 0: one of its own. Raises RuntimeError when the server died.
        """
        request = {
            "arguments": arguments,
            "environment": environment,
            "folder": str(folder),
            "output": str(output),
            "manifest_key": manifest_key,
            "group": group,
        }
        return Command(self._ask(request)["process"], self._ask)

    def run_script(
        self, script: Path, arguments: Sequence[str], environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run a Python script in the current folder as a fork that has imported dbt."""
        with tempfile.NamedTemporaryFile("r") as output, tempfile.NamedTemporaryFile("r") as errors:
            request = {
                "script": str(script),
                "arguments": arguments,
                "environment": environment,
                "folder": str(Path.cwd()),
                "output": output.name,
                "errors": errors.name,
                "manifest_key": None,
                "group": 0,
            }
            code = Command(self._ask(request)["process"], self._ask).wait()
            return subprocess.CompletedProcess([script, *arguments], code, output.read(), errors.read())

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            if self._connection is None:
                self._connection = _connect(self._address).makefile("rw")
            self._connection.write(json.dumps(request) + "\n")
            self._connection.flush()
            answer = self._connection.readline()
        if not answer:
            raise RuntimeError("the server of dbt commands died")
        return json.loads(answer)


def address_for(users: str) -> Path:
    """The address of the server of these users, such as the workers of a test run, who set it in the environment."""
    address = Path(tempfile.gettempdir(), f"forks-{os.getuid()}", users[:16])
    os.environ[ADDRESS] = str(address)
    return address


def _connect(address: Path | None) -> socket.socket:
    """A connection to the server at the address, which is started if there is none."""
    if address is None:
        ours, theirs = socket.socketpair()
        _start_server(theirs)
        return ours
    with _held(address):
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(address))
        except (FileNotFoundError, ConnectionRefusedError):
            address.unlink(missing_ok=True)
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(str(address))
                listening.listen()
                _start_server(listening, str(address))
            connection.connect(str(address))
        return connection


def _start_server(connection: socket.socket, *address: str) -> None:
    """It is given a connection; or, with its address, the socket that takes connections."""
    with connection:
        subprocess.Popen(
            [sys.executable, __file__, str(connection.fileno()), *address],
            pass_fds=[connection.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )


@contextlib.contextmanager
def _held(address: Path) -> Iterator[None]:
    """Nobody else connects, and the server doesn't end."""
    address.parent.mkdir(exist_ok=True)
    with address.with_name("lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def parsing_key(project: Path, source: str) -> str:
    """A digest of what parsing the project depends on; ``source``: of its extracts, the sample or others."""
    digest = hashlib.sha256(source.encode())
    for name in PARSED:
        top = project / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.suffix in (".sql", ".yml", ".md", ".csv") and path.is_file():
                with path.open("rb") as file:
                    content = file.readline() if path.suffix == ".csv" else file.read()
                digest.update(f"{path.relative_to(project)} {len(content)} ".encode() + content)
    return digest.hexdigest()


def fork_builds_of_this_process() -> None:
    """From now on a dbt build that this process starts is a fork, too, where the environment names a server.

    It stays in this process's group, and what is said to kill this process does not reach it.
    """
    if not (address := os.environ.get(ADDRESS)):
        return
    run, popen = subprocess.run, subprocess.Popen

    def is_build(command: Any) -> bool:
        return tuple(command[:3]) == (sys.executable, "-m", "dbt.cli.main")

    def popen_or_fork(command: Any, *more: Any, **options: Any) -> Any:
        if not is_build(command):
            return popen(command, *more, **options)
        done = run_or_fork(command, *more, **options)
        lines = done.stdout.splitlines(keepends=True)
        return contextlib.nullcontext(SimpleNamespace(stdout=lines, returncode=done.returncode))

    def run_or_fork(command: Any, *more: Any, **options: Any) -> Any:
        if not is_build(command):
            return run(command, *more, **options)
        environment = {name: value for name, value in options["env"].items() if name not in OF_ONE_COMMAND}
        environment["WITHOUT_COMMENTS"] = "1"
        project = Path(options["cwd"])
        variables = dict(pairwise(command)).get("--vars", "")
        has_extracts = environment.get("EXTRACTS_DIR") or "only_stored_deliveries" in variables
        source = "extracts" if has_extracts else "sample"
        with tempfile.NamedTemporaryFile("r") as output, Forks(Path(address)) as forks:
            # those that the environment names are excluded, too: dbt ignores them where the command names some
            named = [kind for option, kind in pairwise(command) if option == "--exclude-resource-type"]
            more = [kind for kind in os.environ.get(EXCLUDED, "").split() if kind not in named]
            environment[EXCLUDED] = " ".join([*named, *more])
            excluded = [f"--exclude-resource-type={kind}" for kind in more]
            arguments = [*map(str, command[3:]), *excluded, "--threads", "1"]
            key = parsing_key(project, source)
            code = forks.start(arguments, environment, project, Path(output.name), key, os.getpgid(0)).wait()
            return subprocess.CompletedProcess(command, code, output.read(), "")

    subprocess.run, subprocess.Popen = run_or_fork, popen_or_fork


@dataclass(frozen=True)
class Command:
    """A dbt command that was started; it leads a process group of its own."""

    process: int
    _ask: Callable[[dict[str, Any]], dict[str, Any]]

    def wait(self) -> int:
        """Its exit code, or minus the signal that ended it. To be called once."""
        return self._ask({"wait_for": self.process})["exit_code"]

    def kill(self) -> None:
        """End it and its children at once."""
        os.killpg(self.process, signal.SIGKILL)
        self.wait()


# --------------------------------------------------------------------------------------------------------- the server


def serve(given: socket.socket, address: Path | None) -> None:
    """Answer the requests of every connection until the last one is closed."""
    manifests: dict[str, Any] = {}
    connections: list[socket.socket] = [] if address else [given]
    waiting: dict[int, tuple[socket.socket, float]] = {}  # process -> who waits for its end, and until when
    while connections or address:
        readable = [*connections, *([given] if address else [])]
        readable, _, _ = select.select(readable, [], [], LOOK_EVERY if waiting else None)
        for ready in readable:
            if address and ready is given:
                connections.append(given.accept()[0])
            elif line := _read(ready):
                request = json.loads(line)
                if process := request.get("wait_for"):
                    waiting[process] = ready, time.monotonic() + TOO_LONG
                else:
                    _answer(ready, {"process": _start(request, manifests)})
            else:
                connections.remove(ready)
        for process, (connection, overdue) in list(waiting.items()):
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                del waiting[process]
                _answer(connection, {"exit_code": os.waitstatus_to_exitcode(status)})
            elif time.monotonic() > overdue:
                os.killpg(process, signal.SIGKILL)
        if address and not connections and _is_over(given, address):
            return


def _is_over(listening: socket.socket, address: Path) -> bool:
    """Whether no process is about to connect; a later one starts another server."""
    with _held(address):
        if select.select([listening], [], [], 0)[0]:
            return False
        address.unlink()
        return True


def _read(connection: socket.socket) -> bytes:
    """A line; empty if the other process has gone."""
    line = b""
    with contextlib.suppress(ConnectionError):
        while not line.endswith(b"\n"):
            if not (more := connection.recv(1 << 16)):
                break
            line += more
    return line if line.endswith(b"\n") else b""


def _answer(connection: socket.socket, answer: dict[str, Any]) -> None:
    with contextlib.suppress(ConnectionError):
        connection.sendall(json.dumps(answer).encode() + b"\n")


def _start(request: dict[str, Any], manifests: dict[str, Any]) -> int:
    """Fork a process that becomes the command."""
    key = request["manifest_key"]
    if key is not None and key not in manifests:
        manifests[key] = _parse(request)
    process = os.fork()
    if process == 0:
        _become_command(request, manifests.get(key))
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.setpgid(process, request["group"])  # both processes do this, so that it can be killed at once
    return process


def _parse(request: dict[str, Any]) -> Any:
    """The manifest of the project in the request's folder, under its environment and vars; None if it cannot be parsed.

    A command without a manifest parses the project again and says what is wrong.
    """
    from dbt.cli.main import dbtRunner

    _enter(request)
    arguments = request["arguments"]
    options = arguments[(at := arguments.index("--vars")) : at + 2] if "--vars" in arguments else []
    # a later test run shares what this one parsed
    parsed = Path(tempfile.gettempdir(), f"parsed-{os.getuid()}", _digest(request["manifest_key"]))
    parsed.mkdir(parents=True, exist_ok=True)
    with (parsed / "lock").open("w") as lock, contextlib.redirect_stdout(sys.stderr):
        fcntl.flock(lock, fcntl.LOCK_EX)
        parse = ["--log-level", "none", "parse", "--target-path", str(parsed), *options]
        manifest = dbtRunner().invoke(parse).result
    if manifest:
        _warm_up(manifest)
    return manifest


def _warm_up(manifest: Any) -> None:
    """Import the modules that a command imports when it runs, and compile the templates of all macros and models."""
    for module in IMPORTED_LATE:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    from dbt_common.clients import jinja

    _keep_compiled_templates()
    for macro in manifest.macros.values():
        jinja.template_cache.get_node_template(macro)
    for node in manifest.nodes.values():
        if node.resource_type in ("model", "operation"):
            jinja.get_template(node.raw_code, {})


@cache
def _keep_compiled_templates() -> None:
    """dbt keeps those of macros alone."""
    from dbt_common.clients import jinja

    compile_ = jinja.MacroFuzzEnvironment.compile
    compiled: dict[str, Any] = {}

    def compile_once(self: Any, source: Any, *more: Any, **options: Any) -> Any:
        if more or options or type(self) is not jinja.MacroFuzzEnvironment:
            return compile_(self, source, *more, **options)
        if source not in compiled:
            compiled[source] = compile_(self, source)
        return compiled[source]

    jinja.MacroFuzzEnvironment.compile = compile_once


def _place(manifest: Any, folder: str) -> None:
    """The project was parsed in the folder of one of its copies; dbt reads the rows of seeds there."""
    for node in manifest.nodes.values() if manifest else ():
        if node.resource_type == "seed":
            node.root_path = folder


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def _become_command(request: dict[str, Any], manifest: Any) -> NoReturn:
    exit_code = 2
    try:
        os.setpgid(0, request["group"])
        for stream, name in ((sys.stdout, request["output"]), (sys.stderr, request.get("errors", request["output"]))):
            file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
            os.dup2(file, stream.fileno())
        _enter(request)
        gc.disable()
        fork_builds_of_this_process()
        if script := request.get("script"):
            sys.argv[0] = script
            sys.path.insert(0, str(Path(script).parent))
            runpy.run_path(script, run_name="__main__")
        else:
            exit_code = _run_dbt(request, manifest)
    except SystemExit as ended:
        exit_code = ended.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(exit_code)


def _run_dbt(request: dict[str, Any], manifest: Any) -> int:
    """Run dbt without what no test reads; returns the exit code of dbt's command line."""
    from dbt.cli.main import dbtRunner

    _place(manifest, request["folder"])
    _leave_out_events()
    _leave_out_summaries()
    _leave_out_counts_of_rows()
    _make_contexts_the_short_way()
    _read_dates_by_one_calendar()
    tests_data = "test" not in os.environ.get(EXCLUDED, "").split()
    if manifest and not tests_data:
        _leave_out_data_tests(manifest)
    if os.environ.get("SEEDS_ARE_LOADED"):
        _keep_loaded_seeds()
    if manifest and os.environ.get("WITHOUT_COMMENTS"):
        manifest.macros[WRITES_COMMENTS].macro_sql = "{% macro write_comments() %}{% endmacro %}"
        if not tests_data:
            # nor does it compare columns with contracts, which depends on the code alone
            manifest.macros[COMPARES_COLUMNS].macro_sql = "{% macro get_assert_columns_equivalent(sql) %}{% endmacro %}"
    if dict(pairwise(request["arguments"])).get("--threads") == "1":  # the last one, as dbt has it
        _let_the_engine_use_one_thread()
    if moment := os.environ.get("KILLED_BEFORE"):
        _die_before(*moment.split())
    if manifest is None:
        # the static parser's threads, of a parse before the fork, are not in the fork, and it would wait for them
        os.environ["DBT_STATIC_PARSER"] = "false"
    result = dbtRunner(manifest=manifest).invoke(request["arguments"])
    return 0 if result.success else 2 if result.exception else 1


def _die_before(call: str, name: str) -> None:
    """Have the command killed when it is about to give a file this name: ``KILLED_BEFORE="replace usage.duckdb"``."""
    really = getattr(os, call)

    def killed(source: Any, target: Any, *arguments: Any, **options: Any) -> None:
        if Path(target).name == name:
            os.killpg(0, signal.SIGKILL)
        really(source, target, *arguments, **options)

    setattr(os, call, killed)


def _let_the_engine_use_one_thread() -> None:
    """On small worlds threads mostly wait for each other. Builds with more of dbt's threads keep the engine's, too."""
    import duckdb

    connect = duckdb.connect

    def connect_with_one_thread(*arguments: Any, **options: Any) -> Any:
        connection = connect(*arguments, **options)
        if connection.execute("select current_setting('threads')").fetchone() != (1,):
            connection.execute("set threads = 1")
        return connection

    duckdb.connect = connect_with_one_thread


def _leave_out_events() -> None:
    """Of debugging, of which dbt builds some thousand in each run, though no log takes them; and, where the environment
    has WITHOUT_NODE_EVENTS, those of each node, which the display of progress needs, and the lines of its success."""
    from dbt_common.events import functions
    from dbt_common.events.base_types import BaseEvent, DebugLevel, EventLevel

    build, fire_event = BaseEvent.__init__, functions.fire_event
    without_nodes = bool(os.environ.get("WITHOUT_NODE_EVENTS"))
    of_nodes, lines = ((), LINES_OF_NODES) if without_nodes else (NODE_EVENTS, ())

    def build_unless_left_out(self: Any, *arguments: Any, **fields: Any) -> None:
        if not isinstance(self, DebugLevel) or type(self).__name__ in of_nodes:
            build(self, *arguments, **fields)

    def fire(e: Any, level: Any = None, **more: Any) -> None:
        name, level_ = type(e).__name__, level or e.level_tag()
        if name in of_nodes or not (level_ == EventLevel.DEBUG or (level_ == EventLevel.INFO and name in lines)):
            fire_event(e, level, **more)

    BaseEvent.__init__ = build_unless_left_out
    for module in list(sys.modules.values()):
        if getattr(module, "fire_event", None) is fire_event:
            module.fire_event = fire


def _leave_out_summaries() -> None:
    """Of a graph that was looked at when it was parsed: a file for the developers of dbt, and a search for cycles."""
    from dbt.compilation import Linker

    Linker.find_cycles = lambda self: None
    Linker.get_graph_summary = lambda self, manifest: {}


def _leave_out_data_tests(manifest: Any) -> None:
    """Of a build that runs none: dbt would lay their edges into its graph and look at each of them several times."""
    from dbt.task.build import BuildTask

    manifest.nodes = {name: node for name, node in manifest.nodes.items() if node.resource_type != "test"}
    manifest.unit_tests = {}

    def compile_without_test_edges(self: Any) -> None:
        self.graph = self.compiler.compile(self.manifest)

    BuildTask.compile_manifest = compile_without_test_edges


def _keep_loaded_seeds() -> None:
    """Those that the warehouse has: the same project loaded them in its last run."""
    from dbt.artifacts.schemas.results import RunStatus
    from dbt.artifacts.schemas.run import RunResult
    from dbt.task.runnable import GraphRunnableTask

    call_runner = GraphRunnableTask.call_runner

    def call_unless_loaded(self: Any, runner: Any) -> Any:
        node = runner.node
        if node.resource_type != "seed" or not runner.adapter.get_relation(node.database, node.schema, node.alias):
            return call_runner(self, runner)
        return RunResult.from_node(node, RunStatus.Success, "kept")

    GraphRunnableTask.call_runner = call_unless_loaded


def _leave_out_counts_of_rows() -> None:
    """The project's plugin counts those of each table, and shows their sum where a run is longer than these are."""
    from dbt.adapters.duckdb.plugins import BasePlugin

    create = BasePlugin.create.__func__

    def create_without_counts(cls: Any, *arguments: Any, **options: Any) -> Any:
        plugin = create(cls, *arguments, **options)
        plugin._count_rows = lambda schema, name: 0
        return plugin

    BasePlugin.create = classmethod(create_without_counts)


def _make_contexts_the_short_way() -> None:
    """dbt makes one for each template that it renders, with an object for each macro: a quarter of a million a run."""
    from dbt.clients.jinja import MacroGenerator
    from dbt.context.macros import MacroNamespace, MacroNamespaceBuilder
    from dbt.context.manifest import ManifestContext, TestMacroNamespace

    def build_namespace(self: Any, macros_by_package: Any, context: dict[str, Any]) -> Any:
        shared = {"context": context, "node": self.node, "stack": self.thread_ctx}

        def generator(macro: Any) -> Any:
            made = MacroGenerator.__new__(MacroGenerator)
            made.__dict__ = {**shared, "macro": macro}
            return made

        packages = {
            package: {name: generator(macro) for name, macro in macros.items()}
            for package, macros in macros_by_package.items()
        }
        internal = {}
        for package in reversed(self.internal_package_names_order):
            internal |= packages.pop(package, {})
        return MacroNamespace(
            global_namespace=packages.get(self.root_package, {}) if self.root_package != self.search_package else {},
            local_namespace=packages.get(self.search_package, {}),
            global_project_namespace=internal,
            packages=packages,
        )

    to_dict = ManifestContext.to_dict

    def to_dict_by_space(self: Any) -> dict[str, Any]:
        if isinstance(self.namespace, TestMacroNamespace):
            return to_dict(self)
        made = super(ManifestContext, self).to_dict()
        for space in reversed([*self.namespace._search_order()]):
            made.update(space)
        return made

    MacroNamespaceBuilder.build_namespace = build_namespace
    ManifestContext.to_dict = to_dict_by_space


def _read_dates_by_one_calendar() -> None:
    """For each result of a query a library sets up the months and weekdays of a language, some of them twice."""
    import parsedatetime

    parsedatetime.Constants = cache(parsedatetime.Constants)


def _enter(request: dict[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.chdir(request["folder"])
    sys.argv = ["dbt", *request["arguments"]]


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
