"""What stands where: every key of every table, in one place (``docs/decisions/0002-tables.md``).

A ``Scope`` is one program's live or test side: no key of one is ever made from the other's.
"""

import hashlib
from dataclasses import dataclass

from chalicelib.core.names import Identity, Ms, SaleId
from chalicelib.core.program import Mode
from chalicelib.storage.store import Key


@dataclass(frozen=True, slots=True)
class Scope:
    program: str
    mode: Mode

    def __str__(self) -> str:
        return f"{self.program}/{self.mode}"


def program(program_id: str) -> Key:
    return Key("records", f"program#{program_id}", "program")


def partner(program_id: str, key: str) -> Key:
    return Key("records", f"{program_id}#partner#{key.lower()}", "partner")


def partner_id(program_id: str, id: str) -> Key:
    return Key("records", f"{program_id}#partner-id#{id}", "alias")


def partner_email(program_id: str, email: str) -> Key:
    return Key("records", f"{program_id}#partner-email#{_bounded(email)}", "alias")


def balance(scope: Scope, partner_key: str, currency: str) -> Key:
    return Key("records", f"{scope}#balance#{partner_key.lower()}", currency)


def ledger(scope: Scope, partner_key: str) -> str:
    return f"{scope}#ledger#{partner_key.lower()}"


def entry(scope: Scope, partner_key: str, at: Ms, id: str) -> Key:
    return Key("records", ledger(scope, partner_key), f"{at:013d}#{id}")


def sale(scope: Scope, id: SaleId) -> Key:
    """A sale under its canonical id; under any other of its ids an alias."""
    return Key("records", f"{scope}#sale#{_bounded(id)}", "sale")


def identity(scope: Scope, identity: Identity) -> Key:
    return Key("records", f"{scope}#identity#{_bounded(identity)}", "identity")


def reference(scope: Scope, key: str, household: str) -> Key:
    """A checkout named ``key`` as its reference before the merchant made such a customer."""
    return Key("records", f"{scope}#reference#{_bounded(key)}", household)


def unknown_partner(scope: Scope, key: str, household: str) -> Key:
    """A touch of the household named a partner's key that nobody had."""
    return Key("records", f"{scope}#unknown-partner#{key.lower()}", household)


def household_partition(scope: Scope, id: str) -> str:
    return f"{scope}#household#{id}"


def household(scope: Scope, id: str) -> Key:
    return Key("records", household_partition(scope, id), "!household")


def work(scope: Scope, household_id: str) -> Key:
    return Key("records", household_partition(scope, household_id), "!work")


def program_work(scope: Scope) -> Key:
    """What a change of the program's terms in the past still owes."""
    return Key("records", f"{scope}#terms", "!work")


def pointer(scope: Scope, part: str, place: str) -> Key:
    return Key("records", household_partition(scope, part), place)


def payout(scope: Scope, key: str) -> Key:
    return Key("records", f"{scope}#payout#{_bounded(key)}", "payout")


def telling(scope: Scope, digest: str) -> Key:
    """What a door was told that stands in no inbox: each in a partition of its own."""
    return Key("records", f"{scope}#told#{digest}", "told")


def reconciliation(scope: Scope, at: Ms, job_id: str) -> Key:
    """The report of one reconciliation: a partition per scope, in the order of time."""
    return Key("records", f"{scope}#reconciliations", f"{at:013d}#{job_id}")


def job(scope: Scope, id: str) -> Key:
    return Key("records", f"{scope}#job#{id}", "job")


def jobs(scope: Scope, kind: str) -> str:
    """The listing of a scope's jobs of one kind, by when they were made."""
    return f"{scope}#jobs#{kind}"


def connection_backfill(scope: Scope, connection_id: str) -> Key:
    """Which backfill a connection had last."""
    return Key("records", f"{scope}#backfill-of#{connection_id}", "job")


def job_lease() -> Key:
    """Who runs jobs now: one process of the deployment at a time."""
    return Key("records", "job-lease", "lease")


def rebuild_mark() -> Key:
    """These tables are worked out from others'."""
    return Key("records", "rebuild", "mark")


def connection(id: str) -> Key:
    return Key("records", f"connection#{id}", "connection")


CONNECTIONS = "connections"
"""The listing of every connection of the deployment."""


def connections_of(scope: Scope) -> str:
    """What the places of a scope's connections begin with, in that listing."""
    return f"{scope.program}#{scope.mode}#"


def connected_account(scope: Scope, account: str) -> Key:
    """The one connection that a scope has to a Stripe account, also one that is closed."""
    return Key("records", f"{scope}#account#{account}", "alias")


def account_connections(mode: Mode, account: str) -> str:
    """Who uses a Stripe account that was connected by OAuth."""
    return f"stripe-account#{mode}#{_bounded(account)}"


def account_connection(mode: Mode, account: str, connection_id: str) -> Key:
    return Key("records", account_connections(mode, account), connection_id)


def platform(mode: Mode) -> Key:
    """The operator's own Stripe platform, by which accounts are connected by OAuth."""
    return Key("records", f"platform#{mode}", "platform")


def click(program_id: str, token: str) -> Key:
    return Key("clicks", f"{program_id}#{token}", "click")


def awaited_click(program_id: str, token: str, mode: Mode) -> Key:
    """Somebody used a token whose click was not seen yet."""
    return Key("clicks", f"{program_id}#{token}", f"awaited#{mode}")


def click_count(program_id: str, partner_key: str, day: str) -> Key:
    """Clicks of one UTC day (``2026-11-22``), or of ``total``."""
    return Key("records", f"{program_id}#clicks#{partner_key.lower()}", day)


def deployment() -> Key:
    """What the deployment stored about itself."""
    return Key("records", "deployment", "deployment")


def stream_place(shard: str) -> Key:
    """How far the counting of a stream's shard has come."""
    return Key("records", f"stream#{shard}", "place")


def inbox(connection_id: str, event_id: str) -> Key:
    return Key("inbox", f"{connection_id}#{_bounded(event_id)}", "head")


def inbox_body(connection_id: str, event_id: str) -> Key:
    return Key("inbox", f"{connection_id}#{_bounded(event_id)}", "body")


def api_key(digest: str) -> Key:
    return Key("sessions", f"api-key#{digest}", "api-key")


OF_JOBS = ("job-sales#", "what-if#")
"""How the partitions begin in which jobs keep what nobody misses who has their result."""


def job_sale(job_id: str, place: str) -> Key:
    """A job's note of a sale that it changed, by the sale's place in the list of sales."""
    return Key("sessions", f"job-sales#{job_id}", place)


def what_if(job_id: str, key: Key) -> Key:
    """Where a job that tries something out keeps what it would have written under ``key``."""
    return Key("sessions", f"what-if#{job_id}#{key.table}#{_bounded(key.pk)}", key.sk)


def oauth_code(digest: str) -> Key:
    return Key("sessions", f"oauth-code#{digest}", "oauth-code")


def oauth_state(digest: str) -> Key:
    return Key("sessions", f"oauth-state#{digest}", "oauth-state")


DUE_RELEASE = "release"
DUE_ASK = "ask"
DUE_WORK = "work"
DUE_INBOX = "inbox"
DUE_FAILED = "failed"
DUE_JOB = "job"


def due(at: Ms, key: str) -> str:
    """The sort key of what falls due at a time."""
    return f"{at:013d}#{key}"


def _bounded(text: str) -> str:
    """The text as part of a key; a long one (DynamoDB takes 2,048 bytes) by its hash."""
    if len(text.encode(errors="surrogatepass")) <= 512:
        return text
    return "sha256:" + hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
