// The sequence diagram: a lane for each client, and one for the broker between them. The packets below it say the same.

const LANE = 210;
const STEP = 26;
const MARGIN = 44;
/// Events that are drawn; the packets go on.
const DRAWN = 220;

/// The drawing of these lines; nothing where there is no client.
function diagram(lines, cited) {
  const drawn = lines.filter((line) => line.words && line.direction !== "step" ? true : line.direction === "step").slice(0, DRAWN);
  const clients = unique(drawn.filter((line) => line.client && line.direction !== "step").map((line) => line.client));
  if (!clients.length) return null;
  const left = Math.ceil(clients.length / 2);
  const lanes = [...clients.slice(0, left), null, ...clients.slice(left)];
  const x = (client) => MARGIN + LANE / 2 + LANE * lanes.indexOf(client);
  const width = MARGIN + LANE * lanes.length;
  const height = 50 + drawn.length * STEP;
  const parts = [];
  lanes.forEach((client) => {
    parts.push(shape("line", { class: "lane", x1: x(client), x2: x(client), y1: 34, y2: height - 8 }));
    parts.push(shape("rect", { class: "head", x: x(client) - 62, y: 6, width: 124, height: 26, rx: 5 }));
    parts.push(shape("text", { class: "head", x: x(client), y: 24 }, client === null ? "broker" : short(client)));
  });
  drawn.forEach((line, at) => parts.push(...drawnLine(line, 58 + at * STEP, x, width, cited.includes(line.number))));
  const said = `Sequence diagram of ${counted(drawn.length, "event")} between ${clients.join(", ")} and the broker; the table of packets says the same.`;
  const drawing = shape("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": said }, arrowhead("tip"), arrowhead("tip-cited"), parts);
  return element("div", { class: "scrolls diagram", tabindex: "0", role: "group", "aria-label": "Sequence diagram" }, drawing,
    lines.length > drawn.length && drawn.length === DRAWN && element("p", { class: "note" }, "The diagram ends here; the packets go on below."));
}

/// A name as far as there is room for it.
const short = (name) => (name.length > 17 ? `${name.slice(0, 16)}…` : name);

const arrowhead = (id) =>
  shape("marker", { id, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" }, shape("path", { class: id, d: "M0 0 8 4 0 8z" }));

function drawnLine(line, y, x, width, isCited) {
  if (line.direction === "step") {
    return [shape("line", { class: "divider", x1: 0, x2: width, y1: y - 12, y2: y - 12 }), shape("text", { class: "step", x: MARGIN, y: y + 3 }, `step ${line.words}`)];
  }
  const number = shape("text", { class: "number", x: 4, y: y + 4 }, String(line.number));
  const here = x(line.client || null);
  const kind = `${isCited ? "cited" : ""} ${isProof(line.words) ? "proof" : ""}`;
  if (line.direction === "--" || !line.client) {
    return [number, shape("text", { class: `aside ${kind}`, x: here, y: y + 4 }, line.words)];
  }
  const [from, to] = line.direction === "->" ? [here, x(null)] : [x(null), here];
  const gap = Math.sign(to - from) * 3;
  return [
    number,
    shape("line", { class: `arrow ${kind}`, x1: from + gap, x2: to - gap, y1: y + 6, y2: y + 6, "marker-end": `url(#${isCited ? "tip-cited" : "tip"})`, "stroke-dasharray": line.words.startsWith("end ") ? "4 3" : null }),
    shape("text", { class: `words ${kind}`, x: (here + neighbour(here, x(null))) / 2, y: y + 1 }, line.words),
  ];
}

/// The lane beside a client's on the way to the broker, between which the words stand.
const neighbour = (here, broker) => here + Math.sign(broker - here) * Math.min(LANE, Math.abs(broker - here));

/// What the tool sends to prove something.
const isProof = (words) => /\b(loop|fence)\d|^PING/.test(words);

/// Scrolls a diagram to the first event that shows what is broken.
function toEvidence(drawing) {
  const cited = drawing.querySelector(".arrow.cited");
  if (cited) drawing.scrollTop = Number(cited.getAttribute("y1")) - 200;
}
