from fhir_gateway.domain.recent import forget_all, remembered


def test_a_remembered_function_is_asked_once_until_everything_is_forgotten():
    asked = []

    @remembered(2)
    def double(number):
        asked.append(number)
        return 2 * number

    assert [double(3), double(3)] == [6, 6]
    assert asked == [3]
    forget_all()
    assert double(3) == 6
    assert asked == [3, 3]


def test_no_more_is_remembered_than_was_said():
    @remembered(2)
    def same(number):
        return number

    for number in range(10):
        same(number)
    assert same.cache_info().currsize == 2
