"""``make deploy STAGE=…``: from here to a running deployment, and again whenever something changed.

SET="AlarmEmail=ann@example.com ClicksPerSecond=300"   parameters of the template, kept later
SET="BaseUrl=https://refer.example.com"                where a custom domain reaches it
YES=1                                                  ask nothing
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chalicelib.flows.keep_base_url import keep_base_url
from chalicelib.storage.dynamo import DynamoStore
from deploy.account import WEBHOOK_CONCURRENCY, Account, ArtefactBucket, concurrency_to_keep
from deploy.leftovers import delete_data, to_import
from deploy.package import Package
from deploy.place import StagePlace
from deploy.refusal import Refused
from deploy.stack import ChangeSet, Kind, Stack
from deploy.template import KEPT_KINDS, Template, data_alone

ROLLED_HALFWAY = "ROLLBACK_FAILED"
"""A first deployment that failed, and did not quite go again: protected tables do not go by a
rollback. Nothing was ever in them."""
UNFINISHED = ("ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS", "IMPORT_ROLLBACK_COMPLETE")
"""A first deployment that made nothing; CloudFormation wants such a stack deleted first."""
PROTECTED = ("prod", "live")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the command was told. ``parameters`` are the template's, where given."""

    stage: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """Where it is reached; ``first`` if nothing stood there before, ``changed`` if anything did."""

    base_url: str
    first: bool
    changed: bool


def up(
    wishes: Wishes,
    *,
    account: Account,
    package: Callable[[Path], Package],
    agreed: Callable[[str], bool],
    say: Callable[[str], None],
    pause_seconds: float = 2.0,
) -> Deployed:
    """Deploy. Raises ``Refused``; then what was there before still runs. ``package`` makes zip and
    template in a folder; ``agreed`` is asked once, before anything is made."""
    place = StagePlace(wishes.stage)
    stack = Stack(account, place.stack, say=say, pause_seconds=pause_seconds)
    status = _usable(stack, place)
    left = to_import(account, place) if not status else []
    bucket = ArtefactBucket(account)
    say(_intention(account, place, status, bool(left), bucket.name))
    if not agreed("Go on?"):
        raise Refused("Nothing was done.")
    if not status:
        stack.delete()
    known = stack.parameters() if status else {}
    with tempfile.TemporaryDirectory() as made:
        say("Packaging …")
        packed = package(Path(made))
        template: Template = json.loads(packed.template.read_text())
        parameters = _parameters(template, wishes, known or _fresh(wishes.stage, account))
        bucket.ready()
        ship = Ship(bucket, wishes.stage, Path(made))
        ship.put_code(template, packed)
        if left:
            _bring(stack, "IMPORT", data_alone(template), parameters, ship, imports=left)
        kind: Kind = "UPDATE" if status or left else "CREATE"
        try:
            changed = _bring(stack, kind, template, parameters, ship)
        except Refused:
            if kind == "CREATE" and stack.status() == ROLLED_HALFWAY:
                stack.delete()
                delete_data(account, place)
            raise
    if parameters.get("WebhookConcurrency") == "0":
        say(_nothing_kept(wishes, account))
    say("Deployed." if changed else "Nothing has changed: this is what runs already.")
    url = stack.outputs()["BaseUrl"]
    if keep_base_url(url, store=DynamoStore(place.tables)):
        say(f"Stored the base URL: {url}")
    return Deployed(base_url=url, first=not status, changed=changed)


def _usable(stack: Stack, place: StagePlace) -> str:
    """The stack's status; empty if there is none, or none that was ever finished."""
    status = stack.status()
    if status in UNFINISHED:
        return ""
    if status.endswith("_IN_PROGRESS"):
        raise Refused(f"{stack.name} is {status}: wait until that is over.")
    if status == ROLLED_HALFWAY:
        raise Refused(halfway(place))
    if status.endswith("_FAILED"):
        raise Refused(
            f"{stack.name} is {status}: CloudFormation's console says what can be done"
            " (continue its rollback, or delete it: tables and key are kept)."
        )
    return status


def halfway(place: StagePlace) -> str:
    """What to do about a first deployment that did not quite go again."""
    return (
        f"{place.stack} is {ROLLED_HALFWAY}: its first deployment failed, and left empty tables."
        f" `make destroy STAGE={place.stage} DATA=delete` removes them; then deploy again."
    )


def _intention(account: Account, place: StagePlace, status: str, left: bool, bucket: str) -> str:
    if status:
        verb = "will be updated; its data stays"
    elif left:
        verb = "will be made anew and take over the tables and the key that were left"
    else:
        verb = "will be made: functions, an API, four tables, a key, alarms"
    return (
        f"Account {account.id}, region {account.region}, as {account.who}\n"
        f"The stack {place.stack} {verb}.\n"
        f"The code goes through the bucket {bucket}."
    )


@dataclass(frozen=True, slots=True)
class Ship:
    """Brings what CloudFormation reads to where it reads it."""

    bucket: ArtefactBucket
    stage: str
    folder: Path

    def put_code(self, template: Template, packed: Package) -> None:
        """Upload the zip, and name it in the template."""
        key = self.bucket.upload(packed.zip, stage=self.stage)
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::Serverless::Function":
                resource["Properties"]["CodeUri"] = {"Bucket": self.bucket.name, "Key": key}

    def put_template(self, template: Template) -> str:
        """Upload the template; its address."""
        file = self.folder / "shipped.json"
        file.write_text(json.dumps(template, sort_keys=True))
        return self.bucket.url(self.bucket.upload(file, stage=self.stage))


def _bring(
    stack: Stack,
    kind: Kind,
    template: Template,
    parameters: Mapping[str, str],
    ship: Ship,
    *,
    imports: Sequence[Mapping[str, Any]] = (),
) -> bool:
    """Bring the stack to the template; False if it was there."""
    url = ship.put_template(template)
    change_set = stack.draw_up(kind, url, parameters, imports=imports)
    if change_set is None:
        return False
    for change in change_set.changes:
        stack.say(f"  {change}")
    refuse_loss(change_set)
    stack.carry_out(change_set)
    return True


def _fresh(stage: str, account: Account) -> dict[str, str]:
    """What a first deployment chooses where nothing is said."""
    return {
        "DeletionProtection": "true" if stage.startswith(PROTECTED) else "false",
        "WebhookConcurrency": str(concurrency_to_keep(account)),
    }


def _nothing_kept(wishes: Wishes, account: Account) -> str:
    """What to do where the webhooks share the account's concurrency with everything else."""
    if "WebhookConcurrency" in wishes.parameters:
        return "No concurrency is kept for Stripe's webhooks, as you said."
    then = f"`make deploy STAGE={wishes.stage} SET=WebhookConcurrency={WEBHOOK_CONCURRENCY}`"
    if concurrency_to_keep(account):
        return f"No concurrency is kept for Stripe's webhooks, and there is room for it: {then}."
    return (
        "No concurrency is kept for Stripe's webhooks, since the account's limit is too small: a"
        " flood of clicks can delay them. Raise the limit (Service Quotas: AWS Lambda, concurrent"
        f" executions), then {then}."
    )


def check_names(wishes: Wishes, names: Collection[str]) -> None:
    """Raises ``Refused`` for a parameter that the template does not have."""
    unknown = sorted(set(wishes.parameters) - set(names))
    if unknown:
        raise Refused(f"SET knows no {', '.join(unknown)}; it knows {', '.join(sorted(names))}.")


def _parameters(template: Template, wishes: Wishes, otherwise: Mapping[str, str]) -> dict[str, str]:
    """What was told, else what is so already or is chosen at first; the rest is the template's
    default. Raises ``Refused`` for a name that the template does not know."""
    names = template["Parameters"]
    check_names(wishes, names)
    told = {**otherwise, **wishes.parameters, "Stage": wishes.stage}
    return {name: value for name, value in told.items() if name in names}


def refuse_loss(change_set: ChangeSet) -> None:
    """Raises ``Refused`` if the change set would replace or drop what holds data."""
    lost = [
        str(change)
        for change in change_set.changes
        if change.type in KEPT_KINDS and (change.anew or change.action == "Remove")
    ]
    if lost:
        raise Refused(f"This would lose data, so it is not done: {', '.join(lost)}.")


def next_steps(stage: str, base_url: str) -> str:
    """What comes after a first deployment, ready to be typed."""
    python = os.path.relpath(sys.executable)
    cli = f"{python} -m chalicelib.entrypoints.cli --stage {stage}"
    return f"""
Next, a program, a partner, and Stripe:

  {cli} program create "Acme" --url https://acme.example
  {cli} partner create PROGRAM_ID --email ann@example.com --key ann
  {cli} connection create PROGRAM_ID
  {cli} key create PROGRAM_ID --mode live

The third says which two secrets Stripe has to give, and asks for them.
To try it with Stripe's test cards first: --mode test at the first and the last.
In the head of every page: <script async src="{base_url}/t/PROGRAM_ID.js"></script>
Then open https://acme.example/?via=ann, buy something, and look:
  curl {base_url}/v1/transactions -H "Authorization: Bearer API_KEY"
"""
