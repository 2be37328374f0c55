"""``python -m deploy package``: the zip and the template, in a folder."""

import json
import platform
from dataclasses import dataclass
from pathlib import Path

from deploy.bundle import MAX_BYTES, make_zip
from deploy.dependencies import REPOSITORY, Target
from deploy.refusal import Refused
from deploy.template import Template, make_template

ZIP = "deployment.zip"
TEMPLATE = "template.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """Where the two files are."""

    zip: Path
    template: Path

    @classmethod
    def at(cls, folder: Path) -> "Package":
        return cls(zip=folder / ZIP, template=folder / TEMPLATE)


def package(out: Path, target: Target, *, project: Path = REPOSITORY) -> Package:
    """Make ``deployment.zip`` and ``template.json`` in ``out``; the template names the zip beside
    it. Raises ``Refused``."""
    out.mkdir(parents=True, exist_ok=True)
    made = Package.at(out)
    size = make_zip(made.zip, target, project=project).stat().st_size
    if size > MAX_BYTES:
        raise Refused(f"{made.zip} has {size:,} bytes, more than {MAX_BYTES:,}.")
    told = make_template(f"./{ZIP}", project=project)
    if target == "host":
        _for_this_machine(told)
    made.template.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")
    return made


def _for_this_machine(template: Template) -> None:
    arm = platform.machine() in ("aarch64", "arm64")
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["Architectures"] = ["arm64" if arm else "x86_64"]
