"""Taking files in without dbt: a small contract, an EXTRACTS_DIR and the store, and what stands in it."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
from reference.files import as_csv, write_parquet, write_text

TEXT, NUMBER, TIME = "string", "bigint", "timestamp"
CONTRACT = {
    "extracts": {
        "customers": {"required": True, "columns": [["id", TEXT, True], ["name", TEXT, False]]},
        "jobs": {
            "required": True,
            "columns": [["id", TEXT, True], ["status", TEXT, True], ["error", TEXT, False], ["count", NUMBER, False]],
        },
        "steps": {"required": True, "columns": [["id", TEXT, True]]},
        "job_history": {"required": False, "columns": [["record", TEXT, False]]},
        "seats": {"required": False, "columns": [["id", TEXT, True], ["product", TEXT, False], ["at", TIME, False]]},
    },
    "types": {
        "string": {"as": "varchar", "read": "cast({value} as varchar)"},
        "bigint": {"as": "bigint", "read": "try_cast({value} as bigint)"},
        "timestamp": {"as": "timestamp", "read": "try_cast({value} as timestamp)"},
    },
}
JOBS = [{"id": str(n), "status": f"status, {n}", "error": None if n % 3 else f'"{n}"\nmore'} for n in range(20)]
COLUMNS = ("id", "status", "error")


class Taking:
    """An EXTRACTS_DIR with what is required, and the store that takes it in."""

    def __init__(self, folder: Path, module) -> None:
        self.module = module
        self.extracts = folder / "extracts"
        self.store = folder / "deliveries"
        self.committed: dict[str, int] = {}
        self.whole = False
        self.settling = 0.0
        self.limits: dict[str, object] = {}
        self.quarantines = False
        self.bucket = ""  # an address in place of the folder
        self.history = ""
        self.lookback = 7
        self.list_all = ""
        self.contract = CONTRACT
        for extract in ("customers", "steps"):
            write_text(self.extracts / extract / "a.csv", "id\n1\n")
        self.write("jobs/a.csv", JOBS)

    def write(self, path: str, rows: list[dict]) -> Path:
        file = self.extracts / path
        if path.endswith(".parquet"):
            write_parquet(file, rows, dict.fromkeys(rows[0], "VARCHAR"))
        elif ".csv" in path:
            write_text(file, as_csv(rows, rows[0]))
        else:
            write_text(file, "".join(json.dumps(row) + "\n" for row in rows))
        return file

    def terms(self) -> dict:
        return self.contract | {
            "committed": self.committed,
            "is_whole": self.whole,
            "settling_seconds": self.settling,
            "limits": self.limits,
            "quarantine_files": self.quarantines,
            "job_history_dir": self.history,
            "stream_lookback_days": self.lookback,
            "list_all": self.list_all,
        }

    def answer(self, folder: Path | str | None = None) -> dict:
        folder = (self.bucket or self.extracts) if folder is None else folder
        return json.loads(self.module.ingest_deliveries(str(folder), str(self.store), json.dumps(self.terms())))

    def take_in(self, folder: Path | str | None = None) -> dict:
        answer = self.answer(folder)
        assert answer["problem"] is None, answer["problem"]
        return answer

    def stops(self, *texts: str) -> None:
        """Asserts that nothing is taken in, with a message that holds the texts, and that the store is as it was."""
        before = self.contents()
        problem = self.answer()["problem"]
        assert problem
        for text in texts:
            assert str(text) in problem
        assert self.contents() == before

    def contents(self) -> dict[Path, bytes]:
        """What is stored; without downloads, which the next run takes in."""
        paths = [path for path in self.store.rglob("*") if path.is_file() and path.parent.name != ".downloads"]
        return {path: path.read_bytes() for path in paths}

    def jobs(self) -> list[tuple[int, str]]:
        return [(load, path) for load, _, path, _ in self.take_in("")["files"]["jobs"]]

    def rows(self, stored: str, columns: str = "id, status, error", of: str = "%") -> list[tuple]:
        """What the stored file has of the delivered files whose names are like ``of``, in its order."""
        with duckdb.connect() as db:
            return db.execute(f"select {columns} from '{self.store / stored}' where file_name like ?", [of]).fetchall()

    def manifest(self, load: str) -> dict:
        return json.loads((self.store / load / "manifest.json").read_text())
