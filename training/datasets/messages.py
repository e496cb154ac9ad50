"""What error messages say about the errors of libraries."""


def reason(error: Exception) -> str:
    """Return what an exception says, in one line and without the number of its error."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
