// Asks the shop's server what Refledger knows of this purchase, and draws it, again and again.
const story = document.getElementById("story");
const summary = document.getElementById("summary");
const next = document.getElementById("next");
const done = document.getElementById("done");
const started = Date.now();
let drawn = "";

/** el("p", {className: "big"}, "text", anotherElement) */
function el(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const DIGITS = { jpy: 0, krw: 0, clp: 0, bhd: 3, jod: 3, kwd: 3, omr: 3, tnd: 3 };

function money(minor, currency) {
  const digits = DIGITS[currency] ?? 2;
  return `${(minor / 10 ** digits).toFixed(digits)} ${(currency || "").toUpperCase()}`;
}

const words = (value) =>
  value === null || value === undefined
    ? "none"
    : typeof value == "object"
      ? value.key || value.id || JSON.stringify(value)
      : String(value);

function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "");
  return el("dl", {}, ...known.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

function table(caption, headings, rows) {
  const isNumber = (column) => rows.some((cells) => cells[column]?.number);
  const head = el("tr", {}, ...headings.map((heading, column) =>
    el("th", { scope: "col", className: isNumber(column) ? "number" : "" }, heading)));
  const body = rows.map((cells) =>
    el("tr", {}, ...cells.map((cell) =>
      el("td", { className: cell?.number ? "number" : "" }, cell?.number ?? cell ?? ""))));
  const made = el("table", { ariaLabel: caption }, el("thead", {}, head), el("tbody", {}, ...body));
  return el("div", { className: "scroll" }, made);
}

const tag = (text) => el("span", { className: `tag ${text}` }, text);

function step(known, heading, ...children) {
  return el("li", { className: known ? "known" : "" }, el("h2", {}, heading), ...children);
}

function clickStep({ customer, sale }) {
  const credited = sale?.partner || customer?.partner;
  const because = customer?.referral?.because || sale?.because || "";
  if (credited)
    return step(true, "The click", el("p", { className: "big" }, `${words(credited)}'s link`), el("p", {}, because));
  return step(false, "The click",
    el("p", {}, "No partner is credited with this visit."), because ? el("p", {}, because) : null);
}

function customerStep({ customer }) {
  if (!customer) return step(false, "The customer", el("p", {}, "Not known yet."));
  return step(true, "The customer",
    el("p", { className: "big" }, customer.email || words(customer.key)),
    facts([
      ["Key", words(customer.key)],
      ["At Stripe", (customer.stripe_customer_ids || []).join(", ")],
      ["Referred by", customer.partner ? words(customer.partner) : "nobody"],
    ]));
}

function saleStep({ sale }) {
  if (!sale) return step(false, "The sale", el("p", {}, "Stripe has not told of one yet."));
  const ids = (sale.ids || []).join(", ");
  const trace = sale.trace || [];
  return step(true, "The sale",
    el("p", { className: "big" }, money(sale.amount_minor, sale.currency)),
    facts([
      ["Net", money(sale.net_minor ?? 0, sale.currency)],
      ["Refunded", sale.refunded_minor ? money(sale.refunded_minor, sale.currency) : ""],
      ["Known as", ids || words(sale.key)],
    ]),
    trace.length
      ? table("How it was decided", ["Considered", "Verdict", "Because"],
          trace.map((line) => [line.considered, tag(line.verdict), line.because]))
      : null);
}

function entryStep({ sale, entries }) {
  const rewards = sale?.rewards || [];
  if (!rewards.length && !entries.length)
    return step(false, "The ledger", el("p", {}, "No entry for this one."));
  return step(true, "The ledger",
    rewards.length
      ? table("Rewards", ["Reward", "Status", "Because"],
          rewards.map((one) => [{ number: money(one.amount_minor, one.currency) }, tag(one.status), words(one.because)]))
      : null,
    entries.length
      ? table("Entries", ["Account", "Amount", "Because"],
          entries.slice(0, 8).flatMap((entry) =>
            (entry.postings || [entry]).map((posting, index) => [
              words(posting.account ?? entry.kind),
              { number: money(posting.amount_minor, posting.currency || entry.currency) },
              index ? "" : words(entry.because),
            ])))
      : null);
}

function balanceStep({ partner }) {
  if (!partner) return step(false, "The balance", el("p", {}, "Nobody's balance changed."));
  const rows = Object.entries(partner.balances || {}).map(([currency, of]) => [
    currency.toUpperCase(),
    { number: money(of.pending_minor, currency) },
    { number: money(of.payable_minor, currency) },
    { number: money(of.paid_minor, currency) },
  ]);
  return step(rows.length > 0, `${words(partner.key)}'s balance`,
    rows.length
      ? table("Balance", ["Currency", "Pending", "Payable", "Paid"], rows)
      : el("p", {}, "Nothing yet."),
    facts([["Clicks so far", String(partner.clicks ?? "")]]));
}

function sum(what) {
  const reward = what.sale?.rewards?.[0];
  if (reward)
    return `${words(reward.partner)} earns ${money(reward.amount_minor, reward.currency)}: ${reward.because}.`;
  if (what.sale) return `The sale is known; nobody is credited with it: ${what.sale.because || "no partner brought it"}.`;
  if (what.customer) return "The customer is known; a sale has not been told of yet.";
  return Date.now() - started < 15000
    ? "Thank you! Stripe is telling Refledger about it …"
    : "Refledger has not heard of this purchase. Is the webhook delivered?";
}

function draw(what) {
  summary.textContent = sum(what);
  next.hidden = !what.sale;
  const steps = [clickStep, customerStep, saleStep, entryStep, balanceStep];
  story.replaceChildren(...steps.map((one) => one(what)));
}

async function look() {
  try {
    const answer = await fetch("/api/what-happened" + location.search);
    const text = await answer.text();
    if (answer.ok && text != drawn) {
      drawn = text;
      draw(JSON.parse(text));
    } else if (!answer.ok) summary.textContent = JSON.parse(text).message;
    else summary.textContent = sum(JSON.parse(text));
  } catch {
    summary.textContent = "The shop does not answer; trying again.";
  }
  setTimeout(look, Date.now() - started < 60000 ? 1000 : 4000);
}

const refunded = (did) => `Refunded: ${money(did.refunded_minor, did.currency)}.`;
const DOINGS = {
  month: ["/api/let-a-month-pass", () => "Thirty days have passed, and the job that matures rewards has run."],
  half: ["/api/refund", refunded],
  all: ["/api/refund", refunded],
};

for (const button of document.querySelectorAll("[data-do]"))
  button.addEventListener("click", async () => {
    const [address, words] = DOINGS[button.dataset.do];
    const session_id = new URLSearchParams(location.search).get("session_id");
    button.disabled = true;
    const answer = await fetch(address, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ session_id, part: button.dataset.do }),
    });
    const did = await answer.json();
    done.textContent = answer.ok ? words(did) : did.message;
    button.disabled = false;
  });

look();
