"""What can go wrong around a run, each with one sentence for whoever must mend it."""


class MonitorError(Exception):
    """Root of this room's errors."""


class JournalError(MonitorError):
    """The journal cannot be used as it is: another program's file, or a newer version's."""


class AlreadyRunningError(MonitorError):
    """Another process holds the journal or answers at the socket."""


class ControlError(MonitorError):
    """A command could not be put to a running node: no such run, no answer, or an answer that is none."""
