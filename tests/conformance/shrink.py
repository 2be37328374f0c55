"""Making a history that fails as short as can be."""

from collections.abc import Callable
from pathlib import Path

from tests.conformance.history import History
from tests.conformance.replay import replay

MOST_REPLAYS = 400


def kind_of(failure: str) -> str:
    """The first words of a failure: a shorter history must fail in the same way."""
    return " ".join(failure.split()[:3])


def failure_of(history: History, folder: Path) -> str:
    """What is wrong with what the history comes to; empty if nothing is."""
    try:
        replay(history, folder)
    except AssertionError as broken:
        return str(broken) or "an assertion failed"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def shrunk(
    history: History, fails: Callable[[History], object], *, most: int = MOST_REPLAYS
) -> History:
    """A history of which no part can be left out without the failure going away (as far as some
    hundred replays can tell). Halves are left out first, then quarters, down to single parts."""
    replays, size = 0, max(1, len(history.parts()) // 2)
    while True:
        shorter, parts = False, history.parts()
        for start in range(0, len(parts), size):
            if replays >= most:
                return history
            less = history.without(parts[start : start + size])
            replays += 1
            if any(name[0] in "ta" for name in less.parts()) and fails(less):
                history, shorter = less, True
        if size == 1 and not shorter:
            return history
        size = size if shorter and size == 1 else max(1, size // 2)


def described(history: History) -> str:
    """The history line by line, for a reader."""
    story = history.story
    lines = [f"settings: {story.settings}"]
    if story.second is not None:
        lines.append(f"second program: {story.second}")
    for name in history.parts():
        kind, number = name[0], int(name[1:])
        match kind:
            case "t":
                type, object, on = story.tells[number]
                lines.append(f"  {name}: day {on:.3f} {type} {object['id']}")
            case "a":
                act = story.acts[number]
                lines.append(f"  {name}: day {act.on:.3f} {act.door} {act.says}")
            case "d":
                lines.append(f"  {name}: {history.troubles[number]}")
    return "\n".join(lines)
