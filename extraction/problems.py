"""What can go wrong. Each message is one or more sentences for the user, without the token."""

from __future__ import annotations


class Failure(Exception):
    """One customer, recipe or listing cannot be read; everything else continues."""


class NoPermission(Failure):
    """The token may not read this endpoint."""


class Gone(Failure):
    """The platform does not know what was asked for, such as a job that was deleted."""


class Fatal(Exception):
    """Nothing more can be read."""


class OutOfTime(Exception):
    """The time budget is used up, or somebody asked to stop."""
