// What stands behind a cell, a row, a statement or a broker: the panel beside the table.

function panel(open) {
  const { kind } = open;
  if (kind === "cell") return cellPanel(open.broker, open.row);
  if (kind === "row") return rowPanel(open.row);
  if (kind === "statement") return open.statements.map(statementPanel);
  if (kind === "broker") return brokerPanel(open.broker);
  return [element("h2", { tabindex: "-1" }, "Not on this page"), element("p", {}, "No results file of this page has what this address names.")];
}

const badge = (verdict, mark = VERDICTS[verdict].mark) =>
  element("span", { class: `badge is-${VERDICTS[verdict].name}` }, `${mark} ${VERDICTS[verdict].name}`);

const section = (title, ...children) => element("section", {}, element("h3", {}, title), children);

const brokerLink = (broker) => element("a", { href: opening({ broker: broker.key }) }, broker.title);

const statementLink = (own) => element("a", { href: opening({ statement: own.key }) }, `${own.protocol} ${own.id}`);

/// The axes of a row in words.
const named = (row) => row.title || (row.axes.length ? row.axes.map(([axis, values]) => `${axis} ${values}`).join(" · ") : "every cell");

function cellPanel(broker, row) {
  const answer = answerOf(broker, row);
  const run = broker.runs[row.place];
  const heading = element("h2", { tabindex: "-1" }, `${row.scenario.name}: ${named(row)}`);
  const about = element("p", { class: "lead" }, row.question || row.scenario.question);
  const where = element("p", { class: "where" }, brokerLink(broker), row.protocol && ` · MQTT ${row.protocol} · `, element("a", { href: opening({ row: row.id }) }, "all brokers"));
  if (!answer) return [where, heading, about, element("p", {}, "This broker was not asked: its file has no such cell.")];
  return [
    where,
    heading,
    about,
    verdictOf(answer),
    standard(answer, run),
    done(broker, row, run),
    came(answer),
    run?.attempts.length ? wire(run) : section("Packets", withoutPackets(broker, row, run)),
    commands(broker, row),
    alike(broker, row, answer),
    element("p", { class: "id" }, element("code", {}, row.id)),
  ];
}

function verdictOf(answer) {
  const says = {
    [PASS]: "As the standard orders.",
    [FAIL]: `Breaks ${counted(unique(answer.violations.map((own) => own.statement)).length, "statement")}.`,
  };
  return element("p", { class: "verdict" }, badge(answer.verdict, answer.mark), " ", answer.reason || says[answer.verdict] || "");
}

/// What is cited, expected and observed, and what the broker chose.
function standard(answer, run) {
  const violation = (own, at) => {
    const evidence = run?.evidence.find(([violation]) => violation === at);
    const [, attempt, events, waited] = evidence || [];
    return element("dl", { class: "violation" },
      element("dt", {}, "Cited"), element("dd", {}, statementLink(own.statement), own.level && ` (${own.level})`, `: ${own.statement.paraphrase}`),
      element("dt", {}, "Expected"), element("dd", {}, own.expected),
      element("dt", {}, "Observed"), element("dd", {}, own.observed),
      waited >= 100 && [element("dt", {}, "Waited"), element("dd", {}, `${(waited / 1000).toFixed(1)} s`)],
      run?.attempts.length && events?.length && [element("dt", {}, "Seen in"), element("dd", {}, run.attempts.length > 1 && `attempt ${attempt}, `, "line ", seenIn(attempt, events))]);
  };
  const choices = answer.choices.map((own) => element("li", {}, `${own.sentence}.`));
  return [
    answer.violations.length > 0 && section("What the standard says", answer.violations.map(violation)),
    choices.length > 0 && section("What the standard leaves open, and this broker chose", element("ul", {}, choices)),
  ];
}

/// The numbers of the lines that show a violation: each leads to its line.
function seenIn(attempt, events) {
  const shown = events.slice(0, 8).map((event, at) => [at > 0 && ", ",
    element("button", { type: "button", class: "link", click: () => showLine(attempt, event) }, String(event))]);
  return [shown, events.length > 8 && ` and ${events.length - 8} more`];
}

function showLine(attempt, event) {
  document.querySelectorAll("#panel details.attempt")[attempt - 1]?.setAttribute("open", "");
  const line = document.getElementById(`event-${attempt}-${event}`);
  line?.scrollIntoView({ block: "center" });
  line?.focus({ preventScroll: true });
}

/// The steps in words, each with what happened where that is known.
function done(broker, row, run) {
  const steps = broker.steps[row.place] ? DATA.lists[broker.steps[row.place] - 1].map(text) : [];
  if (!steps.length) return section("What was done", element("p", {}, "The steps stand in the file of the scenario, which is not built in."));
  const happened = run?.happened.map(text) || [];
  const hasMore = happened.some(Boolean);
  return section("What was done", element("ol", { class: "steps" }, steps.map((step, at) =>
    element("li", {}, step, happened[at] && element("span", { class: "happened" }, happened[at].replaceAll("\\n", "; "))))),
    !hasMore && element("p", { class: "note" }, "The file does not keep what happened in each step of this cell."));
}

/// What arrived, as far as the file keeps it.
function came(answer) {
  const facts = [
    ["Sent", `${counted(answer.sent, "message")}, of which the broker accepted ${answer.accepted}`],
    answer.granted !== null && ["SUBACK", answer.granted > 2 ? `refused with 0x${answer.granted.toString(16)}` : `QoS ${answer.granted} granted${answer.regranted === null ? "" : `, then ${answer.regranted}`}`],
    answer.present !== null && ["Session Present", `${Number(answer.present)} at the return`],
  ].filter(Boolean);
  const received = answer.received;
  const arrived = !received
    ? "The file keeps what arrived only for the examples of what was found."
    : received.length ? element("ul", {}, received.map((own) => element("li", {}, own))) : "No message of the experiment.";
  return section("What arrived", element("dl", {}, facts.map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
    element("dt", {}, "Arrived"), element("dd", {}, arrived)));
}

/// The diagram and the packets of each attempt; the one that shows most is open.
function wire(run) {
  const evident = run.evidence.map(([, attempt]) => attempt);
  const first = evident[0] || run.attempts.length;
  return section("On the wire", run.attempts.map((attempt, at) => {
    const number = at + 1;
    const cited = run.evidence.filter(([, own]) => own === number).flatMap(([, , events]) => events);
    const lines = linesOf(attempt);
    const left = attempt.left.map(([word, what]) => element("li", {}, element("b", {}, word), ` ${text(what)}`));
    const names = attempt.names.map(([name, wire]) => [element("dt", {}, text(name)), element("dd", {}, element("code", {}, text(wire)))]);
    const inside = () => [
      diagram(lines, cited),
      packetTable(lines, cited, number),
      left.length > 0 && [element("h4", {}, "What was owed and did not come"), element("ul", {}, left)],
      names.length > 0 && element("details", {}, element("summary", {}, "Names on the wire"), element("dl", { class: "names" }, names)),
    ].flat().filter(Boolean);
    const details = element("details", { class: "attempt" },
      element("summary", {}, run.attempts.length > 1 ? `Attempt ${number} of ${run.attempts.length}` : "Diagram and packets", ` · ${counted(lines.length, "line")}`));
    const fillOnce = () => details.childElementCount === 1 && details.append(...inside());
    details.addEventListener("toggle", () => {
      fillOnce();
      details.querySelectorAll(".diagram").forEach(toEvidence);
    });
    if (number === first) {
      details.open = true;
      fillOnce();
    }
    return details;
  }), element("p", { class: "note" }, "subscriber#2 is the second Network Connection of the client subscriber. Between clients the order within a step proves nothing."));
}

/// Why there are no packets, and how to get them.
function withoutPackets(broker, row, run) {
  const stored = run?.without ? [element("p", {}, text(run.without)), command(filled(broker.explain_stored, row))] : element("p", {}, "The results file does not keep the packets of this cell. The second command below shows them; --histories all keeps those of every cell.");
  const example = ROWS.find((own) => own.scenario === row.scenario && hasPackets(broker, own) && sameBreach(answerOf(broker, own), answerOf(broker, row)));
  return [stored, example && element("p", {}, "The file keeps those of a cell that breaks the same: ", element("a", { href: cellAddress(broker, example) }, named(example)), ".")];
}

const sameBreach = (one, other) => one?.violations.some((own) => other.violations.some((that) => that.statement === own.statement));

/// A command with the id in its place, which stands between single quotes.
const filled = (template, row) => template.replace("[cell]", () => row.id.replaceAll("'", "'\\''"));

function commands(broker, row) {
  const [repeat, explain] = broker.commands[row.scenario.name] || [];
  if (!repeat) return null;
  return section("Repeat it", command(filled(repeat, row)), element("p", { class: "note" }, "Packet by packet; --bytes shows their bytes:"), command(filled(explain, row)));
}

/// The other cells of the scenario of which this broker says the same.
function alike(broker, row, answer) {
  const same = (own) => {
    const other = answerOf(broker, own);
    const ids = (said) => unique(said.violations.map((violation) => violation.statement.place)).sort().join();
    return other && own !== row && own.scenario === row.scenario && other.verdict === answer.verdict && ids(other) === ids(answer);
  };
  const rows = answer.verdict === PASS ? [] : ROWS.filter(same);
  return rows.length > 0 && element("details", {}, element("summary", {}, `${counted(rows.length, "other cell")} of this scenario with the same finding`), cellList(broker, rows));
}

const cellList = (broker, rows) =>
  element("ul", { class: "cells" }, rows.map((row) =>
    element("li", {}, element("a", { href: cellAddress(broker, row) }, `${row.scenario.name}: ${named(row)}`), row.protocol && ` (${row.protocol})`, hasPackets(broker, row) && " · with packets")));

/// One experiment with every broker.
function rowPanel(row) {
  const line = (broker) => {
    const answer = answerOf(broker, row);
    if (!answer) return element("tr", {}, element("th", { scope: "row" }, broker.title), element("td", {}, "not asked"), element("td", {}));
    const why = answer.violations.length
      ? unique(answer.violations.map((own) => own.statement.key)).join(", ")
      : answer.choices.map((own) => own.sentence).join("; ") || answer.reason;
    return element("tr", {}, element("th", { scope: "row" }, element("a", { href: cellAddress(broker, row) }, broker.title)), element("td", {}, badge(answer.verdict, answer.mark)), element("td", {}, why));
  };
  return [
    element("p", { class: "where" }, row.scenario.name, row.protocol && ` · MQTT ${row.protocol}`),
    element("h2", { tabindex: "-1" }, named(row)),
    element("p", { class: "lead" }, row.question || row.scenario.question),
    row.scenario.constants && element("p", { class: "note" }, `In every cell of the scenario: ${row.scenario.constants}`),
    element("table", { class: "plain" }, element("caption", { class: "unseen" }, "What each broker did"), element("tbody", {}, BROKERS.map(line))),
    element("p", { class: "id" }, element("code", {}, row.id)),
  ];
}

/// A statement of the standard, and what each broker did with it.
function statementPanel(own) {
  const line = (broker) => {
    const rows = breaking(broker, own);
    const beside = broker.beside.some(([place]) => VIOLATIONS[place].statement === own);
    const verdict = rows.length && (isMust(broker, own, rows) ? FAIL : WARN);
    const said = rows.length
      ? element("details", {}, element("summary", {}, `broken in ${counted(rows.length, "cell")}`), cellList(broker, rows))
      : beside ? "broken on connections of the tool's own" : wasJudged(broker, own.protocol) ? "no cell showed it broken" : "no cell of this version could be judged";
    return element("tr", {}, element("th", { scope: "row" }, brokerLink(broker)), element("td", {}, rows.length > 0 && badge(verdict)), element("td", {}, said));
  };
  return element("article", {},
    element("p", { class: "where" }, `MQTT ${own.protocol}${own.level ? ` · ${own.level}` : ""}`),
    element("h2", { tabindex: "-1" }, own.id),
    element("p", { class: "lead" }, own.paraphrase || "This version of the tool does not know the statement."),
    own.link && element("p", {}, element("a", { href: own.link, rel: "noreferrer" }, `Section ${own.section} of the standard`), ". The wording above is ours."),
    section("What each broker did with it", element("table", { class: "plain" }, element("caption", { class: "unseen" }, `${own.key} and each broker`), element("tbody", {}, BROKERS.map(line)))),
    own.lies.length > 0 && section("How a breach is noticed", element("p", { class: "note" }, "A broker breaks it that does one of these. The tool noticed each of them in a test broker that does so on purpose:"),
      element("ul", {}, own.lies.map((lie) => element("li", {}, lie))),
      own.scenarios.length > 0 && element("p", { class: "note" }, `Scenarios that show it: ${own.scenarios.join(", ")}.`)),
    section("In a terminal", command(`mqtt-sessions explain '${own.key}'`)));
}

/// A broker: what it is, what it breaks, and what it chose.
function brokerPanel(broker) {
  const counts = broker.counts.map((count, verdict) => count > 0 && [badge(verdict), ` ${count} `]);
  const cause = (own) => {
    const rows = own.rows.map((place) => ROWS[place]);
    const example = ROWS[own.example];
    return element("li", {}, badge(own.verdict), ` ${counted(rows.length, "cell")}: ${text(own.sentence)}`, own.advice > 0 && ` Advice: ${text(own.advice)}.`,
      element("p", {}, element("a", { href: cellAddress(broker, example) }, "See it in ", `${example.scenario.name}: ${named(example)}`), example.protocol && ` (${example.protocol})`),
      rows.length > 1 && element("details", {}, element("summary", {}, `All ${counted(rows.length, "cell")}`), cellList(broker, rows)));
  };
  const besides = broker.beside.map(([place, lines]) => {
    const own = VIOLATIONS[place];
    return element("li", {}, statementLink(own.statement), `: ${own.statement.paraphrase} Expected: ${own.expected}. Observed: ${own.observed}.`,
      lines.length > 0 && element("pre", {}, lines.map(([number, line]) => `${number}  ${line}`).join("\n")));
  });
  const choices = CHOICES.map((own) => [own, ...choosing(broker, own)]).filter(([, , chosen]) => chosen.length);
  return [
    element("p", { class: "where" }, broker.configuration),
    element("h2", { tabindex: "-1" }, broker.title),
    element("p", { class: "lead" }, counts),
    section("How it was measured", element("dl", {}, [["Results file", broker.file], ["Measured on", broker.measured_on], ["With", broker.with], ...broker.facts].map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]))),
    section("What it breaks", broker.causes.length ? element("ul", { class: "causes" }, broker.causes.map(cause)) : element("p", {}, "No cell showed a statement broken.")),
    besides.length > 0 && section("What it breaks beside the cells, on connections of the tool's own", element("ul", {}, besides)),
    choices.length > 0 && section("What the standard leaves open, and it chose", element("ul", {}, choices.map(([own, had, chosen]) =>
      element("li", {}, `${own.sentence} (${had.length === chosen.length ? "all " : `${chosen.length} of `}${counted(had.length, "cell")}).`)))),
  ];
}
