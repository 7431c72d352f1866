// What the pages do by themselves: the dialog of actions, and a word when something was done.

const dialog = document.getElementById("dialog");
const content = document.getElementById("dialog-content");
const told = document.getElementById("told");

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target === content && content.innerHTML.trim() && !dialog.open) dialog.showModal();
});
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-close]") || event.target === dialog) dialog.close();
});
dialog.addEventListener("close", () => content.replaceChildren());
document.addEventListener("done", (event) => {
  sessionStorage.setItem("done", event.detail.value);
  location.reload();
});
document.addEventListener("htmx:beforeSwap", (event) => {
  // Refusals are shown where the answer would be; while the server or its database is away, what is there stays.
  const status = event.detail.xhr.status;
  if (status >= 400 && event.detail.target === content) event.detail.shouldSwap = true;
});
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.target !== content) away(`The server answers ${event.detail.xhr.status}: what is shown is old`);
});
document.addEventListener("htmx:sendError", () => away("The server does not answer: what is shown is old"));
document.addEventListener("htmx:afterOnLoad", (event) => {
  if (event.detail.successful && told.dataset.away) {
    delete told.dataset.away;
    told.textContent = "";
  }
});

function away(words) {
  told.dataset.away = "yes";
  told.textContent = words;
}

// After an action the page is loaded anew; what was done is said on it.
const said = sessionStorage.getItem("done");
if (said) {
  told.textContent = said;
  sessionStorage.removeItem("done");
  setTimeout(() => { told.textContent = ""; }, 8000);
}
