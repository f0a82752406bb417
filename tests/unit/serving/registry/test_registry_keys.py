from datetime import UTC, datetime, timedelta

from fhir_gateway.serving.registry.keys import RegistryKeys

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
LIFE = timedelta(days=90)


def test_a_key_signs_for_its_days_and_is_then_followed_by_a_new_one(tmp_path):
    keys = RegistryKeys(tmp_path)
    first = keys.current(BEGINNING, life=LIFE)
    assert keys.current(BEGINNING + LIFE, life=LIFE) == first
    due = BEGINNING + LIFE + timedelta(seconds=1)
    second = keys.current(due, life=LIFE)
    assert second.id != first.id
    assert keys.current(due, life=LIFE) == second


def test_tokens_of_the_key_before_live_on_for_their_minutes_only(tmp_path):
    keys = RegistryKeys(tmp_path)
    first = keys.current(BEGINNING, life=LIFE)
    due = BEGINNING + LIFE + timedelta(seconds=1)
    second = keys.current(due, life=LIFE)
    assert [key.id for key in keys.all(due)] == [second.id, first.id]
    assert [key.id for key in keys.all(due + timedelta(minutes=10))] == [second.id]


def test_whoever_opens_the_folder_later_has_the_same_keys(tmp_path):
    made = RegistryKeys(tmp_path).current(BEGINNING, life=LIFE)
    assert RegistryKeys(tmp_path).current(BEGINNING, life=LIFE).id == made.id
