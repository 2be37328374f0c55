// Refledger is told first, then the form goes on its way: at the latest after a second.
const form = document.getElementById("signup");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { key, email, name } = form.elements;
  key.value ||= "user-" + crypto.randomUUID().slice(0, 8);
  const told = window.refledger?.("signup", {
    key: key.value,
    email: email.value,
    name: name.value,
  });
  await Promise.race([told, new Promise((resolve) => setTimeout(resolve, 1000))]);
  form.submit();
});
