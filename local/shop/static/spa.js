const heading = document.getElementById("view");
for (const link of document.querySelectorAll("[data-view]"))
  link.addEventListener("click", (event) => {
    event.preventDefault();
    history.pushState({ view: link.dataset.view }, "", link.href);
    heading.textContent = link.dataset.view;
  });
addEventListener("popstate", (event) => {
  heading.textContent = event.state?.view || "Beans";
});
