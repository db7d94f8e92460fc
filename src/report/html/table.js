// The table of behaviours and brokers: scenarios with what came of them in each version, and below them, once they are
// opened, rows. Rows are made only when their scenario is opened: there are thousands of cells.

/// Fewer rows than these are shown at once when a filter is set.
const OPENED_ROWS = 40;

/// The folds that are open, by the id of the first row.
const openFolds = new Set();
/// The scenarios that a reader closed although a filter opens them.
const closed = new Set();

function behaviours() {
  const brokers = shownBrokers();
  const shown = new Set(shownRows());
  const groups = SCENARIOS.map((scenario) => ({
    scenario,
    folds: scenario.folds.map((fold) => ({ fold, rows: fold.rows.filter((row) => shown.has(row)) })).filter((own) => own.rows.length),
  })).filter((group) => group.folds.length);
  const folds = groups.reduce((sum, group) => sum + group.folds.length, 0);
  const opensAll = isFiltered() && folds <= OPENED_ROWS;
  const table = element("table", { class: "grid" },
    element("caption", { class: "unseen" }, "Behaviours, a row each, and brokers, a column each"),
    head("behaviour", "MQTT", brokers));
  groups.forEach((group) => table.append(body(group, brokers, opensAll)));
  announce(`${shown.size} of ${counted(ROWS.length, "cell")} in ${counted(groups.length, "scenario")}`);
  return groups.length ? table : element("p", { class: "empty" }, "No cell fits these filters.");
}

/// The names of the columns.
function head(first, second, brokers) {
  const column = (broker) =>
    element("th", { scope: "col", class: "broker" },
      element("a", { href: opening({ broker: broker.key }), title: broker.title, "data-column": broker.place },
        element("span", { class: "name" }, broker.name), " ", broker.variant && element("span", { class: "variant" }, broker.variant.replaceAll("_", "_\u200b")), " ",
        broker.version && element("span", { class: "version" }, broker.version)));
  return element("thead", {}, element("tr", {}, element("th", { scope: "col", class: "first" }, first),
    second && element("th", { scope: "col", class: "second" }, second), brokers.map(column)));
}

/// The scenarios that the address opens.
const openScenarios = () => (state.open || "").split(",").filter(Boolean);

/// A scenario: a line for each version, and its rows where it is open.
function body(group, brokers, opensAll) {
  const { scenario, folds } = group;
  const names = openScenarios();
  const isOpen = names.includes("all") || names.includes(scenario.name) || (opensAll && !closed.has(scenario.name));
  const rows = folds.flatMap((own) => own.rows);
  const protocols = PROTOCOLS.filter((protocol) => rows.some((row) => row.protocol === protocol));
  const toggle = () => {
    const all = names.includes("all") ? SCENARIOS.map((own) => own.name) : names;
    const others = all.filter((own) => own !== scenario.name);
    if (isOpen) closed.add(scenario.name);
    else closed.delete(scenario.name);
    go({ open: (isOpen ? others : [...others, scenario.name]).join(",") }, true);
  };
  const title = element("th", { scope: "rowgroup", rowspan: protocols.length, class: "scenario" },
    element("button", { type: "button", "aria-expanded": String(isOpen), click: toggle, "data-column": -1, "data-of": scenario.name },
      element("span", { class: "triangle", "aria-hidden": "true" }), scenario.name),
    element("span", { class: "question" }, scenario.question));
  const lines = protocols.map((protocol, at) => {
    const own = rows.filter((row) => row.protocol === protocol);
    return element("tr", { class: "summary" }, at === 0 && title,
      element("th", { scope: "row", class: "second" }, unseen(`${scenario.name}, MQTT `), protocol || "any"),
      brokers.map((broker) => summary(broker, own)));
  });
  return element("tbody", {}, lines, isOpen && folds.map((fold) => foldLines(fold, brokers)));
}

/// The worst verdict of these rows, and how many of them have it: it leads to one of them.
function summary(broker, rows) {
  const answered = rows.filter((row) => answerOf(broker, row));
  if (!answered.length) return element("td", { class: "entry" });
  const worst = Math.min(...answered.map((row) => answerOf(broker, row).verdict));
  const own = answered.filter((row) => answerOf(broker, row).verdict === worst);
  const count = own.length === answered.length ? `${own.length}` : `${own.length}/${answered.length}`;
  const { mark, name } = VERDICTS[worst];
  const title = `${broker.title}: ${name} in ${own.length} of ${counted(answered.length, "cell")}`;
  return element("td", { class: `entry is-${name}${own.length < answered.length ? " some" : ""}` },
    element("a", { href: cellAddress(broker, shownOf(broker, own)), title, "data-column": broker.place },
      element("span", { class: "mark", "aria-hidden": "true" }, mark), ` ${count}`, unseen(` ${name}, ${broker.title}`)));
}

/// A row for cells that are alike, and one for each of them where it is open.
function foldLines({ fold, rows }, brokers) {
  if (rows.length === 1) return [line(rows, rows[0].axes.length ? shortened(rows[0], fold) : [], null, brokers)];
  const key = fold.rows[0].id;
  const isOpen = openFolds.has(key);
  const toggle = () => {
    if (!openFolds.delete(key)) openFolds.add(key);
    render(state);
  };
  const button = element("button", { type: "button", class: "fold", "aria-expanded": String(isOpen), click: toggle, "data-column": -1, "data-of": key },
    element("span", { class: "triangle", "aria-hidden": "true" }), counted(rows.length, "cell"), unseen(" that are alike in every broker"));
  const lines = [line(rows, fold.axes, button, brokers)];
  if (isOpen) lines.push(...rows.map((row) => line([row], row.axes, null, brokers, "single")));
  return lines;
}

/// The axes that tell one row of a fold apart: those of the fold where it is its only one.
const shortened = (row, fold) => (fold.rows.length === 1 ? fold.axes : row.axes);

function line(rows, axes, button, brokers, kind = "") {
  const [row] = rows;
  return element("tr", { class: `cell ${kind}` },
    element("th", { scope: "row", class: "label" },
      element("a", { href: opening({ row: row.id }), "data-column": -1 }, unseen(`${row.scenario.name}: `), axesOf(axes)),
      row.title && rows.length === 1 && element("span", { class: "question" }, row.title), button),
    element("td", { class: "second" }, unique(rows.map((own) => own.protocol)).sort().join(" ")),
    brokers.map((broker) => entry(broker, rows)));
}

/// `publish_qos 1, 2`: an axis and its values.
function axesOf(axes) {
  if (!axes.length) return "every cell";
  return axes.map(([axis, values]) =>
    element("span", { class: "axis" }, `${axis.replaceAll("_", "_\u200b")} `, element("b", {}, values.join(", "))));
}

/// The answer of a broker in these rows, which are alike.
function entry(broker, rows) {
  const row = shownOf(broker, rows.filter((own) => answerOf(broker, own)));
  if (!row) return element("td", { class: "entry" });
  const answer = answerOf(broker, row);
  const { name } = VERDICTS[answer.verdict];
  const chosen = answer.choices.map((own) => own.value).join(" ");
  const why = answer.violations.length ? unique(answer.violations.map((own) => own.statement.key)).join(", ") : answer.choices.map((own) => own.sentence).join("; ");
  const said = `${name}${why ? `, ${why}` : ""}`;
  return element("td", { class: `entry is-${name}` },
    element("a", { href: cellAddress(broker, row), title: `${broker.title}: ${said}`, "data-column": broker.place },
      element("span", { class: "mark", "aria-hidden": "true" }, answer.mark),
      chosen && element("span", { class: "chosen" }, chosen.replaceAll("_", " ")), unseen(` ${name}, ${broker.title}`)));
}

/// Arrow keys go from entry to entry, so that the table is one stop for the Tab key.
function moves(event) {
  const here = event.target.closest("[data-column]");
  if (!here || event.altKey || event.ctrlKey || event.metaKey) return;
  const row = here.closest("tr");
  const inRow = [...row.querySelectorAll("[data-column]")];
  const sideways = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const lines = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  let next = null;
  if (sideways) next = inRow[inRow.indexOf(here) + sideways];
  else if (event.key === "Home") next = inRow[0];
  else if (event.key === "End") next = inRow.at(-1);
  else if (lines) next = inColumn(here, row, lines);
  else return;
  event.preventDefault();
  next?.focus();
}

/// The next line that has something in this column.
function inColumn(here, row, lines) {
  const all = [...row.closest("table").rows];
  for (let at = all.indexOf(row) + lines; all[at]; at += lines) {
    const found = all[at].querySelector(`[data-column="${here.dataset.column}"]`);
    if (found) return found;
  }
  return null;
}

/// Only one entry of the table is a stop for the Tab key: the one that had the focus last.
function oneStop(table, wanted) {
  const all = [...table.querySelectorAll("[data-column]")];
  const stop = all.find((own) => own === wanted) || all.find((own) => own.tabIndex === 0 && own.dataset.stop) || all[0];
  all.forEach((own) => {
    own.tabIndex = own === stop ? 0 : -1;
    delete own.dataset.stop;
  });
  if (stop) stop.dataset.stop = "1";
}
