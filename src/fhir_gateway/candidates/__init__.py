"""Who a person could be on the server: batched, verified, cached searches."""
