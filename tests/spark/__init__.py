"""The same worlds on DuckDB and on Spark."""
