// Shows markup that dashboard/web/markup.py wrote (every text in it is escaped there), turns clicks on links of
// ours into a message instead of a page load, and shows the hints of `data-tip`.
const tip = () => {
  let box = document.getElementById("n-tip");
  if (!box) {
    box = document.createElement("div");
    box.id = "n-tip";
    box.setAttribute("role", "tooltip");
    document.body.appendChild(box);
  }
  return box;
};

function fonts(base) {
  if (document.getElementById("n-fonts")) return;
  const link = document.createElement("link");
  link.id = "n-fonts";
  link.rel = "stylesheet";
  link.href = `${base}/assets/fonts.css`;
  document.head.appendChild(link);
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  fonts(data.base);
  let root = parentElement.querySelector(".n-root");
  if (!root) {
    root = document.createElement("div");
    root.className = "n-root";
    parentElement.appendChild(root);
  }
  if (root.nerve !== data.html) {
    root.innerHTML = data.html;
    root.nerve = data.html;
  }
  if (data.lang) document.documentElement.lang = data.lang === "zh" ? "zh-CN" : "en";

  const click = (event) => {
    const link = event.target.closest("a.n-go[href]");
    if (!link || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    tip().classList.remove("n-on");
    // Another place begins at its top.
    document.querySelector("[data-testid=stMain]")?.scrollTo(0, 0);
    const to = new URL(link.getAttribute("href"), document.baseURI);
    const page = to.pathname.split("/").filter(Boolean).pop() || "";
    setTriggerValue("go", { page, params: Object.fromEntries(to.searchParams) });
  };
  const move = (event) => {
    const box = tip();
    const over = event.target.closest ? event.target.closest("[data-tip]") : null;
    if (!over || event.type === "mouseleave") return box.classList.remove("n-on");
    if (box.textContent !== over.dataset.tip) box.textContent = over.dataset.tip;
    box.classList.add("n-on");
    const wide = box.offsetWidth, tall = box.offsetHeight;
    const x = event.clientX + 14 + wide > innerWidth ? event.clientX - wide - 10 : event.clientX + 14;
    const y = event.clientY + 16 + tall > innerHeight ? event.clientY - tall - 10 : event.clientY + 16;
    box.style.transform = `translate(${Math.max(4, x)}px, ${Math.max(4, y)}px)`;
  };
  const close = (event) => {
    for (const open of root.querySelectorAll("details[name=passport][open]"))
      if (event.key === "Escape" || (event.type === "click" && !open.contains(event.target))) open.open = false;
  };
  root.addEventListener("click", click);
  root.addEventListener("mousemove", move);
  root.addEventListener("mouseleave", move);
  document.addEventListener("click", close);
  document.addEventListener("keydown", close);
  return () => {
    root.removeEventListener("click", click);
    root.removeEventListener("mousemove", move);
    root.removeEventListener("mouseleave", move);
    document.removeEventListener("click", close);
    document.removeEventListener("keydown", close);
    tip().classList.remove("n-on");
  };
}
