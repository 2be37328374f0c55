"""The template: what Chalice generates from the app, merged with .chalice/resources.json.

Two things the merge cannot say are done here. The website's and the webhooks' routes get functions
of their own (``WebsiteHandler``, ``WebhookHandler``): the same code and handler as Chalice's one
API function, with their own rights, time and concurrency, so that a flood of clicks cannot starve
Stripe. And the functions' code is named.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Any

from deploy.bundle import copy_code
from deploy.dependencies import REPOSITORY
from deploy.refusal import Refused

CHALICE = Path(sys.executable).with_name("chalice")
PACKAGE_SECONDS = 120
RESOURCES = REPOSITORY / ".chalice" / "resources.json"
Template = dict[str, Any]

DOORS = {"WebsiteHandler": ("/t/", "/r/"), "WebhookHandler": ("/stripe/webhooks/",)}
"""Functions apart, and what the addresses begin with that they answer; the rest is the API's."""
POLICIES = {"WebsiteHandler": "policy-website.json", "WebhookHandler": "policy-webhook.json"}
KEPT_KINDS = ("AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::KMS::Alias")
"""What holds data, and what opens it: this outlives the rest."""


def make_template(code: str | dict[str, str], *, project: Path = REPOSITORY) -> Template:
    """The template whose functions run ``code``: a path, or bucket and key. For any stage."""
    template = _chalice_template(project)
    for function, beginnings in DOORS.items():
        _split_off(template, function, beginnings, project)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = code
            resource["Properties"].pop("Tags", None)
    return template


def data_alone(template: Template) -> Template:
    """The part of the template that holds data: what stays when the rest is removed, and what a
    new stack takes over from one that was deleted by hand. Every parameter stays, so that what was
    set is known when the rest comes back."""
    resources = template["Resources"]
    kept = {name: each for name, each in resources.items() if each["Type"] in KEPT_KINDS}
    return {
        "AWSTemplateFormatVersion": template["AWSTemplateFormatVersion"],
        "Parameters": template["Parameters"],
        "Resources": kept,
    }


def _split_off(
    template: Template, function: str, beginnings: tuple[str, ...], project: Path
) -> None:
    """Give the routes that begin so to ``function``, which is the API's but for what
    resources.json says of it."""
    resources = template["Resources"]
    whole = resources["APIHandler"]["Properties"]
    role = f"{function}Role"
    own = resources[function]["Properties"]
    resources[function]["Properties"] = {
        **deepcopy(whole),
        "Role": {"Fn::GetAtt": [role, "Arn"]},
        **own,
    }
    resources[role] = deepcopy(resources["ApiHandlerRole"])
    (policy,) = resources[role]["Properties"]["Policies"]
    policy["PolicyDocument"] = json.loads((project / ".chalice" / POLICIES[function]).read_text())
    permission = f"{function}InvokePermission"
    resources[permission] = deepcopy(resources["APIHandlerInvokePermission"])
    resources[permission]["Properties"]["FunctionName"] = {"Ref": function}
    for path, methods in resources["RestAPI"]["Properties"]["DefinitionBody"]["paths"].items():
        if path.startswith(beginnings):
            for method in methods.values():
                uri = method["x-amazon-apigateway-integration"]["uri"]
                uri["Fn::Sub"] = uri["Fn::Sub"].replace("${APIHandler.Arn}", f"${{{function}.Arn}}")


def _chalice_template(project: Path) -> Template:
    """What ``chalice package`` makes of a copy of the app without its dependencies, which the
    template does not depend on. The region is asked for, and stands nowhere in the answer."""
    with tempfile.TemporaryDirectory() as made:
        copy, out = Path(made), Path(made) / "out"
        copy_code(project, copy)
        ignored = shutil.ignore_patterns("deployments", "deployed")
        shutil.copytree(project / ".chalice", copy / ".chalice", ignore=ignored)
        (copy / "requirements.txt").write_text("")
        ran = subprocess.run(
            [CHALICE, "package", "--merge-template", ".chalice/resources.json", str(out)],
            cwd=copy,
            env={**os.environ, "AWS_DEFAULT_REGION": "us-east-1", "HOME": made},
            capture_output=True,
            text=True,
            timeout=PACKAGE_SECONDS,
            check=False,
        )
        if ran.returncode:
            said = "\n".join(ran.stderr.strip().splitlines()[-5:])
            raise Refused(f"Chalice could not package the app. It said:\n{said}")
        template: Template = json.loads((out / "sam.json").read_text())
    return template
