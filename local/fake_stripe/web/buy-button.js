// Stand-in for Stripe's <stripe-buy-button>. It asks the fake for its text, shows a button, and on
// a click goes to Checkout with the reference its attribute holds at that moment.
(() => {
  const home = new URL(document.currentScript.src).origin;

  class BuyButton extends HTMLElement {
    static observedAttributes = ["buy-button-id", "publishable-key", "client-reference-id"];

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
      const id = this.getAttribute("buy-button-id");
      const key = this.getAttribute("publishable-key");
      if (!id || !key) return;
      const answer = await fetch(`${home}/v3/buy_buttons/${id}?key=${encodeURIComponent(key)}`);
      if (!answer.ok) {
        this.shadowRoot.replaceChildren("This buy button is not available.");
        return;
      }
      const { text } = await answer.json();
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = text;
      button.addEventListener("click", () => this.open(id));
      this.shadowRoot.replaceChildren(button);
    }

    open(id) {
      const target = new URL(`${home}/v3/buy_buttons/${id}/open`);
      for (const name of ["client-reference-id", "customer-email"]) {
        const value = this.getAttribute(name);
        if (value) target.searchParams.set(name.replaceAll("-", "_"), value);
      }
      window.location.assign(target);
    }
  }

  if (!customElements.get("stripe-buy-button")) {
    customElements.define("stripe-buy-button", BuyButton);
  }
})();
