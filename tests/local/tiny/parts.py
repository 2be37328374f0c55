from pathlib import Path

from local.parts import Parts

PARTS = Parts(
    app="tests.local.tiny.app",
    wiring="tests.local.tiny.app",
    fake_stripe="tests.local.tiny.stripe",
    demo="tests.local.tiny.demo",
    shop="tests.local.tiny.shop",
    resources=Path(__file__).parent / "resources.json",
)
