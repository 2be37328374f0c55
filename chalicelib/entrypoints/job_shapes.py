"""What the API answers of jobs: how far they are, what they found, and sale by sale what came of
it."""

from collections.abc import Mapping
from typing import Any

from chalicelib.core.money import Money
from chalicelib.entrypoints.api_shapes import Shape, moment, trace
from chalicelib.flows import job_sales
from chalicelib.flows.job_sales import JobSale
from chalicelib.storage.job_records import Job

AMOUNTS = ("found", "healed", "explained", "unexplained")


def job(known: Job) -> Shape:
    shown: Shape = {
        "id": known.id,
        "kind": known.kind,
        "connection": known.connection,
        "state": known.state,
        "because": known.because or None,
        "done": known.done,
        "total": known.total,
        "rate": known.rate,
        "result": _result(known),
        "created_at": moment(known.created_at),
        "started_at": moment(known.started_at),
        "ended_at": moment(known.ended_at),
    }
    if known.kind == "backfill":
        shown["preview"] = bool(known.params["preview"])
        shown["from"] = moment(int(known.params["from"]))
        shown["transactions_until"] = moment(job_sales.kept_until(known))
    return shown


def _result(known: Job) -> Shape | None:
    if not known.result:
        return None
    if known.kind == "reconcile":
        return compared(known.result)
    if known.kind == "backfill":
        sums = _sums(known.result.get("sums", {}))
        if known.state != "done":  # added up when all is read: nought would be no answer
            sums = dict.fromkeys(sums)
        return {"read": _read(known.result.get("read", {})), **sums}
    return dict(known.result)


def compared(found: Mapping[str, Any]) -> Shape:
    """What a reconciliation found, and of which time."""
    return {"from": moment(found["from"]), "to": moment(found["to"]), **_read(found)}


def reconciliation(report: Mapping[str, Any]) -> Shape:
    return {
        "job": report["job"],
        "connection": report["connection"],
        "started_at": moment(report["at"]),
        "ended_at": moment(report["ended_at"]),
        **compared(report),
    }


def _read(found: Mapping[str, Any]) -> Shape:
    amounts = found.get("amounts", {})
    return {
        "seen": found.get("seen", 0),
        "found": found.get("found", 0),
        "healed": found.get("healed", 0),
        "explained": dict(found.get("explained", {})),
        "unexplained": found.get("unexplained", 0),
        "amounts_minor": {name: dict(amounts.get(name, {})) for name in AMOUNTS},
        "examples": [dict(example) for example in found.get("examples", ())],
    }


def _sums(sums: Mapping[str, Any]) -> Shape:
    def lines(name: str, of: str, minor: str) -> list[Shape]:
        return [
            {
                of: line[of],
                "currency": line["currency"],
                "transactions": line["sales"],
                minor: line["minor"],
            }
            for line in sums.get(name, ())
        ]

    return {
        "transactions_found": sums.get("found", 0),
        "transactions_changed": sums.get("changed", 0),
        "amounts_minor": dict(sums.get("amounts", {})),
        "partners": lines("partners", "partner", "reward_minor"),
        "reasons": lines("reasons", "because", "reward_minor"),
        "nobody": lines("nobody", "because", "amount_minor"),
    }


def job_sale(shown: JobSale) -> Shape:
    note, settled = shown.note, shown.settled
    summary = settled.summary()
    currency = summary.currency or "eur"
    canonical = settled.sale.canonical.removeprefix("tx:")
    return {
        "transaction": note.sale.removeprefix("tx:"),
        "now_part_of": None if shown.holds else canonical,
        "new": note.new,
        "paid_at": moment(summary.paid_at),
        "amount": Money(summary.amount, currency).decimal(),
        "amount_minor": summary.amount,
        "currency": currency,
        "partner": settled.credited or None,
        "rewards": [_earned(name, minor) for name, minor in sorted(note.earned.items()) if minor],
        "because": settled.because,
        "trace": trace(settled.trace),
    }


def _earned(name: str, minor: int) -> Shape:
    partner, currency = name.split("|")
    amount = Money(minor, currency).decimal()
    return {"partner": partner, "amount": amount, "amount_minor": minor, "currency": currency}
