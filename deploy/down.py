"""``make destroy STAGE=…``: the functions, the API and the alarms go; the data stays, in a stack
that holds nothing else, unless DATA=delete."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from chalicelib.flows.keep_base_url import keep_base_url
from chalicelib.storage.dynamo import DynamoStore
from deploy.account import Account, ArtefactBucket
from deploy.leftovers import KEY_RESTS_DAYS, delete_data, key_there, tables_there
from deploy.place import StagePlace
from deploy.refusal import Refused
from deploy.stack import Stack
from deploy.template import KEPT_KINDS, data_alone
from deploy.up import ROLLED_HALFWAY, UNFINISHED, Ship, halfway, refuse_loss


def down(
    stage: str,
    *,
    delete: bool,
    account: Account,
    typed: Callable[[str], str],
    say: Callable[[str], None],
    pause_seconds: float = 2.0,
) -> None:
    """Remove a deployment. ``typed`` asks for a line: the stage's name, and with ``delete`` the
    words "delete <stage>". Raises ``Refused``."""
    place = StagePlace(stage)
    stack = Stack(account, place.stack, say=say, pause_seconds=pause_seconds)
    status = stack.status()
    tables = tables_there(account, place)
    say(f"Account {account.id}, region {account.region}, as {account.who}")
    if status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS":
        raise Refused(f"{stack.name} is {status}: wait until that is over.")
    if not status and not tables and not key_there(account, place):
        raise Refused(f"There is no {stack.name} here.")
    if status == ROLLED_HALFWAY and not delete:
        raise Refused(halfway(place))
    if status in UNFINISHED and not delete:
        raise Refused(f"{stack.name} is {status}: nothing of it runs. {_how_to_go_on(place)}")
    if delete:
        _delete_all(stack, place, account, typed, say)
    elif not status:
        raise Refused(f"There is no stack {stack.name}; its data is there: {', '.join(tables)}.")
    else:
        _keep_data(stack, place, account, typed, say)


def _delete_all(
    stack: Stack,
    place: StagePlace,
    account: Account,
    typed: Callable[[str], str],
    say: Callable[[str], None],
) -> None:
    words = f"delete {place.stage}"
    say(
        f"The stack {stack.name} goes, and all its data: every click, event, sale, reward and"
        " payout.\nDynamoDB keeps a backup of each table for 35 days; the key can be saved for"
        f" {KEY_RESTS_DAYS} days (aws kms cancel-key-deletion)."
    )
    if typed(f'Type "{words}" to go on: ') != words:
        raise Refused("Nothing was done.")
    stack.delete()
    delete_data(account, place)
    ArtefactBucket(account).forget(place.stage)
    say(f"{stack.name} and its data are gone.")


def _keep_data(
    stack: Stack,
    place: StagePlace,
    account: Account,
    typed: Callable[[str], str],
    say: Callable[[str], None],
) -> None:
    if all(one["ResourceType"] in KEPT_KINDS for one in stack.resources()):
        raise Refused(f"Of {stack.name} only the data is left. {_how_to_go_on(place)}")
    say(
        f"The functions, the API, the logs and the alarms of {stack.name} go; Stripe's events and"
        f" visitors meet a closed door.\nThe tables and the key stay."
    )
    if typed(f'Type "{place.stage}" to go on: ') != place.stage:
        raise Refused("Nothing was done.")
    bucket = ArtefactBucket(account)
    bucket.ready()
    with tempfile.TemporaryDirectory() as made:
        alone = Ship(bucket, place.stage, Path(made)).put_template(data_alone(stack.template()))
        change_set = stack.draw_up("UPDATE", alone, stack.parameters())
    if change_set is not None:
        refuse_loss(change_set)
        stack.carry_out(change_set)
    keep_base_url("", store=DynamoStore(place.tables))
    say(f"Removed; the data is kept. {_how_to_go_on(place)}")


def _how_to_go_on(place: StagePlace) -> str:
    return (
        f"`make deploy STAGE={place.stage}` puts a deployment around it again, at a new address;"
        f" `make destroy STAGE={place.stage} DATA=delete` deletes it."
    )
