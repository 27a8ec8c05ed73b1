// New messages come by themselves; what is being typed is left alone.
const list = document.getElementById("messages");
let before = list.innerHTML.trim();
async function look() {
  try {
    const now = (await (await fetch("/messages")).text()).trim();
    if (now !== before) {
      before = now;
      list.innerHTML = now;
      list.lastElementChild?.scrollIntoView({ block: "nearest" });
    }
  } catch {
    // The demo has stopped.
  }
}
setInterval(look, 700);
document.getElementById("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    event.target.form.querySelector("button").click();
  }
});
