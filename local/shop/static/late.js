// Ten seconds after the page, the offer: a link, a pricing table or a buy button.
const place = document.getElementById("late");
const countdown = document.getElementById("countdown");
let left = Number(new URLSearchParams(location.search).get("after") ?? 10);

function made() {
  const { kind, link, buyButton, pricingTable, key } = place.dataset;
  if (kind == "payment-link") {
    const offer = document.createElement("a");
    Object.assign(offer, { href: link, id: "late-link", className: "button" });
    offer.textContent = "Buy the course for €49";
    return offer;
  }
  const element = document.createElement(`stripe-${kind}`);
  element.setAttribute(`${kind}-id`, kind == "buy-button" ? buyButton : pricingTable);
  element.setAttribute("publishable-key", key);
  return element;
}

function tick() {
  if (left-- > 0) {
    countdown.textContent = `The offer comes in ${left + 1} s.`;
    setTimeout(tick, 1000);
  } else {
    countdown.textContent = "Here it is.";
    place.append(made());
  }
}
tick();
