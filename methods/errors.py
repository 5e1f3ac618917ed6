"""The one error that every method raises for a user's mistake."""


class MethodError(ValueError):
    """A method was asked for, built or fed wrongly; the message says what to do."""
