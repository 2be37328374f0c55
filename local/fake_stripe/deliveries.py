"""Sends events to webhook endpoints: signed, retried, and on demand held, repeated or shuffled.

One sender thread (or `parallel` of them) takes what is due. Anything but a 2xx is tried again after
the next of `backoff_seconds`, real seconds whatever the fake's clock says; when they are used up
the delivery is `failed` and only `redeliver` sends it again. Stripe's own rule is the same with
longer waits, up to three days: docs.stripe.com/webhooks#retries.
"""

import http.client
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .faults import lot
from .signing import secrets_of, signature_header
from .versions import render_event

if TYPE_CHECKING:
    from .fake import FakeStripe

Delivery = dict[str, Any]
Receiver = Callable[[bytes, dict[str, str]], int]
DEFAULT_BACKOFF = (0.2, 0.5, 1, 2, 4, 8, 15, 30, 60, 60, 60)
TIMEOUT_SECONDS = 30
KEPT_DONE = 5_000
DEFAULT_SETTINGS: dict[str, Any] = {
    "mode": "normal",
    "repeat": 1,
    "order": "fifo",
    "seed": 0,
    "drop": [],
    "drop_share": 0,
    "delay_seconds": 0,
    "delay_share": 1,
    "parallel": 1,
    "backoff_seconds": list(DEFAULT_BACKOFF),
}


def wants(endpoint: dict[str, Any], type_: str) -> bool:
    """Whether an endpoint is to get events of that type."""
    chosen = endpoint["enabled_events"]
    return endpoint["status"] == "enabled" and ("*" in chosen or type_ in chosen)


class Deliveries:
    """The queue. Its state is `items` and `settings`, both plain JSON."""

    def __init__(self, fake: "FakeStripe") -> None:
        self._fake = fake
        self._changed = threading.Condition(fake.lock)
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.items: list[Delivery] = []
        self.settings = dict(DEFAULT_SETTINGS)
        self.callables: dict[str, Receiver] = {}

    # -- queueing, always with the fake's lock held ------------------------------------------

    def queue(self, account: str, event_id: str, endpoint_id: str, owner: str = "") -> None:
        """`owner` is the platform's world if the endpoint is a platform's Connect endpoint."""
        event = self._fake.worlds[account].table("event")[event_id]
        dropped, due = self._fate(event, endpoint_id)
        for copy in range(max(1, int(self.settings["repeat"]))):
            held = self.settings["mode"] == "hold"
            self.items.append(
                {
                    "account": account,
                    "event": event_id,
                    "type": event["type"],
                    "endpoint": endpoint_id,
                    "owner": owner or account,
                    "copy": copy,
                    "state": "dropped" if dropped else "held" if held else "pending",
                    "attempts": 0,
                    "last_status": None,
                    "not_before": 0.0,
                    "due": due,
                }
            )
        self._forget_old()
        self._changed.notify_all()

    def _fate(self, event: dict[str, Any], endpoint_id: str) -> tuple[bool, int]:
        """Whether it is lost, and when it is due on the fake's clock. By event and endpoint, so
        that the same seed gives the same losses whatever the order of calls."""
        settings, names = self.settings, (event["id"], endpoint_id)
        lost = lot(settings["seed"], "drop", *names) < settings["drop_share"]
        late = lot(settings["seed"], "delay", *names) < settings["delay_share"]
        due = self._fake.now() + int(settings["delay_seconds"]) if late else 0
        return lost or event["type"] in settings["drop"], due

    def release(self) -> int:
        """Sends what was held; the sender takes it in the chosen order. Returns how many."""
        with self._changed:
            held = [d for d in self.items if d["state"] == "held"]
            for delivery in held:
                delivery["state"] = "pending"
            self._changed.notify_all()
            return len(held)

    def redeliver(self, event_id: str) -> int:
        """Queues an event once more for each endpoint that wants it now. Returns how many;
        raises `StopIteration` for an event nobody knows."""
        with self._changed:
            worlds = self._fake.worlds.items()
            account = next(n for n, w in worlds if event_id in w.table("event"))
            world = self._fake.worlds[account]
            type_ = world.table("event")[event_id]["type"]
            hearing = [
                (account, e) for e in world.rows("webhook_endpoint") if not e.get("_connect")
            ]
            hearing += self._fake.connect.hearing(world)
            wanting = [(owner, e) for owner, e in hearing if wants(e, type_)]
            for owner, endpoint in wanting:
                self.queue(account, event_id, endpoint["id"], owner)
            return len(wanting)

    def configure(self, wanted: dict[str, Any]) -> None:
        """Changes some settings; leaving `hold` sends what was held. Raises `ValueError`."""
        unknown = set(wanted) - set(DEFAULT_SETTINGS)
        if unknown:
            raise ValueError(f"unknown settings: {sorted(unknown)}")
        if wanted.get("mode", "normal") not in ("normal", "hold"):
            raise ValueError("mode is normal or hold")
        for share in ("drop_share", "delay_share"):
            if not 0 <= wanted.get(share, 0) <= 1:
                raise ValueError(f"{share} is from 0 to 1")
        if wanted.get("order", "fifo") not in ("fifo", "reverse", "random"):
            raise ValueError("order is fifo, reverse or random")
        with self._changed:
            self.settings = self.settings | wanted
            if self.settings["mode"] == "normal":
                self.release()

    def waiting(self) -> int:
        """How many are on their way; what is delayed is not, until its time on the fake's clock."""
        now = self._fake.now()
        return sum(
            d["state"] in ("pending", "sending") and d.get("due", 0) <= now for d in self.items
        )

    def clock_moved(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def flush(self, timeout_seconds: float = 60) -> bool:
        """Waits until nothing is pending (held ones do not count). False if time ran out."""
        end = time.monotonic() + timeout_seconds
        with self._changed:
            while self.waiting():
                left = end - time.monotonic()
                if left <= 0 or self._stopping:
                    return False
                self._changed.wait(min(left, 0.5))
        return True

    # -- sending -----------------------------------------------------------------------------

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="deliveries", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """What is under way is finished or put back; nothing new is sent."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(TIMEOUT_SECONDS)

    def _run(self) -> None:
        with ThreadPoolExecutor(max_workers=16) as pool:
            while True:
                with self._changed:
                    batch = self._take()
                    if self._stopping:
                        break
                    if not batch:
                        self._changed.wait(self._pause())
                        continue
                if len(batch) == 1:
                    self._send(batch[0])
                else:
                    list(pool.map(self._send, batch))

    def _take(self) -> list[Delivery]:
        now = time.monotonic()
        time_now = self._fake.now()
        due = [
            d
            for d in self.items
            if d["state"] == "pending" and d["not_before"] <= now and d.get("due", 0) <= time_now
        ]
        batch = self._in_order(due)[: max(1, int(self.settings["parallel"]))]
        if not self._stopping:
            for delivery in batch:
                delivery["state"] = "sending"
        return batch

    def _in_order(self, items: list[Delivery]) -> list[Delivery]:
        if self.settings["order"] == "reverse":
            return items[::-1]
        if self.settings["order"] == "random":
            shuffled = list(items)
            random.Random(self.settings["seed"]).shuffle(shuffled)
            return shuffled
        return items

    def _pause(self) -> float:
        now = time.monotonic()
        soon = [d["not_before"] - now for d in self.items if d["state"] == "pending"]
        return max(0.005, min([*soon, 0.5]))

    def _send(self, delivery: Delivery) -> None:
        with self._fake.lock:
            prepared = self._prepare(delivery)
        status = self._post(*prepared) if prepared else 410
        with self._changed:
            delivery["attempts"] += 1
            delivery["last_status"] = status
            waits = self.settings["backoff_seconds"]
            if 200 <= status < 300:
                delivery["state"] = "delivered"
                self._one_less_pending(delivery)
            elif not prepared or delivery["attempts"] > len(waits):
                delivery["state"] = "failed"
            else:
                delivery["state"] = "pending"
                delivery["not_before"] = time.monotonic() + waits[delivery["attempts"] - 1]
            self._fake.touched()
            self._changed.notify_all()

    def _one_less_pending(self, delivery: Delivery) -> None:
        event = self._fake.worlds[delivery["account"]].table("event")[delivery["event"]]
        event["pending_webhooks"] = max(0, event["pending_webhooks"] - 1)

    def _prepare(self, delivery: Delivery) -> tuple[str, bytes, dict[str, str]] | None:
        world = self._fake.worlds[delivery["account"]]
        owner = self._fake.worlds[delivery.get("owner", world.name)]
        endpoint = owner.table("webhook_endpoint").get(delivery["endpoint"])
        if (
            endpoint is None
            or endpoint.get("deleted")
            or delivery["event"] not in world.table("event")
        ):
            return None
        event = world.table("event")[delivery["event"]]
        if owner is not world:
            event = event | {"account": world.account_id}
        body = render_event(event, endpoint["api_version"] or owner.api_version)
        now = self._fake.now()
        header = signature_header(secrets_of(endpoint, now), now, body)
        headers = {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": header}
        return endpoint["url"], body, headers | {"User-Agent": "Stripe/1.0 (fake)"}

    def _post(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        if url.startswith("callable:"):
            receiver = self.callables.get(url.removeprefix("callable:"))
            return receiver(body, headers) if receiver else 404
        parts = urlsplit(url)
        maker = (
            http.client.HTTPSConnection if parts.scheme == "https" else (http.client.HTTPConnection)
        )
        connection = maker(parts.netloc, timeout=TIMEOUT_SECONDS)
        try:
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target or "/", body=body, headers=headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    # -- state -------------------------------------------------------------------------------

    def dump(self) -> dict[str, Any]:
        items = [d | {"not_before": 0.0} for d in self.items]
        return {"items": items, "settings": self.settings}

    def load(self, dumped: dict[str, Any]) -> None:
        self.settings = DEFAULT_SETTINGS | dumped["settings"]
        self.items = dumped["items"]
        for delivery in self.items:
            if delivery["state"] == "sending":
                delivery["state"] = "pending"

    def _forget_old(self) -> None:
        done = [d for d in self.items if d["state"] in ("delivered", "failed", "dropped")]
        if len(done) > KEPT_DONE:
            gone = {id(d) for d in done[: len(done) - KEPT_DONE // 2]}
            self.items = [d for d in self.items if id(d) not in gone]
