"""What schemathesis does with requests before it sends them."""

import re
import uuid

import schemathesis

VALID_KEY = re.compile("[!-~]{1,255}")


@schemathesis.hook
def before_call(context, case, kwargs):
    """A key that fits becomes a new one, as every request needs: with an old one it is refused, or answered as before."""
    headers = case.headers or {}
    key = headers.get("Idempotency-Key")
    if isinstance(key, str) and VALID_KEY.fullmatch(key):
        headers["Idempotency-Key"] = str(uuid.uuid4())
