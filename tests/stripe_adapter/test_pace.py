"""How fast Stripe is asked, on a clock that only moves when somebody waits."""

from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.stripe_adapter.pace import LONGEST_PAUSE_S, Pacer
from tests.stripe_adapter.asking import Waiting


def test_the_first_call_begins_at_once() -> None:
    waiting = Waiting()
    waiting.pacer().wait()
    assert waiting.waits == []


def test_calls_that_take_no_time_begin_eighteen_a_second() -> None:
    waiting = Waiting()
    pacer = waiting.pacer()
    for _ in range(181):
        pacer.wait()
    assert waiting.time - 1_000 == pytest.approx(10)


def test_calls_that_take_longer_than_the_gap_wait_for_nothing() -> None:
    waiting = Waiting()
    pacer = waiting.pacer()
    for _ in range(5):
        pacer.wait()
        waiting.time += 0.2
    assert waiting.waits == []


@given(st.lists(st.tuples(st.floats(0, 0.3), st.sampled_from([None, 0, 0.5, 3]) | st.just("no"))))
def test_no_second_holds_twenty_calls(doing: list[tuple[float, object]]) -> None:
    """Whatever the calls take, and whatever Stripe says after them."""
    waiting = Waiting()
    pacer = waiting.pacer()
    begun = []
    for takes, told in doing * 3:
        pacer.wait()
        begun.append(waiting.time)
        waiting.time += takes
        if told != "no":
            pacer.back_off(1, told)
    for start in begun:
        assert sum(start <= other < start + 1 for other in begun) < 20


def test_a_failure_itself_costs_no_time_and_the_next_call_waits() -> None:
    waiting = Waiting()
    pacer = waiting.pacer()
    pacer.back_off(1, 4)
    assert waiting.waits == []
    pacer.wait()
    assert waiting.waits == [4]


@pytest.mark.parametrize(
    ("attempt", "longest"), [(1, 0.5), (2, 1), (3, 2), (4, 4), (7, 32), (5_000, 512)]
)
def test_pauses_double_up_to_a_bound_and_half_of_each_is_chance(
    attempt: int, longest: float
) -> None:
    for chance, pause in ((0.0, longest / 2), (1.0, longest)):
        waiting = Waiting()
        pacer = Pacer(clock=waiting.now, sleep=waiting.sleep, chance=lambda chance=chance: chance)
        pacer.back_off(attempt, None)
        pacer.wait()
        assert waiting.waits == [pytest.approx(min(pause, LONGEST_PAUSE_S))]


@pytest.mark.parametrize(("told", "pause"), [(0, 1 / 18), (2, 2), (600, LONGEST_PAUSE_S)])
def test_what_stripe_tells_is_kept_within_bounds(told: float, pause: float) -> None:
    waiting = Waiting()
    pacer = waiting.pacer()
    pacer.wait()
    pacer.back_off(3, told)
    pacer.wait()
    assert waiting.waits == [pytest.approx(pause)]


def test_a_shorter_pause_never_shortens_a_longer_one() -> None:
    waiting = Waiting()
    pacer = waiting.pacer()
    pacer.back_off(1, 9)
    pacer.back_off(1, 1)
    pacer.wait()
    assert waiting.waits == [9]


def test_threads_that_share_one_are_spaced_as_well() -> None:
    waits: list[float] = []
    pacer = Pacer(clock=lambda: 0.0, sleep=waits.append)
    threads = [Thread(target=lambda: [pacer.wait() for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(waits) == pytest.approx([number / 18 for number in range(1, 80)])
