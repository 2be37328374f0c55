"""One CloudFormation stack: what it is now, and its way to what it shall be, by change sets."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from botocore.exceptions import ClientError

from deploy.account import Account
from deploy.refusal import Refused

Kind = Literal["CREATE", "UPDATE", "IMPORT"]
WAIT_SECONDS = 3600
PAUSE_SECONDS = 2.0
NOTHING_NEW = ("didn't contain changes", "No updates are to be performed")
ADVICE = {
    "UnreservedConcurrentExecution": "The account's Lambda concurrency is too small to keep some"
    " for the webhooks: SET=WebhookConcurrency=0, or ask AWS to raise the limit.",
    "already exists": "Something of that name is there and belongs to no stack, or to another.",
    "AccessDenied": "The credentials may not do this.",
    "not authorized": "The credentials may not do this.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a change set would do to one resource: Add, Modify, Remove, Import; ``anew`` if the
    resource is replaced by another."""

    action: str
    resource: str
    type: str
    anew: bool = False

    def __str__(self) -> str:
        verb = {"Add": "+", "Modify": "~", "Remove": "-", "Import": "<"}.get(self.action, "?")
        return f"{verb} {self.resource} ({self.type}{', made anew' if self.anew else ''})"


class Stack:
    """The stack of a stage. ``say`` is told what happens."""

    def __init__(
        self,
        account: Account,
        name: str,
        *,
        say: Callable[[str], None],
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self.name = name
        self._cloudformation = account.client("cloudformation")
        self.say = say
        self._pause_seconds = pause_seconds

    def status(self) -> str:
        """CloudFormation's word for it; empty when there is no such stack."""
        told = self._described()
        return str(told["StackStatus"]) if told else ""

    def outputs(self) -> dict[str, str]:
        told = self._described() or {}
        return {one["OutputKey"]: one["OutputValue"] for one in told.get("Outputs", [])}

    def parameters(self) -> dict[str, str]:
        told = self._described() or {}
        return {one["ParameterKey"]: one["ParameterValue"] for one in told.get("Parameters", [])}

    def template(self) -> dict[str, Any]:
        """The template as it was given last."""
        told = self._cloudformation.get_template(StackName=self.name, TemplateStage="Original")
        body = told["TemplateBody"]
        given: dict[str, Any] = json.loads(body) if isinstance(body, str) else body
        return given

    def resources(self) -> list[dict[str, Any]]:
        pages = self._cloudformation.get_paginator("list_stack_resources")
        return [
            one
            for page in pages.paginate(StackName=self.name)
            for one in page["StackResourceSummaries"]
        ]

    def draw_up(
        self,
        kind: Kind,
        template_url: str,
        parameters: Mapping[str, str],
        *,
        imports: Sequence[Mapping[str, Any]] = (),
    ) -> "ChangeSet | None":
        """The way to a template; None if the stack is there already. Raises ``Refused``."""
        given = [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()]
        name = f"refledger-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
        made = self._cloudformation.create_change_set(
            StackName=self.name,
            ChangeSetName=name,
            ChangeSetType=kind,
            TemplateURL=template_url,
            Parameters=given,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            **({"ResourcesToImport": list(imports)} if imports else {}),
        )
        told = self._drawn_up(made["Id"])
        if told["Status"] == "FAILED":
            why = str(told.get("StatusReason", ""))
            self._cloudformation.delete_change_set(ChangeSetName=made["Id"])
            if any(words in why for words in NOTHING_NEW):
                return None
            raise Refused(f"CloudFormation refuses the template: {why}")
        return ChangeSet(made["Id"], kind, self._changes(made["Id"]))

    def carry_out(self, change_set: "ChangeSet") -> None:
        """Do it and wait for the end, saying what happens. Raises ``Refused`` with the reason.

        What a failed first deployment made goes again, tables too: nothing is in them yet.
        """
        since = self._newest_event()
        keep = {} if change_set.kind == "IMPORT" else {"RetainExceptOnCreate": True}
        self._cloudformation.execute_change_set(ChangeSetName=change_set.id, **keep)
        self._await_end(since)

    def delete(self) -> None:
        """Delete the stack, but for what its template retains, and wait for the end."""
        told = self._described()
        if told is None:
            return
        since = self._newest_event()
        self._cloudformation.delete_stack(StackName=self.name)
        self._await_end(since, id=told["StackId"])

    def _described(self) -> dict[str, Any] | None:
        try:
            told = self._cloudformation.describe_stacks(StackName=self.name)
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        found: dict[str, Any] = told["Stacks"][0]
        return found if found["StackStatus"] != "DELETE_COMPLETE" else None

    def _drawn_up(self, id: str) -> dict[str, Any]:
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            told: dict[str, Any] = self._cloudformation.describe_change_set(ChangeSetName=id)
            if told["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
                return told
            if time.monotonic() > deadline:
                raise Refused("CloudFormation did not draw up the changes within an hour.")
            time.sleep(self._pause_seconds)

    def _changes(self, id: str) -> list[Change]:
        pages = self._cloudformation.get_paginator("describe_change_set")
        told = [
            one["ResourceChange"]
            for page in pages.paginate(ChangeSetName=id)
            for one in page["Changes"]
        ]
        return [
            Change(
                action=one["Action"],
                resource=one["LogicalResourceId"],
                type=one["ResourceType"],
                anew=one.get("Replacement") == "True",
            )
            for one in told
        ]

    def _newest_event(self) -> str:
        try:
            told = self._cloudformation.describe_stack_events(StackName=self.name)
        except ClientError:
            return ""
        events = told["StackEvents"]
        return str(events[0]["EventId"]) if events else ""

    def _events_since(self, id: str, newest: str) -> list[dict[str, Any]]:
        """Oldest first."""
        found: list[dict[str, Any]] = []
        pages = self._cloudformation.get_paginator("describe_stack_events")
        for page in pages.paginate(StackName=id):
            for event in page["StackEvents"]:
                if event["EventId"] == newest:
                    return found[::-1]
                found.append(event)
        return found[::-1]

    def _await_end(self, newest: str, *, id: str = "") -> None:
        failures: list[str] = []
        deadline = time.monotonic() + WAIT_SECONDS
        id = id or self._stack_id()
        while True:
            status = self._cloudformation.describe_stacks(StackName=id)["Stacks"][0]["StackStatus"]
            for event in self._events_since(id, newest):
                newest = event["EventId"]
                self._tell(event, failures)
            if not status.endswith("_IN_PROGRESS"):
                break
            if time.monotonic() > deadline:
                raise Refused("CloudFormation is still at it after an hour; look at its console.")
            time.sleep(self._pause_seconds)
        if "ROLLBACK" in status or status.endswith("_FAILED"):
            raise Refused(_failure(status, failures))

    def _stack_id(self) -> str:
        told = self._described()
        assert told is not None
        return str(told["StackId"])

    def _tell(self, event: Mapping[str, Any], failures: list[str]) -> None:
        status, resource = event["ResourceStatus"], event["LogicalResourceId"]
        why = str(event.get("ResourceStatusReason", ""))
        if status.endswith("_FAILED") and "cancelled" not in why:
            failures.append(f"{resource} ({event['ResourceType']}): {why}")
        if resource != self.name and not status.endswith("_IN_PROGRESS"):
            self.say(f"  {status.lower().replace('_', ' ')}: {resource}")


class ChangeSet:
    """What CloudFormation would do; nothing is done yet."""

    def __init__(self, id: str, kind: Kind, changes: Sequence[Change]) -> None:
        self.id, self.kind, self.changes = id, kind, changes


def _failure(status: str, failures: Sequence[str]) -> str:
    if not failures:
        return f"The stack is {status}, and CloudFormation does not say why; look at its console."
    first = failures[0]
    advice = next((said for words, said in ADVICE.items() if words in first), "")
    after = (
        "Nothing of it stays; mend that and run the same command again."
        if status.startswith(("ROLLBACK", "UPDATE_ROLLBACK_COMPLETE"))
        else f"The stack is {status}; its console says what can be done."
    )
    return " ".join(filter(None, [f"It failed at {first.rstrip('.')}.", advice, after]))
