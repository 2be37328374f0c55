// After ann's link was followed, the first step is done: lead on to the second.
addEventListener("load", () => {
  if (window.refledger?.("token")) document.getElementById("arrive").textContent = "Done. Again?";
});
