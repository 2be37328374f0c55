"""Asking Stripe what it alone can settle: what a payment that nobody claimed is for, which refunds
there were where two sums disagree, who a customer is of whom nothing is known but an id.

The sales with such a question stand in an index by when it is to be asked. They do not say which
account they are of: where a program has several, each is asked until one knows the payment, and
only if none does is that the answer.
"""

from collections.abc import Mapping

from chalicelib.core.refusals import Refusal, StripeRefused
from chalicelib.flows.job_desk import Desk, Step
from chalicelib.flows.keep_object import take_in
from chalicelib.flows.read_claims import read_answers
from chalicelib.flows.show_connections import connections_of
from chalicelib.log import log
from chalicelib.storage import keys, records
from chalicelib.storage.connection_records import Connection
from chalicelib.storage.job_records import Job
from chalicelib.storage.store import Item, Key

PAGE = 100
MOST_PAGES = 20  # of the index, which holds other programs' sales as well, in one step
MOST_ASKED = 25  # sales of one step, each two to ten requests


def step(job: Job, desk: Desk) -> Step:
    """Ask about the next sales that are due; ``done`` counts sales."""
    by = int(job.cursor.get("by", desk.now()))
    after = str(job.cursor.get("after", ""))
    counts = dict(job.result) if job.cursor else {}
    others = _others(desk)
    asked, more = 0, True
    for _ in range(MOST_PAGES):
        page = desk.store.find(
            "records",
            "due",
            keys.DUE_ASK,
            after=after,
            until=keys.due(by, "\U0010ffff"),
            limit=PAGE,
        )
        for found in page.items:
            assert found.due is not None
            if desk.until() or asked == MOST_ASKED:
                return _step(by, after, asked, counts)
            if f"#{job.scope}#" in found.due[1]:
                asked += _ask(found.key, desk, others, counts)
            after = found.due[1]
        more = page.more
        if not more:
            break
    return _step(by, after, asked, counts, ended=not more)


def _step(
    by: int, after: str, asked: int, counts: Mapping[str, int], *, ended: bool = False
) -> Step:
    cursor = {} if ended else {"by": by, "after": after}
    return Step(cursor=cursor, done=asked, result=counts, ended=ended)


def _others(desk: Desk) -> tuple[Connection, ...]:
    """The program's other connections, of which one may be the payment's."""
    found = connections_of(desk.connection.scope, store=desk.store)
    return tuple(one for one in found if one.state == "open" and one.id != desk.connection.id)


def _ask(key: Key, desk: Desk, others: tuple[Connection, ...], counts: dict[str, int]) -> int:
    """Ask about one sale and take in what is answered: 1 if there was anything to ask."""
    item = desk.store.get([key]).get(key)
    if item is None or item.due is None or item.due[0] != keys.DUE_ASK:
        return 0
    try:
        whose, bodies = _answers(item, desk, others)
    except StripeRefused as refused:  # of this sale alone: the others are asked all the same
        _count(counts, "failed")
        log("resolve", "refused", connection=desk.connection.id, because=refused.message)
        return 1
    _count(counts, "asked")
    if not bodies:
        _count(counts, "unanswered")
    for body in bodies:
        told = take_in(body, connection=whose, store=desk.store, now=desk.now(), until=desk.until)
        _count(counts, told.state)
        if told.state == "failed":
            log("resolve", "failed", event=told.event, type=told.type, because=told.because)
    return 1


def _answers(
    item: Item, desk: Desk, others: tuple[Connection, ...]
) -> tuple[Connection, tuple[bytes, ...]]:
    """Who knew the payment, and what was answered; nothing where somebody who may know it could
    not be asked."""
    settled, now, own = records.read_sale(item), desk.now(), desk.connection
    bodies = read_answers(settled, calls=desk.calls, connection=own, now=now, alone=not others)
    if bodies or not others:
        return own, bodies
    all_asked = True
    for other in others:
        try:
            calls = desk.stripe(desk.connections.credentials(other))
            bodies = read_answers(settled, calls=calls, connection=other, now=now, alone=False)
        except Refusal:  # its own jobs find out why
            all_asked = False
            continue
        if bodies:
            return other, bodies
    if all_asked:
        bodies = read_answers(settled, calls=desk.calls, connection=own, now=now, alone=True)
    return own, bodies


def _count(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1
