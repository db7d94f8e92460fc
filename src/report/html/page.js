// The page as a whole: what stands where, and what happens when the address changes.

const THEMES = ["auto", "light", "dark"];

/// The stored wish for light or dark; a page from a file may have no storage.
function theme(wish) {
  try {
    if (wish) localStorage.setItem("mqtt-sessions-theme", wish);
    return localStorage.getItem("mqtt-sessions-theme") || "auto";
  } catch {
    return wish || "auto";
  }
}

function dress(wish) {
  document.documentElement.dataset.theme = wish;
}

const status = element("p", { class: "status", role: "status" });
const form = filterForm();
const view = element("div", { class: "view", role: "region", "aria-label": "Table", tabindex: "-1" });
const aside = element("aside", { id: "panel", "aria-label": "Details", hidden: true });
const inside = element("div", { class: "inside" });

/// Tells how much is shown.
function announce(said) {
  if (status.textContent !== said) status.textContent = said;
}

const close = element("button", { type: "button", class: "close", "aria-label": "Close the details", click: () => go({ cell: "", row: "", statement: "", broker: "" }) }, "✕");
aside.append(element("div", { class: "bar" }, close), inside);

function legend() {
  const means = { pass: "as the standard orders", fail: "a MUST is broken", warn: "a SHOULD is broken, or something is odd", inconclusive: "the evidence does not suffice", unsupported: "announced or refused", error: "the tool or the network" };
  const one = (mark, name, said) => element("li", {}, element("span", { class: `mark is-${name}` }, mark), ` ${said}`);
  return element("ul", { class: "legend", "aria-label": "What the marks mean" },
    one("✓", "pass", means.pass), one("*", "pass", "right; what came is the broker's choice"),
    VERDICTS.filter((own) => own.name !== "pass").map((own) => one(own.mark, own.name, `${own.name}: ${means[own.name]}`)));
}

function tabs() {
  const { view, ...rest } = state;
  OPENED.forEach((name) => delete rest[name]);
  return VIEWS.map(([name, label]) =>
    element("a", { href: address(name === "behaviours" ? rest : { ...rest, view: name }), "aria-current": (view || "behaviours") === name ? "page" : null }, label));
}

const nav = element("nav", { "aria-label": "Views" });

function expand() {
  const isOpen = state.open === "all";
  return element("button", { type: "button", class: "of-open", click: () => go({ open: isOpen ? "" : "all" }, true) }, isOpen ? "Close all scenarios" : "Open all scenarios");
}

const tools = element("div", { class: "tools" });

/// A narrow page shows the filters on request, or where one is set.
const more = element("details", { class: "more" }, element("summary", {}, "Search and filters"), form);

/// What the table is made from: when this changes, it is made anew.
const shapeOf = (own) => JSON.stringify(NAMES.filter((name) => !OPENED.includes(name)).map((name) => own[name] || ""));

/// Shows the state. `before` is the state that was shown, if any.
function render(before) {
  showFilters(form);
  nav.replaceChildren(...tabs());
  const open = opened();
  const isSame = before && before !== state && shapeOf(before) === shapeOf(state);
  if (!isSame) {
    const [, , table] = VIEWS.find(([name]) => name === state.view) || VIEWS[0];
    const focused = document.activeElement?.closest?.(".view [data-column]")?.dataset;
    tools.replaceChildren(status, ...(VIEWS.some(([name]) => name === state.view && name !== "behaviours") ? [] : [expand()]));
    view.replaceChildren(table());
    oneStop(view);
    if (focused?.of) view.querySelector(`[data-of="${CSS.escape(focused.of)}"]`)?.focus();
  }
  if (open || before) mark(open);
  showPanel(open, before);
}

/// Marks what is opened. The addresses in the table keep all else of the state that is shown.
function mark(open) {
  for (const link of view.querySelectorAll("a[href]")) {
    const isOpen = Boolean(open) && openedIn(read(link.hash)) === openedIn(state);
    if (isOpen) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

const openedIn = (own) => OPENED.map((name) => own?.[name] || "").join();

function showPanel(open, before) {
  const hasChanged = !before || openedIn(before) !== openedIn(state);
  aside.hidden = !open;
  document.body.classList.toggle("has-panel", Boolean(open));
  narrow();
  if (open && (hasChanged || before === state)) {
    inside.replaceChildren(...[panel(open)].flat(Infinity).filter(Boolean));
    aside.scrollTop = 0;
    inside.querySelectorAll(".diagram").forEach(toEvidence);
    const heading = inside.querySelector("h2");
    document.title = `${heading.textContent} · MQTT brokers side by side`;
    if (before && hasChanged) heading.focus();
  } else if (!open) {
    document.title = "MQTT brokers side by side: what becomes of a session";
    if (before && hasChanged) [...view.querySelectorAll("a[href]")].find((own) => openedIn(read(own.hash)) === openedIn(before))?.focus();
  }
}

/// On a narrow page the panel covers everything else, which then is out of reach.
const narrowPage = matchMedia("(max-width: 60rem)");
const narrow = () => (document.querySelector("main").inert = !aside.hidden && narrowPage.matches);

function folds() {
  more.open = !narrowPage.matches || isFiltered();
}

function boot() {
  dress(theme());
  const dressing = element("label", { class: "field theme" }, element("span", {}, "Theme"),
    element("select", { name: "theme", change: (event) => dress(theme(event.target.value)) }, THEMES.map((own) => element("option", { value: own, selected: own === theme() }, own))));
  document.querySelector(".top").append(nav, dressing);
  const hint = element("p", { class: "note hint" }, "Arrow keys move in the table, Enter opens, Escape closes.");
  const main = element("main", {}, more, legend(), tools, view, element("footer", {}, hint, element("p", { class: "note" }, `Made by ${DATA.tool}. Only what is cited under a verdict is said of a broker; a pass says that these cells showed nothing else.`)));
  document.getElementById("page").append(main, aside);
  view.addEventListener("keydown", moves);
  view.addEventListener("focusin", (event) => event.target.closest("[data-column]") && oneStop(view, event.target.closest("[data-column]")));
  document.addEventListener("keydown", (event) => event.key === "Escape" && !aside.hidden && close.click());
  addEventListener("hashchange", arrived);
  narrowPage.addEventListener("change", () => (narrow(), folds()));
  folds();
  render(null);
}

boot();
