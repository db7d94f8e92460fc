// What the files say. Texts and answers stand once in the data, and elsewhere as their places there.

const DATA = JSON.parse(document.getElementById("data").textContent);
const text = (place) => DATA.texts[place] || "";

/// The places of verdicts, worst first.
const [FAIL, ERROR, UNCLEAR, WARN, UNSUPPORTED, PASS] = DATA.verdicts.keys();
const VERDICTS = DATA.verdicts.map(([mark, name]) => ({ mark, name }));

const STATEMENTS = DATA.statements.map((own, place) => ({
  place,
  protocol: text(own.protocol),
  id: text(own.id),
  key: `${text(own.protocol)} ${text(own.id)}`,
  level: own.level,
  paraphrase: text(own.paraphrase),
  section: text(own.section),
  link: text(own.link),
  lies: own.lies.map(text),
  scenarios: own.scenarios.map(text),
}));

const VIOLATIONS = DATA.violations.map((own) => ({
  statement: STATEMENTS[own.statement],
  level: own.level,
  expected: text(own.expected),
  observed: text(own.observed),
}));

const CHOICES = DATA.choices.map((own, place) => ({
  place,
  name: text(own.name),
  value: text(own.value),
  sentence: text(own.sentence),
}));

const ANSWERS = DATA.answers.map(([verdict, reason, counts, codes, choices, violations, received, decides]) => ({
  verdict,
  reason: text(reason),
  sent: counts[0],
  accepted: counts[1],
  present: codes[0],
  granted: codes[1],
  regranted: codes[2],
  choices: choices.map((place) => CHOICES[place]),
  violations: violations.map((place) => VIOLATIONS[place]),
  received: received && received.map(text),
  mark: verdict === PASS && decides ? "*" : VERDICTS[verdict].mark,
}));

const SCENARIOS = DATA.scenarios.map((own) => ({
  name: text(own.name),
  question: text(own.question),
  constants: text(own.constants),
  folds: [],
}));

/// Every cell, whichever brokers have it, in the order of the table.
const ROWS = [];
DATA.scenarios.forEach((own, at) => {
  const scenario = SCENARIOS[at];
  for (const { axes, rows } of own.folds) {
    const fold = { scenario, axes: axes.map(([axis, values]) => [text(axis), values.map(text)]), rows: [] };
    for (const stored of DATA.rows.slice(ROWS.length, ROWS.length + rows)) {
      const row = {
        place: ROWS.length,
        scenario,
        fold,
        id: text(stored.id),
        protocol: text(stored.protocol),
        axes: stored.axes.map(([axis, value]) => [text(axis), [text(value)]]),
        question: text(stored.question),
        title: text(stored.title),
      };
      fold.rows.push(row);
      ROWS.push(row);
    }
    scenario.folds.push(fold);
  }
});

const BROKERS = DATA.brokers.map((own, place) => ({
  ...own,
  place,
  title: [own.name + (own.variant ? `:${own.variant}` : ""), own.version].filter(Boolean).join(" "),
}));

const rowOf = new Map(ROWS.map((row) => [row.id, row]));
const brokerOf = new Map(BROKERS.map((broker) => [broker.key, broker]));
const PROTOCOLS = unique(ROWS.map((row) => row.protocol)).sort();

/// Statements in the order of their sections.
const bySection = (one, other) =>
  `${one.section} ${one.id} ${one.protocol}`.localeCompare(`${other.section} ${other.id} ${other.protocol}`, "en", { numeric: true });

/// What a broker answered in a row; nothing where it was not asked.
const answerOf = (broker, row) => {
  const place = broker.answers[row.place];
  return place ? ANSWERS[place - 1] : null;
};

/// The rows in which a broker breaks a statement.
const breaking = (broker, statement) =>
  ROWS.filter((row) => answerOf(broker, row)?.violations.some((own) => own.statement === statement));

/// The rows in which a broker had a choice, and those in which it chose so.
function choosing(broker, choice) {
  const had = ROWS.filter((row) => answerOf(broker, row)?.choices.some((own) => own.name === choice.name));
  return [had, had.filter((row) => answerOf(broker, row).choices.includes(choice))];
}

/// The row to show of several: one with packets, if there is one.
const shownOf = (broker, rows) => rows.find((row) => hasPackets(broker, row)) || rows[0];

/// True if the page has the packets of the cell.
const hasPackets = (broker, row) => Boolean(broker.runs[row.place]?.attempts.length);

/// The statements with this key, or with this id in any version.
const statementsOf = (key) => STATEMENTS.filter((own) => own.key === key || own.id === key);
