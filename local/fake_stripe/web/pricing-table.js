// Stand-in for Stripe's <stripe-pricing-table>. It asks the fake for its prices, shows a button
// each, and on a click goes to Checkout with the reference its attribute holds at that moment.
(() => {
  const home = new URL(document.currentScript.src).origin;

  class PricingTable extends HTMLElement {
    static observedAttributes = ["pricing-table-id", "publishable-key", "client-reference-id"];

    connectedCallback() {
      if (!this.shadowRoot) this.attachShadow({ mode: "open" });
      this.load();
    }

    attributeChangedCallback(name, before, after) {
      if (!this.isConnected || before === after) return;
      if (name === "client-reference-id") this.dataset.reference = after ?? "";
      else this.load();
    }

    async load() {
      const id = this.getAttribute("pricing-table-id");
      const key = this.getAttribute("publishable-key");
      if (!id || !key) return;
      const answer = await fetch(`${home}/v3/pricing_tables/${id}?key=${encodeURIComponent(key)}`);
      if (!answer.ok) {
        this.shadowRoot.replaceChildren("This pricing table is not available.");
        return;
      }
      const { offers } = await answer.json();
      const list = document.createElement("ul");
      offers.forEach((offer, place) => {
        const item = document.createElement("li");
        const text = document.createElement("span");
        const button = document.createElement("button");
        text.textContent = `${offer.name}: ${offer.price} `;
        button.type = "button";
        button.textContent = offer.action;
        button.setAttribute("aria-label", `${offer.action}: ${offer.name}`);
        button.addEventListener("click", () => this.open(id, place));
        item.append(text, button);
        list.append(item);
      });
      this.shadowRoot.replaceChildren(list);
    }

    open(id, place) {
      const target = new URL(`${home}/v3/pricing_tables/${id}/open`);
      target.searchParams.set("offer", place);
      for (const name of ["client-reference-id", "customer-email"]) {
        const value = this.getAttribute(name);
        if (value) target.searchParams.set(name.replaceAll("-", "_"), value);
      }
      window.location.assign(target);
    }
  }

  if (!customElements.get("stripe-pricing-table")) {
    customElements.define("stripe-pricing-table", PricingTable);
  }
})();
