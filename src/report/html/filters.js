// Which brokers and which rows are shown.

/// The brokers that have a column: those in the address, or else each in its usual configuration.
function shownBrokers() {
  if (state.brokers === "all") return BROKERS;
  const keys = (state.brokers || "").split(",");
  const named = BROKERS.filter((broker) => keys.includes(broker.key));
  return named.length ? named : BROKERS.filter((broker) => broker.usual);
}

/// True if an address asks for some rows and not for others.
const isFiltered = () => ["protocol", "scenario", "verdict", "breaks", "text", "differ"].some((name) => state[name]);

/// All that can be searched for in a row, with what the brokers answered.
function searchable(row, brokers) {
  const parts = [row.id, row.title, row.question, row.scenario.question];
  for (const broker of brokers) {
    const answer = answerOf(broker, row);
    if (!answer) continue;
    parts.push(answer.reason, VERDICTS[answer.verdict].name);
    answer.violations.forEach((own) => parts.push(own.statement.key, own.statement.paraphrase, own.expected, own.observed));
    answer.choices.forEach((own) => parts.push(own.sentence));
  }
  return parts.join("\n").toLowerCase();
}

/// True if these brokers do not all answer alike: another verdict, another statement, or another choice.
function differs(row, brokers) {
  const said = brokers.map((broker) => answerOf(broker, row)).filter(Boolean).map((answer) =>
    [answer.verdict, ...unique(answer.violations.map((own) => own.statement.place)).sort(), "chose", ...answer.choices.map((own) => own.place)].join());
  return unique(said).length > 1;
}

/// The rows that the filters leave.
function shownRows() {
  const brokers = shownBrokers();
  const words = (state.text || "").toLowerCase().split(/\s+/).filter(Boolean);
  const verdict = VERDICTS.findIndex((own) => own.name === state.verdict);
  const fits = (answer) =>
    answer &&
    (!state.verdict || answer.verdict === verdict) &&
    (!state.breaks || answer.violations.some((own) => own.statement.key === state.breaks || own.statement.id === state.breaks));
  const isShown = (row) =>
    (!state.protocol || row.protocol === state.protocol) &&
    (!state.scenario || row.scenario.name === state.scenario) &&
    (!(state.verdict || state.breaks) || brokers.some((broker) => fits(answerOf(broker, row)))) &&
    (!state.differ || differs(row, brokers)) &&
    (!words.length || has(searchable(row, brokers), words));
  return ROWS.filter(isShown);
}

const has = (haystack, words) => words.every((word) => haystack.includes(word));

/// The form. Each field stands for a name in the address.
function filterForm() {
  const choice = (name, label, values, any) =>
    element("label", { class: `field of-${name}` }, element("span", {}, label),
      element("select", { name, change: (event) => go({ [name]: event.target.value }) },
        element("option", { value: "" }, any), values.map(([value, said]) => element("option", { value }, said))));
  const cited = STATEMENTS.filter((own) => VIOLATIONS.some((violation) => violation.statement === own));
  cited.sort(bySection);
  const check = (name, label) =>
    element("label", { class: `check of-${name}` },
      element("input", { type: "checkbox", name, change: (event) => go({ [name]: event.target.checked ? "1" : "" }) }), label);
  return element("form", { class: "filters", "aria-label": "Filters", submit: (event) => event.preventDefault() },
    element("label", { class: "field of-text" }, element("span", {}, "Search"),
      element("input", { type: "search", name: "text", autocomplete: "off", spellcheck: "false", placeholder: "retain, MQTT-4.5.0-1, DUP…",
        input: (event) => go({ text: event.target.value }, true) })),
    choice("protocol", "MQTT", PROTOCOLS.filter(Boolean).map((own) => [own, own]), "every version"),
    choice("scenario", "Scenario", SCENARIOS.map((own) => [own.name, own.name]), "every scenario"),
    choice("verdict", "Verdict", VERDICTS.map((own) => [own.name, `${own.mark} ${own.name}`]), "every verdict"),
    choice("breaks", "Breaks", cited.map((own) => [own.key, own.key]), "any statement or none"),
    brokerMenu(),
    check("differ", "Only differences"),
    check("every", "Also statements that no cell showed broken"),
    element("button", { type: "button", class: "of-reset", click: () => go(Object.fromEntries(NAMES.filter((own) => own !== "view").map((own) => [own, ""]))) }, "Reset"));
}

/// Which brokers have a column.
function brokerMenu() {
  const chosen = (event) => {
    const boxes = [...event.target.closest("fieldset").querySelectorAll("input[value]")];
    go({ brokers: boxes.filter((box) => box.checked).map((box) => box.value).join(",") });
  };
  const box = (broker) =>
    element("label", { class: "check" }, element("input", { type: "checkbox", value: broker.key, change: chosen }), broker.title);
  const set = (label, brokers) => element("button", { type: "button", click: () => go({ brokers }) }, label);
  const menu = element("details", { class: "menu of-brokers" },
    element("summary", {}, "Brokers ", element("span", { class: "count" })),
    element("fieldset", {}, element("legend", { class: "unseen" }, "Brokers with a column"),
      element("div", { class: "sets" }, set("Usual configurations", ""), set("All", "all")), BROKERS.map(box)));
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    event.stopPropagation();
    menu.open = false;
    menu.firstElementChild.focus();
  });
  return menu;
}

/// Sets the fields to what the address says.
function showFilters(form) {
  for (const field of form.elements) {
    if (field.type === "checkbox" && field.name) field.checked = Boolean(state[field.name]);
    else if (field.name && field.value !== (state[field.name] || "")) field.value = state[field.name] || "";
  }
  const brokers = shownBrokers();
  form.querySelectorAll(".of-brokers input").forEach((box) => (box.checked = brokers.some((own) => own.key === box.value)));
  form.querySelector(".of-brokers .count").textContent = `${brokers.length} of ${BROKERS.length}`;
  form.dataset.view = state.view || "behaviours";
}
