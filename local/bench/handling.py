"""What events cost the packaged webhook function: CPU time, memory, log.

The real runtime client runs the zip on MiniStack. Of ten events three earn a reward and seven tell
nothing new, which is the mix that the price of a million events is worked out for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from local.bench.api_event import api_event
from local.bench.count import another
from local.bench.lambda_runtime import Function, Lambda, deployed_environment, runtime_folder
from local.bench.prices import EVENTS, REWARDS
from local.bench.purchases import Event, buyer, invoice_paid, purchase
from local.bench.scene import Scene, signed

ROUNDS = 20
ROUTE = "/stripe/webhooks/{connection}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """Of one event, on average; ``peak_mb`` of the process after all of them."""

    cpu_ms: float
    log_bytes: float
    peak_mb: float


def measure_handling(
    function: Function, scene: Scene, environment: Mapping[str, str], folder: Path
) -> Handled:
    events = [_ten(scene, 20_000_000 + 10 * number) for number in range(ROUNDS + 2)]
    own = {n: v for n, v in environment.items() if n.startswith(("AWS_", "REFLEDGER_"))}
    with Lambda(
        function,
        runtime=runtime_folder(folder / "runtime"),
        environment=own | deployed_environment("WebhookHandler"),
        log=folder / "webhook.log",
    ) as running:
        deliver = _deliverer(scene, running)
        for ten in events[:2]:
            _all(ten, deliver)
        cpu, logged = running.cpu_seconds, running.log_bytes
        for ten in events[2:]:
            _all(ten, deliver)
        handled = ROUNDS * EVENTS
        return Handled(
            cpu_ms=(running.cpu_seconds - cpu) / handled * 1000,
            log_bytes=(running.log_bytes - logged) / handled,
            peak_mb=running.peak_mb,
        )


def _ten(scene: Scene, first: int) -> list[Event]:
    """Three first payments of customers who signed up, and seven events that tell nothing new."""
    rewards = []
    for number in range(first, first + REWARDS):
        scene.click(number)
        scene.sign_up(number, buyer(number))
        rewards.append(invoice_paid(number))
    known = next(e for e in purchase(first) if e.type == "customer.subscription.created")
    return [*rewards, *(another(known, mark=str(n)) for n in range(EVENTS - REWARDS))]


def _all(events: list[Event], deliver: Callable[[Event], None]) -> None:
    for event in events:
        deliver(event)


def _deliverer(scene: Scene, running: Lambda) -> Callable[[Event], None]:
    def deliver(event: Event) -> None:
        told = api_event(
            ROUTE,
            event.body,
            content_type="application/json",
            headers={"Stripe-Signature": signed(event.body)},
            connection=scene.ids.connection,
        )
        answer, _ = running.invoke(told)
        if answer["statusCode"] != 200 or '"handled"' not in answer["body"]:
            raise RuntimeError(f"{event.type} was answered {answer['statusCode']} {answer['body']}")

    return deliver
