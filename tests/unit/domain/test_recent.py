from fhir_gateway.domain.recent import Recent


def test_what_was_asked_for_lately_is_known():
    recent = Recent(2)
    recent.keep("a", 1)
    assert recent.get("a") == 1
    assert recent.get("b") is None


def test_no_more_than_twice_the_size_is_kept():
    recent = Recent(3)
    for number in range(100):
        recent.keep(number, number + 1)
    known = [number for number in range(100) if recent.get(number) is not None]
    assert 3 <= len(known) <= 6
    assert known[-1] == 99


def test_what_is_asked_for_again_and_again_is_never_forgotten():
    recent = Recent(4)
    recent.keep("often", 1)
    for number in range(1000):
        recent.keep(number, number)
        assert recent.get("often") == 1


def test_values_asked_for_together_are_those_asked_for_one_by_one():
    together, alone = Recent(2), Recent(2)
    for recent in (together, alone):
        for number in range(4):
            recent.keep(number, str(number))
    keys = [0, 9, 3, 2, 0]
    assert together.get_all(keys) == [alone.get(key) for key in keys]
    assert [together.get(key) for key in range(4)] == [alone.get(key) for key in range(4)]


def test_values_kept_together_are_known_and_forgotten_when_others_followed():
    recent = Recent(2)
    recent.keep_all({"a": 1, "b": 2, "c": 3})
    assert recent.get_all(["a", "b", "c"]) == [1, 2, 3]
    recent.keep_all({"d": 4, "e": 5})
    assert recent.get_all(["d", "e"]) == [4, 5]
    recent.keep_all({"f": 6, "g": 7})
    assert recent.get_all(["a", "b", "c", "g"]) == [None, None, None, 7]
