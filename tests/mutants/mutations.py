"""Every mutation: to a place of a model's SQL, found in its syntax tree, or to a row of the rule book."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import sqlglot
from reference.compiled import Model
from sqlglot import exp

# In the middle of what the random worlds hold: from here on, or up to here, a mutated row is another one.
MIDDLE = date(2024, 4, 16)
NO_BOUND = ("0001-01-01", "9999-12-31")  # stand for no beginning and no end: any other far date would be the same


@dataclass(frozen=True)
class Mutation:
    """One place made wrong. ``sql``: the whole model, or the statements that mutation a table of the rule book."""

    target: str
    what: str
    sql: str

    @property
    def is_of_rules(self) -> bool:
        return self.target.startswith("rules.")


# ------------------------------------------------------------------------------------------------------ a model's SQL


def mutations_of_model(model: Model) -> Iterator[Mutation]:
    """The model mutated in each predicate, join, coalesce, constant, aggregate and order in turn."""
    tree = sqlglot.parse_one(model.sql, read="duckdb")
    size = sum(1 for _ in tree.walk())
    seen = {written(tree)}
    for position in range(size):
        for number in range(len(list(_alternatives(_node(tree, position))))):
            mutated = tree.copy()
            node = _node(mutated, position)
            place = _place(node)
            before = node.sql("duckdb")
            what, change = list(_alternatives(node))[number]
            after = change()
            if after is not None and after is not node:
                if node is mutated:
                    continue
                node.replace(after)
            sql = written(mutated)
            if sql not in seen:
                seen.add(sql)
                yield Mutation(model.relation, f"{place}: {what}: {_short(before)}", sql)


def written(tree: exp.Expression) -> str:
    """The tree as DuckDB's SQL."""
    return tree.sql(dialect="duckdb")


def _node(tree: exp.Expression, position: int) -> exp.Expression:
    return next(node for n, node in enumerate(tree.walk()) if n == position)


def _place(node: exp.Expression) -> str:
    """The CTE, and the column if it is in one."""
    cte = node.find_ancestor(exp.CTE)
    alias = node if isinstance(node, exp.Alias) else node.find_ancestor(exp.Alias)
    names = [cte.alias if cte else "the last select", alias.alias if alias else ""]
    return ".".join(name for name in names if name)


def _short(sql: str, length: int = 160) -> str:
    sql = re.sub(r"\s+", " ", sql)
    return sql if len(sql) <= length else f"{sql[: length - 1]}…"


SWAPS = {
    exp.EQ: exp.NEQ,
    exp.NEQ: exp.EQ,
    exp.NullSafeEQ: exp.NullSafeNEQ,
    exp.NullSafeNEQ: exp.NullSafeEQ,
    exp.GT: exp.GTE,
    exp.GTE: exp.GT,
    exp.LT: exp.LTE,
    exp.LTE: exp.LT,
    exp.Add: exp.Sub,
    exp.Sub: exp.Add,
    exp.Mul: exp.Div,
    exp.Max: exp.Min,
    exp.Min: exp.Max,
    exp.LogicalOr: exp.LogicalAnd,
    exp.LogicalAnd: exp.LogicalOr,
}


def _alternatives(node: exp.Expression) -> Iterator[tuple]:
    """(what is done, a function that does it and returns what takes the node's place, or None if it changed it)."""
    if swap := SWAPS.get(type(node)):
        yield f"{node.key} to {swap.key}", lambda: swap(**node.args)
    if isinstance(node, exp.And | exp.Or):
        if not _is_true(node.right):
            yield "left side alone", lambda: node.left
        yield "right side alone", lambda: node.right
        other = exp.Or if isinstance(node, exp.And) else exp.And
        yield f"{node.key} to {other.key}", lambda: other(**node.args)
    if isinstance(node, exp.Not):
        yield "without not", lambda: node.this
    if isinstance(node, exp.Is | exp.In | exp.Between) and not isinstance(node.parent, exp.Not):
        yield "negated", lambda: exp.Not(this=node.copy())
    if isinstance(node, exp.Boolean):
        yield "the other truth", lambda: exp.Boolean(this=not node.this)
    if isinstance(node, exp.Coalesce):
        arguments = [node.this, *node.expressions]
        for n in range(len(arguments)):
            rest = arguments[:n] + arguments[n + 1 :]
            yield (
                f"without argument {n + 1}",
                lambda rest=rest: rest[0] if len(rest) == 1 else exp.Coalesce(this=rest[0], expressions=rest[1:]),
            )
    if isinstance(node, exp.Case):
        branches, default = node.args["ifs"], node.args.get("default")
        for n in range(len(branches)):
            if len(branches) > 1:
                yield f"without branch {n + 1}", lambda n=n: node.set("ifs", branches[:n] + branches[n + 1 :])
            else:
                yield "its default alone", lambda: default.copy() if default else exp.Null()
        if default and not isinstance(default, exp.Null):
            yield "without default", lambda: node.set("default", None)
    if isinstance(node, exp.Join):
        if node.side == "LEFT":
            yield "left join to inner join", lambda: (node.set("side", None), node.set("kind", "INNER"))[1]
        elif node.args.get("on") is not None:
            yield "inner join to left join", lambda: (node.set("kind", None), node.set("side", "LEFT"))[1]
    if isinstance(node, exp.Select):
        for clause in ("where", "having", "qualify", "distinct"):
            if node.args.get(clause) is not None and not _is_true(node.args[clause].this):
                yield f"without {clause}", lambda clause=clause: node.set(clause, None)
    if isinstance(node, exp.Filter):
        yield "without filter", lambda: node.this
    if isinstance(node, exp.Count) and isinstance(node.this, exp.Distinct):
        yield "count without distinct", lambda: exp.Count(this=node.this.expressions[0])
    if isinstance(node, exp.Sum):
        yield "sum to max", lambda: exp.Max(this=node.this)
    if isinstance(node, exp.Union):
        yield "union all to union, or back", lambda: node.set("distinct", not node.args.get("distinct"))
    if isinstance(node, exp.Ordered):
        yield "the other way round", lambda: node.set("desc", not node.args.get("desc"))
    if isinstance(node, exp.Window) and len(node.args.get("partition_by") or []) > 0:
        keys = node.args["partition_by"]
        for n in range(len(keys)):
            yield f"without partition key {n + 1}", lambda n=n: node.set("partition_by", keys[:n] + keys[n + 1 :])
    if isinstance(node, exp.Lower | exp.Upper | exp.Trim):
        yield f"without {node.key}", lambda: node.this
    if isinstance(node, exp.Literal) and not isinstance(node.parent, exp.DataTypeParam):
        if not node.is_string:
            yield "one more", lambda: exp.Literal.number(int(node.this) + 1) if node.this.isdigit() else None
        elif re.fullmatch(r"\d{4}-\d{2}-\d{2}", node.this) and node.this not in NO_BOUND:
            for days in (-1, 1):
                day = date.fromisoformat(node.this) + timedelta(days=days)
                yield f"{days:+} day", lambda day=day: exp.Literal.string(str(day))
        elif node.this.isdigit():
            yield "one more", lambda: exp.Literal.string(str(int(node.this) + 1))
        elif node.this not in NO_BOUND:
            yield "another text", lambda: exp.Literal.string(f"{node.this}?")


def _is_true(node: exp.Expression | None) -> bool:
    """Whether it is a condition that is true for all rows, such as the scope of a run in a full build."""
    return isinstance(node, exp.Boolean) and node.this


# ---------------------------------------------------------------------------------------------------- the rule book


def mutations_of_rules(
    table: str, columns: list[str], rows: list[tuple], words: dict[str, list], unread: set[str]
) -> Iterator[Mutation]:
    """Each row of a table of the rule book: gone, in force for half of the time, and each value another one.

    ``words``: by column, the values that it has anywhere in the table. ``unread``: columns that no figure knows.
    """
    for row in rows:
        named = dict(zip(columns, row, strict=True))
        this_row = " and ".join(f"{column} is not distinct from {_literal(value)}" for column, value in named.items())
        key = ", ".join(str(value) for column, value in named.items() if column not in unread and value is not None)

        def mutation(what: str, statement: str, key: str = key, this_row: str = this_row) -> Mutation:
            return Mutation(table, f"{key}: {what}", f"{statement} where {this_row}")

        yield mutation("gone", f"delete from {table}")
        for column, value in named.items():
            if column in ("effective_from", "effective_to"):
                if value is None or value == date(1970, 1, 1):
                    yield mutation(f"{column} {MIDDLE}", f"update {table} set {column} = date '{MIDDLE}'")
                else:
                    for days in (-1, 1):
                        day = value + timedelta(days=days)
                        yield mutation(f"{column} {days:+} day", f"update {table} set {column} = date '{day}'")
            elif column not in unread:
                for other in _others(value, words[column]):
                    yield mutation(f"{column} {value} to {other}", f"update {table} set {column} = {_literal(other)}")


def _others(value: object, words: list) -> list:
    """One other value: the opposite, one more, or the next word of the column."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1]
    if value is None:
        return []
    if words.index(value) + 1 < len(words):
        return [words[words.index(value) + 1]]
    return [words[0]] if len(words) > 1 else [f"{value}?"]


def _literal(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    text = str(value).replace("'", "''")
    return f"date '{text}'" if isinstance(value, date) else f"'{text}'"
