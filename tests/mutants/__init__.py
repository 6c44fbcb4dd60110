"""Mutates the project one place at a time, and asks which of the tests notice."""
