"""What schemathesis does with requests before it sends them."""

import os
import re
import uuid
from urllib.parse import urljoin

import requests
import schemathesis

VALID_KEY = re.compile("[!-~]{1,255}")
PLAIN = re.compile("[A-Za-z0-9]+")
OWN_TOKEN = os.environ["FUZZ_TOKEN"]


def of_order(cursor, sort):
    """A cursor of the page before in a list that is sorted like that."""
    field, direction = sort.split(":")
    digits = cursor.lstrip("-")
    key = (digits if digits.isdigit() else "42") if field == "id" else "~YQ"
    return f"-{key}" if direction == "desc" else key


@schemathesis.hook
def before_call(context, case, kwargs):
    headers = case.headers or {}
    # A token that deletes itself is refused from then on, and nothing else is tried.
    path = case.path_parameters or {}
    for name in ("id", "token_id"):
        if "/token/" in case.path and str(path.get(name)) == OWN_TOKEN:
            path[name] = 2**62
    # A key that fits becomes a new one, as every request needs: with an old one it is refused, or answered as before.
    key = headers.get("Idempotency-Key")
    if isinstance(key, str) and VALID_KEY.fullmatch(key):
        headers["Idempotency-Key"] = str(uuid.uuid4())
    # Some of the headers that are to be right it makes of letters and digits alone, whatever the document says, and an
    # ETag has quotation marks.
    if case.meta is not None and case.meta.generation.mode.is_positive:
        # A cursor belongs to the order of the page that it comes from, which the document can't say.
        query = case.query or {}
        # Of the time that an answer may take, a second is enough to see that it is kept.
        if "wait" in query:
            query["wait"] = min(int(query["wait"]), 1)
        if isinstance(query.get("cursor"), str):
            sorts = [parameter.definition["schema"]["default"] for parameter in case.operation.query if parameter.name == "sort"]
            query["cursor"] = of_order(query["cursor"], query.get("sort") or (sorts or ["id:asc"])[0])
        for name in ("If-Match", "If-None-Match"):
            tag = headers.get(name)
            if isinstance(tag, str) and PLAIN.fullmatch(tag):
                headers[name] = f'"{tag}"'


@schemathesis.hook
def after_call(context, case, response):
    # What a job deletes is shown as being deleted until that job has ended, and asked for again it has to be gone.
    if case.method == "DELETE" and response.status_code == 202:
        asked = response.request
        headers = {"Authorization": asked.headers["Authorization"]}
        job = urljoin(asked.url, f"/v1/job/{response.json()['job']['id']}")
        # Among what was made up before may be a pause of its queue; only staff are told which that is.
        queue = requests.get(job, headers=headers, timeout=60).json().get("queue")
        if queue:
            goes_on = {"paused": False, "rate_limit": 0}
            requests.patch(urljoin(asked.url, f"/v1/admin/queue/{queue}"), json=goes_on, headers=headers, timeout=60)
        ended = requests.get(f"{job}?wait=30", headers=headers, timeout=60)
        assert ended.json()["state"] == "succeeded", ended.text
