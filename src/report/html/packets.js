// What was on the wire in one attempt, line by line, as `mqtt-sessions explain` prints it.

/// Lines that are shown at once; the others on request.
const LINES = 400;

/// The lines of an attempt, taken apart.
function linesOf(attempt) {
  return attempt.lines.map(([time, client, connection, direction, said, gloss, words, owed, bytes], at) => ({
    number: at + 1,
    time: time === null ? "" : (time / 10).toFixed(1),
    client: text(client),
    connection,
    direction,
    said: text(said),
    gloss: text(gloss),
    words: text(words),
    owed: owed.map(([word, what]) => [word, text(what)]),
    bytes: bytes || "",
  }));
}

/// The packets of an attempt as a table. `cited` are the numbers of the lines that show what is broken.
function packetTable(lines, cited, number) {
  const row = (line) => {
    if (line.direction === "step") {
      return element("tr", { class: "step" }, element("th", { colspan: 4, scope: "rowgroup" }, `step ${line.said}`));
    }
    const who = line.client ? `${line.client}${line.connection ? `#${line.connection}` : ""}` : "";
    const isCited = cited.includes(line.number);
    return element("tr", { id: `event-${number}-${line.number}`, class: isCited ? "cited" : "", tabindex: isCited ? "-1" : null },
      element("td", { class: "number" }, String(line.number)),
      element("td", { class: "number" }, line.time),
      element("td", { class: "who" }, who, " ", ARROWS[line.direction] || ""),
      element("td", {}, element("span", { class: "said" }, line.said), isCited && element("strong", { class: "flag" }, " ◀ evidence"),
        line.gloss && element("span", { class: "gloss" }, line.gloss),
        line.owed.map(([word, what]) => element("span", { class: `owed is-${word}` }, element("b", {}, word), ` ${what}`)),
        line.bytes && bytesOf(line.bytes)));
  };
  const body = element("tbody", {}, lines.slice(0, LINES).map(row));
  const more = lines.length > LINES && element("button", { type: "button" }, `Show all ${lines.length} lines`);
  if (more) {
    more.addEventListener("click", () => {
      body.append(...lines.slice(LINES).map(row));
      more.remove();
    });
  }
  return element("div", { class: "scrolls", tabindex: "0", role: "group", "aria-label": "Packets" },
    element("table", { class: "packets" }, element("caption", { class: "unseen" }, "Packets"),
      element("thead", {}, element("tr", {}, ["№", "ms", "client", "what it was, and what it means"].map((own) => element("th", { scope: "col" }, own)))), body), more);
}

const ARROWS = { "->": "→", "<-": "←", "--": "–" };

/// The bytes of a packet, sixteen in a row.
function bytesOf(base64) {
  const bytes = [...atob(base64)].map((own) => own.charCodeAt(0));
  const rows = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = bytes.slice(at, at + 16);
    const shown = row.map((own) => (own > 32 && own < 127 ? String.fromCharCode(own) : "."));
    rows.push(row.map((own) => own.toString(16).padStart(2, "0")).join(" ").padEnd(49) + shown.join(""));
  }
  return element("pre", { class: "bytes" }, rows.join("\n"));
}
