"""Why nothing was done, or no more was done: a sentence for whoever typed the command."""


class Refused(Exception):
    """Its text says what is wrong and what to do."""
