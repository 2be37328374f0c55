"""Demo data of one file."""

import argparse
import json
from pathlib import Path

from local.place import Place

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--state-dir", type=Path)
    asked = parser.parse_args()
    place = Place(port=asked.port, state_dir=asked.state_dir)
    place.demo_file.write_text(json.dumps({"base_url": place.base_url}))
