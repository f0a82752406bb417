import threading

import pytest

from fhir_gateway.serving.request_rates import WINDOW, RequestRates


class Seconds:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def seconds():
    return Seconds()


@pytest.fixture
def rates(seconds):
    return RequestRates(monotonic=seconds)


def test_so_many_and_no_more(rates):
    assert [rates.hit(3, "request", "a") for _ in range(5)] == [0, 0, 0, 60, 60]


def test_everybody_has_a_count_of_their_own(rates):
    rates.hit(1, "request", "a")
    assert rates.hit(1, "request", "b") == 0
    assert rates.hit(1, "token", "a") == 0
    assert rates.hit(1, "request", "a") == 60


def test_there_is_room_again_when_the_window_is_over(rates, seconds):
    rates.hit(1, "a")
    seconds.now += WINDOW - 0.5
    assert rates.hit(1, "a") == 1
    seconds.now += 0.5
    assert rates.hit(1, "a") == 0
    assert rates.hit(1, "a") == 60


def test_looking_counts_nothing(rates):
    assert [rates.wait(1, "a") for _ in range(3)] == [0, 0, 0]
    rates.hit(1, "a")
    assert rates.wait(1, "a") == 60


def test_a_refused_one_does_not_lengthen_the_wait(rates, seconds):
    rates.hit(1, "a")
    for _ in range(30):
        rates.hit(1, "a")
        seconds.now += 1
    assert rates.wait(1, "a") == 30


def test_what_is_over_is_forgotten(rates, seconds):
    for number in range(100):
        rates.hit(1, "address", str(number))
    seconds.now += WINDOW
    rates.hit(1, "address", "new")
    assert rates.counted == 1


def test_no_thread_is_started(rates):
    before = threading.active_count()
    for _ in range(50):
        rates.hit(100, "a")
    assert threading.active_count() == before
