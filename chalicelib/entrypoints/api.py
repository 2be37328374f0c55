"""The merchant's API. pydantic is imported inside the doors that read bodies: the tracking and
webhook doors share this process and must not pay for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chalice.app import Blueprint, Response

from chalicelib import flows
from chalicelib.core.program import Partner, Program
from chalicelib.core.refusals import Invalid, NotFound, Unauthorised
from chalicelib.entrypoints import api_shapes as shapes
from chalicelib.entrypoints import wiring
from chalicelib.entrypoints.answers import (
    ANY_TEXT,
    JSON,
    answering,
    base_url,
    header,
    json_body,
    ok,
    query,
)
from chalicelib.entrypoints.api_lists import listed
from chalicelib.storage import keys
from chalicelib.storage.keys import Scope

doors = Blueprint(__name__)
DAY_MS = 86_400_000


def door(path: str, *methods: str) -> Callable[[Callable[..., Response]], Any]:
    """A route of the API: authenticated, answering in the envelope."""

    def wrap(handler: Callable[..., Response]) -> Any:
        @answering(f"api {path}")
        def authenticated(**parts: str) -> Response:
            return handler(_scope(), **parts)

        authenticated.__name__ = handler.__name__
        authenticated.__doc__ = handler.__doc__
        return doors.route(
            path, methods=list(methods), name=handler.__name__, content_types=ANY_TEXT
        )(authenticated)

    return wrap


def _scope() -> Scope:
    kind, _, key = header(doors.current_request, "authorization").partition(" ")
    if kind.lower() != "bearer" or not key.strip():
        raise Unauthorised("Send a program's API key: Authorization: Bearer rfl_…")
    return flows.manage_programs.authenticate(key.strip(), store=wiring.stores().store)


def _body(shape_name: str) -> Any:
    from chalicelib.entrypoints import api_bodies

    shape = getattr(api_bodies, shape_name)
    return api_bodies.parsed(shape, json_body(doors.current_request))


@doors.route("/v1/openapi.json", methods=["GET"], content_types=ANY_TEXT)
@answering("api /v1/openapi.json")
def get_description() -> Response:
    """What the API is, for anybody: no key."""
    from chalicelib.entrypoints.openapi import description_text

    text = description_text(base_url(doors.current_request))
    return Response(body=text, headers={"Content-Type": JSON, "Cache-Control": "max-age=3600"})


@door("/v1/test", "GET")
def get_test(scope: Scope) -> Response:
    program = flows.manage_programs.read_program(scope.program, store=wiring.stores().store)
    return ok({"program": {"id": program.id, "name": program.name}, "mode": scope.mode})


@door("/v1/program", "GET")
def get_program(scope: Scope) -> Response:
    return ok(
        _program_shape(
            flows.manage_programs.read_program(scope.program, store=wiring.stores().store)
        )
    )


@door("/v1/program", "PUT")
def put_program(scope: Scope) -> Response:
    body = _body("ProgramBody")
    website = None
    if body.website is not None:
        given = body.website.model_dump(exclude_none=True)
        website = {n: tuple(v) if isinstance(v, list) else v for n, v in given.items()}
    change = flows.manage_programs.ProgramChange(
        name=body.name, website=website, settings=body.dated()
    )
    house = wiring.stores()
    program = flows.manage_programs.change_program(
        scope.program, change, store=house.store, now=wiring.now_ms()
    )
    house.programs.forget()
    return ok(_program_shape(program))


def _program_shape(program: Program) -> shapes.Shape:
    url = base_url(doors.current_request)
    snippet = flows.show_tracker.snippet(program.id, base_url=url)
    return shapes.program(program, now=wiring.now_ms(), snippet=snippet)


# partners


@door("/v1/partners", "POST")
def post_partner(scope: Scope) -> Response:
    """201 for a new partner, 200 for one that was made before with the same content."""
    body = _body("PartnerBody")
    house = wiring.stores()
    partner, created = flows.manage_partners.take_in_partner(
        _partner_change(body), program_id=scope.program, store=house.store, now=wiring.now_ms()
    )
    house.programs.forget()
    return ok(_partner_shape(partner, scope), status=201 if created else 200)


def _partner_change(body: Any) -> flows.manage_partners.PartnerChange:
    given = body.model_fields_set
    reward = body.reward
    return flows.manage_partners.PartnerChange(
        email=body.email,
        key=body.key,
        name=body.name,
        surname=body.surname,
        tags=None if body.tags is None else tuple(body.tags),
        status=body.status,
        status_starts=getattr(body, "status_starts_on", None),
        reward=reward.rule() if reward else None,
        reward_starts=reward.starts_on if reward else None,
        no_reward="reward" in given and reward is None,
    )


def _partner_shape(partner: Partner, scope: Scope) -> shapes.Shape:
    store = wiring.stores().store
    shown = flows.show_people.show_partner(partner, scope=scope, store=store)
    program = flows.manage_programs.read_program(scope.program, store=store)
    return shapes.partner(shown, program=program, now=wiring.now_ms())


@door("/v1/partners", "GET")
def get_partners(scope: Scope) -> Response:
    store = wiring.stores().store
    program = flows.manage_programs.read_program(scope.program, store=store)

    def read(limit: int, after: str, skip: int) -> tuple[Sequence[Any], bool]:
        key = keys.partner(scope.program, _partner(after, scope).key) if after else None
        page = flows.show_people.list_partners(
            scope=scope, store=store, limit=limit, after=key, skip=skip
        )
        return page.rows, page.more

    return listed(
        doors.current_request,
        read,
        cursor=lambda row: row.partner.id,
        shape=lambda row: shapes.partner(row, program=program, now=wiring.now_ms()),
    )


def _partner(name: str, scope: Scope) -> Partner:
    partner = flows.read_partner.find_partner(
        scope.program, {"any": name}, store=wiring.stores().store
    )
    if partner is None:
        raise NotFound("There is no such partner.")
    return partner


@door("/v1/partners/{partner}", "GET")
def get_partner(scope: Scope, partner: str) -> Response:
    return ok(_partner_shape(_partner(partner, scope), scope))


@door("/v1/partners/{partner}", "PUT")
def put_partner(scope: Scope, partner: str) -> Response:
    body = _body("PartnerChangeBody")
    house = wiring.stores()
    changed = flows.manage_partners.change_partner(
        partner,
        _partner_change(body),
        program_id=scope.program,
        store=house.store,
        now=wiring.now_ms(),
    )
    house.programs.forget()
    return ok(_partner_shape(changed, scope))


@door("/v1/partners/{partner}/ledger", "GET")
def get_ledger(scope: Scope, partner: str) -> Response:
    known = _partner(partner, scope)
    store = wiring.stores().store

    def read(limit: int, after: str, skip: int) -> tuple[Sequence[Any], bool]:
        return flows.show_sales.list_entries(
            known.key, scope=scope, store=store, limit=limit, after=after, skip=skip
        )

    return listed(
        doors.current_request, read, cursor=lambda e: f"{e.at}~{e.id}", shape=shapes.entry
    )


# customers


@door("/v1/customers", "POST")
def post_customer(scope: Scope) -> Response:
    """201 for a new customer, 200 for one that the merchant had made before."""
    body = _body("CustomerBody")
    told = flows.enrol_customer.Enrolment(
        key=body.key,
        email=body.email or "",
        name=body.name or "",
        tags=tuple(body.tags or ()),
        partner=body.partner.named() if body.partner else None,
        token=body.token or "",
        stripe_customer_id=body.stripe_customer_id or "",
    )
    store = wiring.stores().store
    enrolled = flows.enrol_customer.enrol_customer(
        told, scope=scope, store=store, now=wiring.now_ms()
    )
    shown = flows.show_people.find_customer(
        flows.show_people.id_of_key(told.key), scope=scope, store=store
    )
    return ok(shapes.customer(shown), status=201 if enrolled.created else 200)


@door("/v1/customers", "GET")
def get_customers(scope: Scope) -> Response:
    store = wiring.stores().store

    def read(limit: int, after: str, skip: int) -> tuple[Sequence[Any], bool]:
        page = flows.show_people.list_customers(
            scope=scope, store=store, limit=limit, after=after, skip=skip
        )
        return page.rows, page.more

    return listed(doors.current_request, read, cursor=lambda row: row.id, shape=shapes.customer)


@door("/v1/customers/{customer}", "GET")
def get_customer(scope: Scope, customer: str) -> Response:
    store = wiring.stores().store
    return ok(shapes.customer(flows.show_people.find_customer(customer, scope=scope, store=store)))


# transactions


@door("/v1/transactions", "POST")
def post_transaction(scope: Scope) -> Response:
    """201 for a new transaction, 200 for one that was told before."""
    body = _body("TransactionBody")
    store = wiring.stores().store
    currency = body.amount_units or body.currency
    if currency is None:
        currency = flows.manage_programs.read_program(scope.program, store=store).currency
    told = flows.record_sale.ToldSale(
        key=body.key,
        customer_key=body.customer.key,
        amount=body.money(currency),
        action=body.action,
        paid_at=_paid_at(body.created_at),
    )
    _, created = flows.record_sale.record_sale(told, scope=scope, store=store, now=wiring.now_ms())
    return _transaction(told.key, scope, status=201 if created else 200)


def _paid_at(told: int | None) -> int:
    now = wiring.now_ms()
    if told is not None and told > now + DAY_MS:
        raise Invalid({"created_at": ["This lies in the future: say when the sale was paid."]})
    return told if told is not None else now // 1000 * 1000


def _transaction(id: str, scope: Scope, *, status: int = 200) -> Response:
    store = wiring.stores().store
    settled = flows.record_sale.find_sale(id, scope=scope, store=store)
    return ok(
        shapes.transaction(flows.show_sales.show_sale(settled, scope=scope, store=store)),
        status=status,
    )


@door("/v1/transactions", "GET")
def get_transactions(scope: Scope) -> Response:
    store = wiring.stores().store
    named = query(doors.current_request).get("partner", "")
    partner = _partner(named, scope).key.lower() if named else ""

    def read(limit: int, after: str, skip: int) -> tuple[Sequence[Any], bool]:
        place = ""
        if after:
            place = flows.show_sales.place_of_sale(
                flows.record_sale.find_sale(after, scope=scope, store=store)
            )
        page = flows.show_sales.list_sales(
            scope=scope, store=store, limit=limit, after=place, skip=skip, partner=partner
        )
        return page.rows, page.more

    return listed(
        doors.current_request,
        read,
        cursor=lambda row: row.settled.sale.canonical,
        shape=shapes.transaction,
    )


@door("/v1/transactions/{transaction}", "GET")
def get_transaction(scope: Scope, transaction: str) -> Response:
    return _transaction(transaction, scope)


@door("/v1/transactions/{transaction}/refund", "POST")
def post_refund(scope: Scope, transaction: str) -> Response:
    body = _body("RefundBody")
    store = wiring.stores().store
    settled = flows.record_sale.find_sale(transaction, scope=scope, store=store)
    currency = settled.summary().currency
    if not currency:
        raise Invalid({"amount": ["This transaction was never paid."]})
    minor = body.money(currency).minor
    if minor == 0:
        raise Invalid({"amount": ["A refund is more than nothing."]})
    flows.record_sale.refund_sale(
        transaction, body.key, minor, scope=scope, store=store, now=wiring.now_ms()
    )
    return _transaction(transaction, scope)


@door("/v1/transactions/{transaction}/confirm", "POST")
def post_confirm(scope: Scope, transaction: str) -> Response:
    store = wiring.stores().store
    flows.record_sale.confirm_sale(transaction, scope=scope, store=store, now=wiring.now_ms())
    return _transaction(transaction, scope)


# rewards and payouts


@door("/v1/rewards", "GET")
def get_rewards(scope: Scope) -> Response:
    """Rewards, newest sale first; by ``partner``, ``status``, ``transaction``."""
    asked = query(doors.current_request)
    status = asked.get("status", "")
    if status and status not in ("pending", "payable", "paid", "reversed"):
        raise Invalid({"status": ["One of pending, payable, paid, reversed."]})
    store = wiring.stores().store
    partner = _partner(asked["partner"], scope).key if asked.get("partner") else ""
    if asked.get("transaction"):
        settled = flows.record_sale.find_sale(asked["transaction"], scope=scope, store=store)
        shown = flows.show_sales.show_sale(settled, scope=scope, store=store).rewards
        rows = [r for r in shown if _wanted(r, partner, status)]
        return listed(
            doors.current_request,
            lambda limit, after, skip: (rows[skip:], False),
            cursor=_reward_id,
            shape=shapes.reward,
        )

    def read(limit: int, after: str, skip: int) -> tuple[Sequence[Any], bool]:
        return flows.show_sales.list_rewards(
            scope=scope,
            store=store,
            limit=limit,
            after=after,
            skip=skip,
            partner=partner.lower(),
            wanted=lambda reward: _wanted(reward, partner, status),
        )

    return listed(doors.current_request, read, cursor=_reward_id, shape=shapes.reward)


def _reward_id(reward: flows.show_sales.ShownReward) -> str:
    return reward.id


def _wanted(reward: flows.show_sales.ShownReward, partner: str, status: str) -> bool:
    return (not partner or reward.partner == partner) and (
        not status or reward.position.status() == status
    )


@door("/v1/payouts", "POST")
def post_payout(scope: Scope) -> Response:
    """201 for a new payout, 200 for a repeat of its key."""
    body = _body("PayoutBody")
    store = wiring.stores().store
    by, name = body.partner.named()
    partner = flows.read_partner.find_partner(scope.program, {by: name}, store=store)
    if partner is None:
        raise Invalid({f"partner.{by}": ["There is no such partner."]})
    done = flows.pay_out.pay_out(
        body.key,
        partner=partner.key,
        currency=body.currency,
        expected_minor=body.expected_minor,
        scope=scope,
        store=store,
        now=wiring.now_ms(),
    )
    return ok(shapes.payout(done.payout, partner), status=201 if done.created else 200)
