"""The shop's pages: one per way in which a merchant may sell or sign people up."""

from dataclasses import dataclass
from typing import Literal

Program = Literal["acme", "beta"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """`file` stands in `pages/`. `stripe_script` is one of Stripe's elements' scripts."""

    path: str
    file: str
    title: str
    blurb: str = ""
    program: Program = "acme"
    consent: bool = False
    script: str | None = None
    early_script: str | None = None
    stripe_script: str | None = None
    group: Literal["pay", "sign up", "website", ""] = ""


PAGES = [
    Page(path="/", file="front.html", title="Morning Roast", script="front.js"),
    Page(
        path="/payment-link",
        file="payment-link.html",
        title="A Payment Link",
        blurb="A plain link to Stripe. The token rides along in it.",
        group="pay",
    ),
    Page(
        path="/payment-link-late",
        file="late.html",
        title="A Payment Link that comes late",
        blurb="Put into the page ten seconds after it has loaded.",
        script="late.js",
        group="pay",
    ),
    Page(
        path="/pricing-table",
        file="pricing-table.html",
        title="A pricing table",
        blurb="Stripe's <stripe-pricing-table> with a one-off price and a subscription.",
        stripe_script="pricing-table",
        group="pay",
    ),
    Page(
        path="/pricing-table-late",
        file="late.html",
        title="A pricing table that comes late",
        blurb="The same element, inserted ten seconds later.",
        script="late.js",
        stripe_script="pricing-table",
        group="pay",
    ),
    Page(
        path="/buy-button",
        file="buy-button.html",
        title="A buy button",
        blurb="Stripe's <stripe-buy-button>.",
        stripe_script="buy-button",
        group="pay",
    ),
    Page(
        path="/buy-button-late",
        file="late.html",
        title="A buy button that comes late",
        blurb="The same element, inserted ten seconds later.",
        script="late.js",
        stripe_script="buy-button",
        group="pay",
    ),
    Page(
        path="/own-reference",
        file="own-reference.html",
        title="A reference of the shop's own",
        blurb="The link has a client_reference_id already. It stays as it is.",
        group="pay",
    ),
    Page(
        path="/signup",
        file="signup.html",
        title="Sign up, then subscribe",
        blurb="The shop's server tells Refledger of the new user and opens Stripe's Checkout.",
        script="signup.js",
        group="sign up",
    ),
    Page(
        path="/signup-in-browser",
        file="signup-in-browser.html",
        title="Sign up from the page",
        blurb='One call in the page: refledger("signup", …). No server code for it.',
        script="signup-in-browser.js",
        group="sign up",
    ),
    Page(
        path="/form",
        file="form.html",
        title="A form, caught",
        blurb="A plain form without any code. The program Beta has form capture on.",
        program="beta",
        group="sign up",
    ),
    Page(
        path="/spa",
        file="spa.html",
        title="A single-page site",
        blurb="Pages change without loading; a partner's link may appear at any time.",
        script="spa.js",
        group="website",
    ),
    Page(
        path="/consent",
        file="consent.html",
        title="Ask first",
        blurb="Nothing is stored or sent before the visitor agrees.",
        consent=True,
        script="consent.js",
        group="website",
    ),
    Page(
        path="/early-calls",
        file="early-calls.html",
        title="Calls before the script is there",
        blurb="A stub keeps them until the script has loaded.",
        early_script="stub.js",
        script="early-calls.js",
        group="website",
    ),
    Page(
        path="/two-domains",
        file="two-domains.html",
        title="Two domains, one visit",
        blurb="A link to the shop's other domain hands the visit over (program Beta).",
        program="beta",
        group="website",
    ),
    Page(path="/thanks", file="thanks.html", title="What just happened", script="thanks.js"),
]

BY_PATH = {page.path: page for page in PAGES}


def page_at(path: str) -> Page | None:
    """`/aff/ann` is the front page, reached by a path link."""
    if path.startswith("/aff/") and path.count("/") == 2:
        return BY_PATH["/"]
    return BY_PATH.get(path)
