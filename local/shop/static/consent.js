const answer = document.getElementById("answer");
function say(given, words) {
  window.refledger?.("consent", given);
  answer.textContent = words;
}
document.getElementById("accept").onclick = () => say(true, "Thank you. The visit counts.");
document.getElementById("refuse").onclick = () => say(false, "Nothing is stored, nothing was sent.");
