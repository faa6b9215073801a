"""The one exception that users see."""


class CocktailError(ValueError):
    """Something that the user gave cannot be used: the message says what was found, what was expected and what to do.

    The studio shows it as a notice, the command line on one line with exit code 2.
    """
