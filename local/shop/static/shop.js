// On every page: say in the footer whose visit the tracker sees. A shop would not need this.
const visit = document.getElementById("visit");

function tell() {
  const token = window.refledger?.("token");
  visit.textContent = token
    ? `This visit came by ${token.split("_").slice(1).join("_")}'s link. Token: ${token}`
    : "This visit: no partner brought it, so nothing is stored and nothing was sent.";
}

addEventListener("load", tell);
setInterval(tell, 1000);
