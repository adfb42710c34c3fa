"""What schemathesis does with requests before it sends them."""

import re
import uuid

import schemathesis

VALID_KEY = re.compile("[!-~]{1,255}")
PLAIN = re.compile("[A-Za-z0-9]+")


@schemathesis.hook
def before_call(context, case, kwargs):
    headers = case.headers or {}
    # A key that fits becomes a new one, as every request needs: with an old one it is refused, or answered as before.
    key = headers.get("Idempotency-Key")
    if isinstance(key, str) and VALID_KEY.fullmatch(key):
        headers["Idempotency-Key"] = str(uuid.uuid4())
    # Some of the headers that are to be right it makes of letters and digits alone, whatever the document says, and an
    # ETag has quotation marks.
    if case.meta is not None and case.meta.generation.mode.is_positive:
        for name in ("If-Match", "If-None-Match"):
            tag = headers.get(name)
            if isinstance(tag, str) and PLAIN.fullmatch(tag):
                headers[name] = f'"{tag}"'
