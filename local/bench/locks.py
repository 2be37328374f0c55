"""A KMS that locks nothing away: the packaged app has no other way to open a secret."""

import base64
import json
import threading

from local.http_wire import Answer, Request
from local.place import HOST
from local.web_server import WebServer

KEY = "alias/bench"


class Locks:
    """An endpoint that answers KMS's Encrypt and Decrypt."""

    def __init__(self) -> None:
        self._server = WebServer(HOST, 0, answer, workers=2)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def environment(self) -> dict[str, str]:
        """What the app is told to seal with it."""
        url = f"http://{HOST}:{self._server.port}"
        return {"AWS_ENDPOINT_URL_KMS": url, "REFLEDGER_KMS_KEY": KEY}

    def __enter__(self) -> "Locks":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(timeout=10)


def answer(request: Request) -> Answer:
    asked = json.loads(request.body)
    operation = (request.header("X-Amz-Target") or "").rpartition(".")[2]
    if operation == "Encrypt":
        blob = base64.b64encode(base64.b64decode(asked["Plaintext"])[::-1]).decode()
        told = {"CiphertextBlob": blob, "KeyId": KEY}
    elif operation == "Decrypt":
        plain = base64.b64encode(base64.b64decode(asked["CiphertextBlob"])[::-1]).decode()
        told = {"Plaintext": plain, "KeyId": KEY}
    else:
        return Answer(status=400, body=b'{"__type": "UnknownOperationException"}')
    headers = [("Content-Type", "application/x-amz-json-1.1")]
    return Answer(status=200, headers=headers, body=json.dumps(told).encode())
