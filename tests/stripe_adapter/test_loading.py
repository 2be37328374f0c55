"""What a webhook must not wait for: the modules that this room loads before it answers."""

import json
import subprocess
import sys
from pathlib import Path

HEAVY = ("stripe", "pydantic", "requests", "jinja2", "urllib3", "boto3")
ROOT = Path(__file__).parents[2]


def test_signature_envelope_and_translation_load_nothing_heavy() -> None:
    script = (
        "import json, sys\n"
        "import chalicelib.stripe_adapter.signature, chalicelib.stripe_adapter.envelope\n"
        "import chalicelib.stripe_adapter.translate, chalicelib.stripe_adapter.client\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True, timeout=60
    )
    loaded = json.loads(ran.stdout)
    assert "chalicelib" in loaded
    assert not set(HEAVY) & set(loaded)
