// Results files that no broker gave: many and large ones, one whose every text tries to leave its place, and storms.

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const BROKERS = 15;
const CELLS = 1000;

/// Fifteen brokers with a thousand cells each, made from these files, with the histories that those keep. Returns the paths.
export function large(folder, sources) {
  return Array.from({ length: BROKERS }, (_, number) => {
    const results = JSON.parse(readFileSync(sources[number % sources.length], "utf8"));
    results.broker = { name: `broker${number}`, version: `${number}.0`, how: "url" };
    for (let at = 0; results.cells.length < CELLS; at++) {
      const cell = structuredClone(results.cells[at]);
      cell.scenario = "more";
      cell.axes = { protocol: cell.axes.protocol ?? "5.0", number: at };
      cell.id = `more[protocol=${cell.axes.protocol},number=${at}]`;
      results.cells.push(cell);
    }
    results.cells.sort((one, other) => (one.id < other.id ? -1 : 1));
    const path = join(folder, `broker${number}.json`);
    writeFileSync(path, JSON.stringify(results));
    return path;
  });
}

/// What a page must show as it stands.
export const HOSTILE = `</script><script>window.taken=1</script><img src=x onerror="window.taken=1">'"\u2028&lt;{{7*7}}`;

/// A results file in which each text that may be any text is hostile.
export function hostile(folder, source) {
  const results = JSON.parse(readFileSync(source, "utf8"));
  const failed = results.cells.find((cell) => cell.violations.length && results.run.cells[cell.id]);
  const run = results.run.cells[failed.id];
  const id = `${HOSTILE}[protocol=5.0,${HOSTILE}=${HOSTILE}]`;
  for (const violation of failed.violations) {
    Object.assign(violation, { statement: `MQTT-${HOSTILE}`, expected: HOSTILE, observed: HOSTILE });
  }
  Object.assign(failed, { id, scenario: HOSTILE, axes: { protocol: HOSTILE, [HOSTILE]: HOSTILE }, reason: HOSTILE, choices: { [HOSTILE]: HOSTILE } });
  Object.assign(results.broker, { name: HOSTILE, version: HOSTILE, how: `${HOSTILE}:${HOSTILE}` });
  for (const attempt of run.attempts) {
    attempt.names = { [HOSTILE]: HOSTILE };
    attempt.history = attempt.history.map((line) => line.replace("payload=m1", `payload=${encodeURI(HOSTILE)}`));
  }
  Object.assign(results.run, { url: HOSTILE, host: HOSTILE, cleanup: HOSTILE, reached_with: [HOSTILE], kept: "all" });
  results.run.scenarios = { [HOSTILE]: { question: HOSTILE, has_wills: false } };
  results.run.cells = { [id]: run };
  // Evidence that points to nothing.
  run.evidence.push({ violation: 99, attempt: 99, events: [0, 99999] });
  results.cells = [failed];
  const path = join(folder, "hostile.json");
  writeFileSync(path, JSON.stringify(results));
  return path;
}

/// A storm on the embedded broker, and one of the same figures in which sessions break something and texts are hostile.
export function storms(folder, binary) {
  const [good, bad] = ["storm.json", "hostile-storm.json"].map((name) => join(folder, name));
  execFileSync(binary, ["storm", "--sessions", "200", "--export-json", good], { stdio: "ignore" });
  const storm = JSON.parse(readFileSync(good, "utf8"));
  const violation = { protocol: "5.0", statement: "MQTT-4.5.0-1", level: "MUST", expected: HOSTILE, observed: HOSTILE };
  Object.assign(storm.broker, { name: HOSTILE, version: HOSTILE, how: HOSTILE });
  Object.assign(storm.run, { url: HOSTILE, prefix: HOSTILE, cleanup: HOSTILE });
  Object.assign(storm, { verdict: "fail", limits: [HOSTILE], findings: [{ ...violation, sessions: 1 }] });
  storm.run.deviants = [{ session: 1, alike: 1, verdict: "fail", reason: HOSTILE, evidence: [{ violation: 0, attempt: 1, events: [1, 99] }], violations: [violation], history: [HOSTILE] }];
  writeFileSync(bad, JSON.stringify(storm));
  return [good, bad];
}
