"""The ways in which the code is broken, each by hand: what is replaced, and by what."""

from dataclasses import dataclass

Edit = tuple[str, str, str]
"""A file, the text that stands there once, and the text that takes its place."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """``tests`` are those that catch it, where the moment that it takes is too rare for a few
    hundred histories."""

    name: str
    edits: tuple[Edit, ...]
    tests: str = ""


BOOK = "chalicelib/flows/book_facts.py"
CLICKS = "chalicelib/flows/count_clicks.py"
DECIDE = "chalicelib/flows/decide_sale.py"
PREPARE = "chalicelib/flows/prepare_facts.py"
KEEP = "chalicelib/flows/keep_event.py"
PLAN = "chalicelib/flows/plan_writes.py"
RECORDS = "chalicelib/storage/records.py"
ATTRIBUTION = "chalicelib/core/attribution.py"
FACTS = "chalicelib/core/facts.py"
PEOPLE = "chalicelib/core/people.py"
REWARDS = "chalicelib/core/rewards.py"
SALE = "chalicelib/core/sale.py"
SETTLEMENT = "chalicelib/core/settlement.py"


def mutant(name: str, *edits: Edit, tests: str = "") -> Mutant:
    return Mutant(name, edits, tests)


MUTANTS: tuple[Mutant, ...] = (
    mutant(
        "a customer is written whatever somebody else has written meanwhile",
        (
            PLAN,
            "    writes: list[Write] = [Put(item)]\n    for other in absorbed:",
            "    writes: list[Write] = [Put(item, blind=True)]\n    for other in absorbed:",
        ),
    ),
    mutant(
        "the event is stamped before it is booked",
        (
            KEEP,
            'self._put(self._head if changes else _ended(self._head, "handled", ""))\n'
            "            if put and not changes:",
            'self._put(_ended(self._head, "handled", ""))\n            if put:',
        ),
    ),
    mutant(
        "a float in the reward",
        (
            REWARDS,
            "whole = base * rule.rate_basis_points / 10_000",
            "whole = Fraction(float(base) * (rule.rate_basis_points / 100) / 100)",
        ),
    ),
    mutant(
        "refunds told twice are added, not joined",
        (
            SALE,
            "        if group not in by_charge:\n            refunded += amount\n        elif",
            "        refunded += amount\n        if group in by_charge and",
        ),
    ),
    mutant(
        "the last of the rewarded payments earns nothing",
        (REWARDS, "standing.number > limit", "standing.number >= limit"),
    ),
    mutant(
        "the hold ends a day early",
        (
            SALE,
            "summary.paid_at + hold_days * 86_400_000",
            "summary.paid_at + (hold_days - 1) * 86_400_000",
        ),
    ),
    mutant(
        "the window ends a day early",
        (ATTRIBUTION, "if days > self.terms.window_days:", "if days >= self.terms.window_days:"),
    ),
    mutant(
        "the work that a change owes is dropped",
        (
            PLAN,
            "    if since is not None:\n        writes.append(_work_write(",
            "    if since is not None and not writes:\n        writes.append(_work_write(",
        ),
    ),
    mutant(
        "an open dispute is ignored",
        (SETTLEMENT, "    if summary.dispute_open:\n", "    if False:\n"),
    ),
    mutant(
        "two customers of the merchant's become one",
        (PEOPLE, "if one == two or len(keys[one] | keys[two]) > 1:", "if one == two:"),
    ),
    mutant(
        "a balance is added to after its payout period has ended",
        (RECORDS, 'changes, when={"period": period})', "changes)"),
        tests="tests/flows/test_at_once.py",
    ),
    mutant("an id gets no alias", (PLAN, "        writes.append(Put(alias))\n", "")),
    mutant(
        "a view told later replaces the one before",
        (FACTS, "newest = max(self, other, key=_view_order)", "newest = other"),
    ),
    mutant(
        "of two sales that become one, one's postings are forgotten",
        (SETTLEMENT, "pending=known.pending + position.pending", "pending=position.pending"),
    ),
    mutant(
        "a click is counted each time that its stream tells of it",
        (CLICKS, ' if "counted" not in item.body]', "]"),
    ),
    mutant(
        "a key that a visitor signed up under stops its checkout for ever",
        (
            PLAN,
            "Check(keys.identity(scope, identity), version)",
            "Check(keys.identity(scope, identity), 0)",
        ),
    ),
    mutant(
        "an old sale's reason changes when its customer comes back",
        (DECIDE, "whole, case = case, _without_later_evidence(case, own)", "whole = case"),
    ),
    mutant(
        "a click that is awaited may be missed",
        (PREPARE, "        writes.append(Check(keys.click(scope.program, token), 0))\n", ""),
        tests="tests/flows/test_at_once.py",
    ),
    mutant(
        "a sale is released although its hold has not passed",
        (SETTLEMENT, "(release and due_at <= now)", "release"),
        tests="tests/flows/test_worked_examples.py",
    ),
    mutant(
        "a refund that failed still counts",
        (FACTS, 'return self.status not in ("failed", "canceled", RELEASED)', "return True"),
    ),
)


def broken(text: str, edit: Edit) -> str:
    """The file's text with the edit; raises ``ValueError`` unless it applies exactly once."""
    path, old, new = edit
    if text.count(old) != 1:
        raise ValueError(f"{path} has {text.count(old)} times: {old!r}")
    return text.replace(old, new)
