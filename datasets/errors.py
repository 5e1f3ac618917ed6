"""The one error that every reader of data raises for a user's mistake."""


class DataError(ValueError):
    """Something is wrong with the data; the message names the file and says what to do."""
