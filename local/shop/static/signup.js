// The visit's token goes with the form, so that the server can name it.
const form = document.getElementById("signup");
form.addEventListener("submit", () => {
  form.elements.token.value = window.refledger?.("token") || "";
});
