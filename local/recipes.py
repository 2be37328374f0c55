"""What the children of a local run are, in the order of their start."""

from local.ministack import ministack_recipe
from local.own_stripe import KEY, OwnStripe
from local.parts import Parts
from local.place import HOST, Place
from local.processes import Recipe

MINISTACK_SAVES_WITHIN_SECONDS = 60
NEVER = "http://127.0.0.1:9/"


def recipes(place: Place, parts: Parts, own: OwnStripe | None = None) -> list[Recipe]:
    """MiniStack, the fake Stripe, the app, the shop; they stop in the reverse order. With a Stripe
    of the reader's own, that is the one the app asks."""
    ports, environment = place.ports, place.environment()
    here = ("--port", str(place.port), "--state-dir", str(place.state_dir))
    chosen = ("--app", parts.app, "--wiring", parts.wiring, "--resources", str(parts.resources))
    return [
        ministack_recipe(
            port=ports["MiniStack"],
            folder=place.state_dir / "ministack",
            grace_seconds=MINISTACK_SAVES_WITHIN_SECONDS,
        ),
        Recipe(
            name="fake_stripe",
            module=parts.fake_stripe,
            arguments=(
                *("--host", "localhost"),  # so do its addresses begin
                *("--port", str(ports["fake Stripe"])),
                *("--state", str(place.state_dir / "fake_stripe.json")),
            ),
            environment=environment,
            ready_url=f"http://{HOST}:{ports['fake Stripe']}/_control/health",
        ),
        Recipe(
            name="app",
            module="local.serve",
            arguments=(*here, *chosen, *(("--feed",) if own else ())),
            environment=environment | _asks(own),
            ready_url=f"http://{HOST}:{ports['app']}/_local/health",
        ),
        Recipe(
            name="shop",
            module=parts.shop,
            arguments=here,
            environment=environment,
            ready_url=f"http://{HOST}:{ports['shop']}/health",
        ),
    ]


def demo_recipe(place: Place, parts: Parts, own: OwnStripe | None = None) -> Recipe:
    """Makes the demo data, or what is missing of it, and ends. It alone is given the key."""
    return Recipe(
        name="demo",
        module=parts.demo,
        arguments=("--port", str(place.port), "--state-dir", str(place.state_dir)),
        environment=place.environment() | _asks(own) | ({KEY: own.key} if own else {}),
        ready_url=NEVER,
    )


def _asks(own: OwnStripe | None) -> dict[str, str]:
    return {"REFLEDGER_STRIPE_API_BASE": own.address} if own else {}
