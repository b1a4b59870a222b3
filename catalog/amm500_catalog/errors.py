"""What can be wrong with data or a request, each as one clear sentence."""


class InputError(ValueError):
    """
    Input that cannot be used: what is wrong, where, and what is allowed.

    The command line prints the sentence and exits with code 2.

    Parameters
    ----------
    what : str
        What is wrong, with the offending value.
    where : str
        The file, key or row it was found at.
    allowed : str, optional
        What would be accepted.

    """

    def __init__(self, what: str, where: str, allowed: str = "") -> None:
        self.what = what
        self.where = where
        self.allowed = allowed
        super().__init__(f"{where}: {what}" + (f"; allowed: {allowed}" if allowed else ""))


class SourceUnavailableError(RuntimeError):
    """A data source that could not be reached or had nothing; the next source may be tried."""


def unreadable_file(path: str, error: Exception) -> InputError:
    """Return what is said of a stored Parquet file that could not be read."""
    if isinstance(error, PermissionError):
        return InputError("the stored file cannot be read", path, "a file that this user may read")
    return InputError(
        "the stored file is damaged or half-written",
        path,
        "a complete Parquet file; delete it and import again",
    )
