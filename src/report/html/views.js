// The other tables: statements and choices beside brokers, and the brokers themselves.

const VIEWS = [
  ["behaviours", "Behaviours", behaviours],
  ["statements", "Statements", statementTable],
  ["choices", "Choices", choiceTable],
  ["brokers", "Brokers", brokerTable],
];

/// A row for each statement that a cell showed broken, or for all that are judged: in how many cells each broker breaks it.
function statementTable() {
  const brokers = shownBrokers();
  const words = (state.text || "").toLowerCase().split(/\s+/).filter(Boolean);
  const cited = unique(brokers.flatMap((broker) => citedBy(broker)));
  const fits = (own) =>
    (state.every || cited.includes(own)) &&
    (!state.protocol || own.protocol === state.protocol) &&
    has(`${own.key} ${own.paraphrase} section ${own.section}`.toLowerCase(), words);
  const shown = STATEMENTS.filter(fits).sort(bySection);
  announce(`${counted(shown.length, "statement")}, ${shown.filter((own) => cited.includes(own)).length} of them broken somewhere`);
  if (!shown.length) return element("p", { class: "empty" }, "No statement fits these filters.");
  const row = (own) =>
    element("tr", { class: "cell" },
      element("th", { scope: "row", class: "label" },
        element("a", { href: opening({ statement: own.key }), "data-column": -1 }, own.id), ` ${own.level}`,
        element("span", { class: "question" }, own.paraphrase)),
      element("td", { class: "second" }, own.protocol),
      brokers.map((broker) => broken(broker, own)));
  return element("div", {},
    element("p", { class: "note" }, "In how many cells a broker was seen to break the statement. An empty entry says that no cell showed it broken; – that no cell of this version could be judged."),
    element("table", { class: "grid" }, element("caption", { class: "unseen" }, "Statements of the standard, a row each, and brokers, a column each"),
      head("statement", "MQTT", brokers), element("tbody", {}, shown.map(row))));
}

/// The statements that a broker breaks, in its cells or beside them.
const citedBy = (broker) =>
  unique([...broker.answers.filter(Boolean).flatMap((place) => ANSWERS[place - 1].violations), ...broker.beside.map(([place]) => VIOLATIONS[place])].map((own) => own.statement));

/// True if some cell of this version was judged.
const wasJudged = (broker, protocol) =>
  ROWS.some((row) => row.protocol === protocol && ![undefined, UNSUPPORTED, ERROR].includes(answerOf(broker, row)?.verdict));

function broken(broker, statement) {
  const rows = breaking(broker, statement);
  if (rows.length) {
    const verdict = isMust(broker, statement, rows) ? VERDICTS[FAIL] : VERDICTS[WARN];
    const said = `${broker.title}: broken in ${counted(rows.length, "cell")}`;
    return element("td", { class: `entry is-${verdict.name}` },
      element("a", { href: cellAddress(broker, shownOf(broker, rows)), title: said, "data-column": broker.place },
        element("span", { class: "mark", "aria-hidden": "true" }, verdict.mark), ` ${rows.length}`, unseen(` ${verdict.name}, ${broker.title}`)));
  }
  const beside = broker.beside.some(([place]) => VIOLATIONS[place].statement === statement);
  if (beside) return element("td", { class: "entry is-fail" }, element("a", { href: opening({ broker: broker.key }), "data-column": broker.place }, "beside the cells"));
  return wasJudged(broker, statement.protocol)
    ? element("td", { class: "entry" }, unseen("no cell showed it broken"))
    : element("td", { class: "entry" }, element("span", { "aria-hidden": "true" }, "–"), unseen("no cell could be judged"));
}

/// True if what breaks is a MUST.
const isMust = (broker, statement, rows) =>
  rows.some((row) => answerOf(broker, row).violations.some((own) => own.statement === statement && own.level === "MUST"));

/// A row for each choice and each value that was seen.
function choiceTable() {
  const brokers = shownBrokers();
  const words = (state.text || "").toLowerCase().split(/\s+/).filter(Boolean);
  const shown = CHOICES.filter((own) => has(own.sentence.toLowerCase(), words) && brokers.some((broker) => choosing(broker, own)[1].length));
  shown.sort((one, other) => one.name.localeCompare(other.name) || one.value.localeCompare(other.value));
  announce(counted(shown.length, "choice"));
  if (!shown.length) return element("p", { class: "empty" }, "No choice fits these filters.");
  const row = (own) =>
    element("tr", { class: "cell" }, element("th", { scope: "row", class: "label" }, own.sentence),
      brokers.map((broker) => {
        const [had, chosen] = choosing(broker, own);
        if (!chosen.length) return element("td", { class: "entry" });
        const count = had.length === chosen.length ? `all ${had.length}` : `${chosen.length} of ${had.length}`;
        return element("td", { class: "entry is-choice" },
          element("a", { href: cellAddress(broker, shownOf(broker, chosen)), "data-column": broker.place }, count, unseen(`, ${broker.title}`)));
      }));
  return element("div", {},
    element("p", { class: "note" }, "What the standard leaves open is nobody's fault. Each entry says in how many of the cells that show it the broker chose so."),
    element("table", { class: "grid" }, element("caption", { class: "unseen" }, "Choices, a row each, and brokers, a column each"),
      head("the standard leaves it open", null, brokers), element("tbody", {}, shown.map(row))));
}

/// A row for each results file.
function brokerTable() {
  announce(counted(BROKERS.length, "broker"));
  const heads = ["broker", "configuration", "measured on", "with", ...VERDICTS.map((own) => `${own.mark} ${own.name}`), "findings"];
  const row = (broker) =>
    element("tr", { class: "cell" },
      element("th", { scope: "row", class: "label" }, element("a", { href: opening({ broker: broker.key }), "data-column": -1 }, broker.title)),
      element("td", { class: "plain configuration" }, broker.configuration), [broker.measured_on, broker.with].map((own) => element("td", { class: "plain" }, own)),
      broker.counts.map((count, verdict) => element("td", { class: `entry ${count ? `is-${VERDICTS[verdict].name}` : ""}` }, String(count))),
      element("td", { class: "entry" }, String(broker.findings)));
  return element("table", { class: "grid" }, element("caption", { class: "unseen" }, "What was measured"),
    element("thead", {}, element("tr", {}, heads.map((own, at) => element("th", { scope: "col", class: at ? "plain" : "first" }, own)))),
    element("tbody", {}, BROKERS.map(row)));
}
