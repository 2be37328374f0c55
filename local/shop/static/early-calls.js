refledger("ready", (token) => {
  document.getElementById("early").textContent = token || "none: no partner brought this visit";
});
