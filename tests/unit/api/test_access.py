import pytest
from tests.fakes.served_gateway import assert_is_problem

from fhir_gateway.domain.access import Role


async def test_a_key_opens_its_environment(served):
    key_id, key = served.key(Role.AUDITOR)
    answer = await served.get("/north/access", key)
    assert answer.status_code == 200
    assert answer.json() == {"environment": "north", "key": key_id, "name": "Sari", "role": "auditor"}


async def test_a_key_of_another_environment_opens_nothing(served):
    _, key = served.key(environment="south")
    answer = await served.get("/north/access", key)
    assert_is_problem(answer, 401, "login")
    assert answer.headers["www-authenticate"] == 'Bearer realm="north"'


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer x", "Basic Zm86YmFy", "Bearer fgk-00000000-" + "A" * 43, "Bearer \udcff"],
    ids=ascii,
)
async def test_without_a_valid_key_nothing_is_opened(served, header):
    headers = {"Authorization": header.encode("utf-8", "surrogateescape")}
    assert_is_problem(await served.get("/north/access", headers=headers), 401, "login")


async def test_the_id_of_a_key_with_another_secret_opens_nothing(served):
    _, key = served.key()
    other = key[:-1] + ("A" if key[-1] != "A" else "B")
    assert_is_problem(await served.get("/north/access", other), 401)


async def test_a_revoked_key_is_refused_at_once(served):
    key_id, key = served.key()
    assert (await served.get("/north/access", key)).status_code == 200
    served.revoke(key_id)
    assert_is_problem(await served.get("/north/access", key), 401)


async def test_an_environment_that_is_not_there_is_not_found(served):
    assert_is_problem(await served.get("/west/access", served.key()[1]), 404, "not-found")


async def test_wrong_secrets_for_a_key_are_limited(served):
    _, key = served.key()
    wrong = key[:-4] + "AAAA"
    for _ in range(10):
        assert_is_problem(await served.get("/north/access", wrong), 401)
    limited = await served.get("/north/access", key)
    assert_is_problem(limited, 429, "throttled")
    assert 1 <= int(limited.headers["retry-after"]) <= 60


async def test_one_wrong_program_does_not_shut_others_at_its_address_out(served):
    revoked_id, revoked = served.key()
    served.revoke(revoked_id)
    for _ in range(100):
        await served.get("/north/access", revoked)
    _, key = served.key()
    assert (await served.get("/north/access", key)).status_code == 200


async def test_an_address_that_tries_many_keys_is_shut_out(served):
    for number in range(60):
        await served.get("/north/access", f"fgk-{number:08x}-{'A' * 43}")
    _, key = served.key()
    assert_is_problem(await served.get("/north/access", key), 429)
    assert (await served.get("/south/access", served.key(environment="south")[1])).status_code == 200
