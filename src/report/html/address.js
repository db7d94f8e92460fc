// The address has the whole state of the page, so that each view of it can be linked: `#cell=BROKER/ID&protocol=5.0`.

/// The names in an address, in the order in which it has them: first what is opened, then the view and its filters.
const NAMES = ["cell", "row", "statement", "broker", "view", "protocol", "scenario", "verdict", "breaks", "text", "differ", "every", "brokers", "open"];
/// Of these one is opened at a time.
const OPENED = ["cell", "row", "statement", "broker"];

/// Characters that may stand in an address as they are, and make it readable.
const PLAIN = /%(2F|3A|3D|5B|5D|2C|20)/g;

const encoded = (value) => encodeURIComponent(value).replace(PLAIN, (own) => (own === "%20" ? "+" : decodeURIComponent(own)));

function decoded(value) {
  try {
    return decodeURIComponent(value.replaceAll("+", " "));
  } catch {
    return "";
  }
}

/// The state that an address stands for. What it does not know is left out.
function read(hash) {
  const state = {};
  for (const part of hash.replace(/^#/, "").split("&")) {
    const at = part.indexOf("=");
    const name = part.slice(0, at);
    if (at > 0 && NAMES.includes(name)) state[name] = decoded(part.slice(at + 1));
  }
  return state;
}

/// The address of a state.
function address(state) {
  return "#" + NAMES.filter((name) => state[name]).map((name) => `${name}=${encoded(state[name])}`).join("&");
}

let state = read(location.hash);

/// The address of this view with something else opened in it.
function opening(opened) {
  const rest = { ...state };
  OPENED.forEach((name) => delete rest[name]);
  return address({ ...rest, ...opened });
}

const cellAddress = (broker, row) => opening({ cell: `${broker.key}/${row.id}` });

/// Goes to another state, as a step that the back button takes back, unless it replaces this one.
function go(change, replaces = false) {
  const next = address({ ...state, ...change });
  if (replaces || next === location.hash) {
    history.replaceState(null, "", next);
    arrived();
  } else {
    location.hash = next;
  }
}

function arrived() {
  const before = state;
  state = read(location.hash);
  render(before);
}

/// What the address opens: its kind, and the things that it names; nothing where there is no such thing.
function opened() {
  const [broker, id] = splitCell(state.cell || "");
  if (broker && rowOf.has(id)) return { kind: "cell", broker, row: rowOf.get(id) };
  if (state.row && rowOf.has(state.row)) return { kind: "row", row: rowOf.get(state.row) };
  if (state.cell && rowOf.has(state.cell)) return { kind: "row", row: rowOf.get(state.cell) };
  const statements = state.statement ? statementsOf(state.statement) : [];
  if (statements.length) return { kind: "statement", statements };
  if (state.broker && brokerOf.has(state.broker)) return { kind: "broker", broker: brokerOf.get(state.broker) };
  return OPENED.some((name) => state[name]) ? { kind: "nothing" } : null;
}

/// The key of a broker may have slashes, and so may an id.
function splitCell(cell) {
  for (let at = cell.indexOf("/"); at > 0; at = cell.indexOf("/", at + 1)) {
    const broker = brokerOf.get(cell.slice(0, at));
    if (broker && rowOf.has(cell.slice(at + 1))) return [broker, cell.slice(at + 1)];
  }
  return [null, ""];
}
