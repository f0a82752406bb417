"""Who may pull: clients prove who they are, get a token for five minutes, and show it with each request."""

import secrets
from collections.abc import Mapping
from datetime import timedelta

from fhir_gateway.domain.registry import Puller, RegistryClient
from fhir_gateway.key_sets.fetching import KeySets
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.ports import Clock
from fhir_gateway.registry.assertions import InvalidClientError, check_assertion, claimed
from fhir_gateway.registry.client_keys import ClientKey, UnusableKeysError, read_keys
from fhir_gateway.registry.scopes import InvalidScopeError, narrow, parse_scopes
from fhir_gateway.registry.tokens import TOKEN_LIFE, ProvedTokens, RefusedTokenError, issue
from fhir_gateway.serving.registry.keys import RegistryKeys
from fhir_gateway.serving.registry.pull_book import PullBook
from fhir_gateway.serving.request_rates import RequestRates
from fhir_gateway.settings import Environment

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_FAILURES_OF_AN_ADDRESS = 60
"""In a minute."""


class TokenRefusedError(Exception):
    """A token that is not given; `error` is OAuth's word (RFC 6749, 5.2)."""

    def __init__(self, error: str, text: str, *, status: int = 400, retry_after: int = 0) -> None:
        self.error = error
        self.status = status
        self.retry_after = retry_after
        super().__init__(text)


class TooManyRequestsError(Exception):
    """A client asks more often than it may; `retry_after` is in whole seconds."""

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"too many requests, try again in {retry_after} s")


class RegistryDoor:
    """One environment's door for registries."""

    def __init__(
        self, settings: Environment, ledger: Ledger, keys: RegistryKeys, *, book: PullBook, clock: Clock
    ) -> None:
        self._environment = settings.name
        self._policy = settings.registry
        self._ledger = ledger
        self._keys = keys
        self._book = book
        self._clock = clock
        self._key_sets = KeySets(clock)
        self._rates = RequestRates()
        self._proved = ProvedTokens(settings.name)

    async def let_in(self, form: Mapping[str, str], *, base: str, address: str) -> dict[str, object]:
        """Return the token answer for a client's form; `base` is the endpoint's own address. Raises TokenRefusedError."""
        if form.get("grant_type") != "client_credentials":
            raise TokenRefusedError("unsupported_grant_type", "grant_type must be client_credentials")
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise TokenRefusedError("invalid_client", f"client_assertion_type must be {ASSERTION_TYPE}")
        try:
            client = await self._client(form.get("client_assertion", ""), base=base, named=form.get("client_id"))
        except (InvalidClientError, UnusableKeysError) as error:
            # Who proves itself gets in whatever others fail at: behind a proxy all may have one address.
            if retry := self._rates.hit(_FAILURES_OF_AN_ADDRESS, "address", address):
                raise TokenRefusedError(
                    "invalid_client", "too many failures, wait", status=429, retry_after=retry
                ) from None
            raise TokenRefusedError("invalid_client", str(error)) from None
        if retry := self._rates.hit(self._policy.tokens_per_minute, "token", client.id):
            raise TokenRefusedError(
                "invalid_request", "too many tokens, keep one for its life", status=429, retry_after=retry
            )
        try:
            scopes = narrow(parse_scopes(form.get("scope", "")), client.scopes)
        except InvalidScopeError as error:
            raise TokenRefusedError("invalid_scope", str(error)) from None
        now = self._clock.now()
        puller = Puller(client.id, self._environment, scopes, secrets.token_hex(16), now + TOKEN_LIFE)
        key = self._keys.current(now, life=timedelta(days=self._policy.key_days))
        return {
            "access_token": issue(puller, base=base, key=key, now=now),
            "token_type": "bearer",
            "expires_in": int(TOKEN_LIFE.total_seconds()),
            "scope": " ".join(map(str, scopes)),
        }

    def admit(self, token: str, *, base: str) -> Puller:
        """Return whom a token lets in.

        Raises RefusedTokenError, for a client that was revoked as well, and TooManyRequestsError.
        """
        now = self._clock.now()
        puller = self._proved.check(token, base=base, keys=self._keys.all(now), now=now)
        client = self._ledger.registry_clients.get(puller.client)
        if client is None or client.revoked:
            raise RefusedTokenError("the client was revoked")
        if retry := self._rates.hit(self._policy.requests_per_minute, "request", puller.client):
            raise TooManyRequestsError(retry)
        return puller

    async def _client(self, text: str, *, base: str, named: str | None) -> RegistryClient:
        said = claimed(text)
        if named not in (None, said.client):
            raise InvalidClientError("client_id, where it is given, must be the assertion's client")
        client = self._ledger.registry_clients.get(said.client)
        if client is None or client.revoked:
            raise InvalidClientError("no client of this id is registered here")
        now = self._clock.now()
        keys = await self._keys_of(client, said.key_id)
        proved = check_assertion(text, client=client, keys=keys, token_url=f"{base}/auth/token", now=now)
        is_new = await self._book.act(
            lambda ledger: ledger.registry_clients.use_up(client.id, proved.id, expires=proved.expires, now=now)
        )
        if not is_new:
            raise InvalidClientError("this assertion was used before (jti)")
        return client

    async def _keys_of(self, client: RegistryClient, key_id: str) -> tuple[ClientKey, ...]:
        if client.jwks_url:
            return await self._key_sets.keys(client.jwks_url, key_id=key_id)
        return read_keys(client.jwks)
