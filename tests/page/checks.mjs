// What people do with the page, a check each. `breakages` say what to break in which page, so that the check has to fail: the text
// before, and after.

import { ok, equal, deepEqual } from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { HOSTILE } from "./made.mjs";

const AXE = createRequire(join(process.env.PAGE_TOOLS, "package.json")).resolve("axe-core/axe.min.js");
const BYTES_MAX = 5 * 1024 * 1024;
const OPENS_WITHIN_MS = 1000;
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

const count = (tab, selector) => tab.locator(selector).count();
const hash = (tab) => tab.evaluate(() => decodeURIComponent(location.hash));
const heading = (tab) => tab.locator("#panel h2").first().textContent();
const focused = (tab) => tab.evaluate(() => `${document.activeElement.tagName} ${document.activeElement.textContent}`);

/// The first red cell of the table with everything opened, of which the page has packets.
async function redCell(tab) {
  await tab.locator("tr.summary td.is-fail a").first().click();
  return hash(tab);
}

/// Asserts that a page has no horizontal scroll bar.
async function fitsItsWidth(tab) {
  const [scroll, client] = await tab.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  ok(scroll <= client, `the page is ${scroll} wide, and the window ${client}`);
}

/// Asserts that axe finds nothing.
async function isAccessible(tab, where) {
  await tab.evaluate(readFileSync(AXE, "utf8"));
  const found = await tab.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  const said = found.violations.map((own) => `${own.id}: ${own.help}: ${own.nodes.slice(0, 2).map((node) => node.html.slice(0, 140)).join(" | ")}`);
  equal(said.length, 0, `${where}: ${said.join("\n")}`);
}

export const checks = [
  {
    name: "15 brokers with 1,000 cells open within a second, below 5 MB",
    breakages: [["large", "let state = read(location.hash);", "let state = read(location.hash); for (const end = Date.now() + 1100; Date.now() < end;);"]],
    async run({ paths, open }) {
      const bytes = statSync(paths.large).size;
      ok(bytes < BYTES_MAX, `the page has ${bytes} bytes`);
      const tab = await open("large");
      // The time of the processor, which says the same on a machine that is busy with other things.
      const session = await tab.context().newCDPSession(tab);
      await session.send("Performance.enable", { timeDomain: "threadTicks" });
      const spent = async () => (await session.send("Performance.getMetrics")).metrics.find((own) => own.name === "TaskDuration").value * 1000;
      const before = await spent();
      await tab.reload();
      // Until the first picture of the table.
      const opened = await tab.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now())))));
      const worked = (await spent()) - before;
      console.log(`     ${bytes} bytes, ${Math.round(worked)} ms of work, there after ${Math.round(opened)} ms`);
      equal(await count(tab, "thead th.broker"), 15);
      ok((await tab.getByRole("status").textContent()).startsWith("1000 of 1000 cells"));
      ok(worked > 10 && worked < OPENS_WITHIN_MS, `it took ${worked} ms`);
    },
  },
  {
    name: "the overview says what the Markdown says",
    breakages: [["usual", "Math.min(...answered", "Math.max(...answered"]],
    async run({ paths, open }) {
      const tab = await open("usual");
      const shown = await tab.$$eval("tr.summary", (lines) => {
        let scenario = "";
        document.querySelectorAll(".entry .unseen").forEach((own) => own.remove());
        return lines.map((line) => {
          scenario = line.querySelector(".scenario button")?.textContent ?? scenario;
          const entries = [...line.querySelectorAll("td.entry")].map((own) => own.textContent.replace(/\s+/g, " ").trim());
          return [scenario, line.querySelector("th.second").lastChild.textContent, ...entries];
        });
      });
      const lines = readFileSync(paths.markdown, "utf8").split("## Where something breaks")[1].split("\n");
      const table = lines.filter((line) => line.startsWith("| ")).slice(2);
      const told = table.slice(0, shown.length).map((line) => line.split("|").slice(1, -1).map((own) => own.trim().replaceAll("\\", "")));
      ok(shown.length > 20, `${shown.length} lines`);
      deepEqual(shown, told);
    },
  },
  {
    name: "each filter shows fewer rows, stands in the address, and is there again after a reload",
    breakages: [
      ["usual", "(!state.protocol || row.protocol === state.protocol) &&", ""],
      ["usual", "(!state.verdict || answer.verdict === verdict) &&", ""],
      ["usual", "history.replaceState(null, \"\", next);", ""],
      ["usual", "location.hash = next;", "history.replaceState(null, \"\", next);\n    arrived();"],
    ],
    async run({ open }) {
      const tab = await open("usual");
      const number = async () => Number((await tab.getByRole("status").textContent()).split(" ")[0]);
      const all = await number();
      const fields = [
        ["protocol", "5.0", "protocol=5.0"],
        ["scenario", "cuts", "scenario=cuts"],
        ["verdict", "warn", "verdict=warn"],
        ["breaks", "5.0 MQTT-4.3.3-7", "breaks=5.0+MQTT-4.3.3-7"],
      ];
      for (const [name, value, part] of fields) {
        await tab.locator(`select[name=${name}]`).selectOption(value);
        await tab.waitForFunction((part) => location.hash.includes(part), part);
        const fewer = await number();
        ok(fewer > 0 && fewer < all, `${name}: ${fewer} of ${all}`);
        await tab.reload();
        equal(await number(), fewer, `${name} after a reload`);
        equal(await tab.locator(`select[name=${name}]`).inputValue(), value);
        await tab.getByRole("button", { name: "Reset" }).click();
        await tab.waitForFunction(() => !location.hash || location.hash === "#");
        equal(await number(), all);
      }
      await tab.locator("select[name=protocol]").selectOption("5.0");
      await tab.waitForFunction(() => location.hash.includes("protocol"));
      await tab.goBack();
      await tab.waitForFunction(() => !location.hash.includes("protocol"));
      equal(await number(), all, "the back button takes a filter back");
      await tab.getByLabel("Search").fill("dup never sent");
      await tab.waitForFunction(() => location.hash.includes("text=dup+never+sent"));
      const found = await number();
      ok(found > 0 && found < all, `search: ${found}`);
      await tab.reload();
      equal(await number(), found);
      await tab.getByLabel("Search").fill("nothing says so");
      ok(await tab.getByText("No cell fits these filters.").isVisible());
    },
  },
  {
    name: "only differences leaves out rows that are alike in every broker that is shown",
    breakages: [["usual", "return unique(said).length > 1;", "return true;"]],
    async run({ open }) {
      const tab = await open("usual", "#differ=1&open=all&protocol=5.0&brokers=mosquitto-2.0.11,mqtt5-0.49.0");
      const lines = await tab.$$eval("tr.cell", (lines) => lines.map((line) => [...line.querySelectorAll("td.entry a")].map((own) => own.title.replace(/^[^:]*: /, ""))));
      ok(lines.length > 3, `${lines.length} rows`);
      for (const line of lines) ok(new Set(line).size > 1 || line.length < 2, `alike: ${line}`);
      await tab.getByLabel("Only differences").uncheck();
      ok((await count(tab, "tr.cell")) > lines.length);
    },
  },
  {
    name: "from a red cell to its packets and to the line that shows it in two clicks",
    breakages: [
      ["usual", "line?.focus({ preventScroll: true });", ""],
      ["usual", "run?.attempts.length ? wire(run)", "run?.attempts.length ? null"],
    ],
    async run({ open }) {
      const tab = await open("usual");
      await redCell(tab);
      ok(await tab.locator("#panel .violation").first().isVisible());
      await tab.locator("#panel .violation button").first().click();
      ok(await tab.evaluate(() => document.activeElement.matches("tr.cited") && document.activeElement.innerText.includes("evidence")), await focused(tab));
      const said = await tab.locator("#panel").innerText();
      for (const part of ["Cited", "Expected", "Observed", "What was done", "What arrived", "Repeat it", "mqtt-sessions "]) ok(said.includes(part), part);
      ok(await tab.getByRole("img", { name: /^Sequence diagram/ }).isVisible());
    },
  },
  {
    name: "a cell without packets says so, and how to get them",
    breakages: [["usual", "The results file does not keep the packets of this cell.", "Nothing."]],
    async run({ open }) {
      const tab = await open("usual");
      const address = await tab.evaluate(() => {
        const data = JSON.parse(document.getElementById("data").textContent);
        const broker = data.brokers.find((own) => own.key === "ejabberd-23.01-1");
        const place = data.rows.findIndex((row, at) => data.texts[row.id].startsWith("away[") && data.answers[broker.answers[at] - 1][0] === 0 && !broker.runs[at]);
        return `#cell=${broker.key}/${data.texts[data.rows[place].id]}`;
      });
      await tab.goto(tab.url().split("#")[0] + address);
      const said = await tab.locator("#panel").innerText();
      ok(said.includes("The results file does not keep the packets of this cell"), said.slice(0, 300));
      ok(said.includes("mqtt-sessions explain 'away[") && said.includes("--broker ejabberd"));
    },
  },
  {
    name: "cells, rows, statements and brokers have addresses of their own, and the back button goes back",
    breakages: [
      ["usual", "addEventListener(\"hashchange\", arrived);", ""],
      ["usual", "if (kind === \"statement\") return", "if (kind === \"statements\") return"],
    ],
    async run({ open }) {
      const cell = "window[protocol=5.0,qos=1,limit=packet_size]";
      const tab = await open("usual", `#cell=ejabberd-23.01-1/${cell}`);
      ok((await heading(tab)).startsWith("window: "));
      const first = await hash(tab);
      await tab.locator("#panel .violation a").first().click();
      await tab.waitForFunction(() => location.hash.includes("statement="));
      ok((await heading(tab)).startsWith("MQTT-"));
      ok((await tab.locator("#panel").innerText()).includes("What each broker did with it"));
      ok((await tab.locator("#panel a[href^='https://docs.oasis-open.org']").count()) === 1);
      await tab.locator("#panel table.plain a", { hasText: "rabbitmq" }).first().click();
      await tab.waitForFunction(() => location.hash.includes("broker="));
      ok((await heading(tab)).startsWith("rabbitmq "));
      const said = await tab.locator("#panel").innerText();
      for (const part of ["How it was measured", "What it breaks", "What the standard leaves open"]) ok(said.includes(part), part);
      await tab.goBack();
      await tab.goBack();
      equal(await hash(tab), first);
      ok((await heading(tab)).startsWith("window: "));
      for (const [address, start] of [
        ["#statement=MQTT-3.1.2-5", "MQTT-3.1.2-5"],
        ["#broker=mosquitto:persistent-2.0.11", "mosquitto:persistent"],
        [`#row=${cell}`, "qos 1"],
        ["#cell=nobody/nothing", "Not on this page"],
        ["#cell=%E0%A4%A", "Only"],
      ]) {
        const other = await open("usual", address);
        if (start === "Only") ok(await other.locator("#panel").isHidden());
        else ok((await heading(other)).startsWith(start), `${address}: ${await heading(other)}`);
      }
    },
  },
  {
    name: "all of it works by keyboard alone",
    breakages: [
      ["usual", "event.preventDefault();\n  next?.focus();", "event.preventDefault();"],
      ["usual", "if (before && hasChanged) heading.focus();", ""],
    ],
    async run({ open }) {
      const tab = await open("usual");
      const at = () => tab.evaluate(() => document.activeElement.getAttribute("data-column"));
      for (let times = 0; times < 40 && (await at()) === null; times++) await tab.keyboard.press("Tab");
      ok((await at()) !== null, "Tab never comes to the table");
      await tab.keyboard.press("ArrowDown");
      await tab.keyboard.press("Home");
      equal((await focused(tab)).startsWith("BUTTON"), true, await focused(tab));
      await tab.keyboard.press("Enter");
      await tab.waitForFunction(() => location.hash.includes("open="));
      ok((await focused(tab)).startsWith("BUTTON"), `the focus is lost: ${await focused(tab)}`);
      await tab.keyboard.press("ArrowRight");
      await tab.keyboard.press("ArrowDown");
      await tab.keyboard.press("ArrowDown");
      const link = await focused(tab);
      ok(link.startsWith("A "), link);
      await tab.keyboard.press("Enter");
      await tab.waitForFunction(() => document.activeElement.tagName === "H2");
      await tab.keyboard.press("Escape");
      await tab.waitForFunction(() => document.activeElement.tagName === "A" && document.getElementById("panel").hidden);
      await tab.keyboard.press("Tab");
      ok((await at()) === null, "the table is more than one stop for the Tab key");
    },
  },
  {
    name: "rows that are alike are folded, and each cell can be reached",
    breakages: [["usual", "lines.push(...rows.map((row) => line([row], row.axes, null, brokers, \"single\")))", "0"]],
    async run({ open }) {
      const tab = await open("usual", "#scenario=matrix&open=matrix&brokers=all");
      const folds = tab.locator("button.fold");
      const before = await count(tab, "tr.cell");
      const inFold = Number((await folds.first().innerText()).match(/(\d+) cells/)[1]);
      await folds.first().click();
      equal(await count(tab, "tr.cell"), before + inFold);
      equal(await folds.first().getAttribute("aria-expanded"), "true");
    },
  },
  {
    name: "axe finds nothing, in light and dark, on a desk and on a phone",
    breakages: [
      ["usual", "--quiet: light-dark(#59616b, #a3acb7);", "--quiet: light-dark(#b9c1cb, #a3acb7);"],
      ["usual", "element(\"span\", {}, \"Theme\"),", ""],
    ],
    async run({ open }) {
      const cell = "cell=ejabberd-23.01-1/window[protocol=5.0,qos=1,limit=packet_size]";
      const views = ["", "#scenario=qos2&open=qos2", `#${cell}&scenario=window`, "#view=statements&statement=3.1.1+MQTT-4.4.0-1", "#view=choices", "#view=brokers&broker=mosquitto-2.0.11"];
      for (const colorScheme of ["light", "dark"]) {
        for (const view of views) await isAccessible(await open("usual", view, { colorScheme }), `${colorScheme} ${view}`);
        for (const view of views.slice(0, 3)) await isAccessible(await open("usual", view, { colorScheme, ...PHONE }), `phone ${colorScheme} ${view}`);
      }
    },
  },
  {
    name: "a phone needs no horizontal scrolling of the page, and the panel covers it",
    breakages: [
      ["usual", "main { flex: 1 1 auto; min-width: 0;", "main { flex: 1 0 auto; min-width: 50rem;"],
      ["usual", "aside { position: fixed; inset: 0;", "aside { position: static;"],
    ],
    async run({ open }) {
      for (const view of ["", "#scenario=cuts&open=cuts", "#view=statements", "#view=choices", "#view=brokers"]) await fitsItsWidth(await open("usual", view, PHONE));
      const tab = await open("usual", "#cell=ejabberd-23.01-1/window[protocol=5.0,qos=1,limit=packet_size]", PHONE);
      await fitsItsWidth(tab);
      const box = await tab.locator("#panel").boundingBox();
      ok(box.x === 0 && box.y === 0 && box.width >= 380, JSON.stringify(box));
      ok(await tab.evaluate(() => document.querySelector("main").inert));
      await tab.getByRole("button", { name: "Close the details" }).click();
      ok(!(await tab.evaluate(() => document.querySelector("main").inert)));
    },
  },
  {
    name: "paper has the whole table, or the whole panel, and no buttons",
    breakages: [["usual", ".view, .scrolls, aside, .diagram { overflow: visible;", ".view, .scrolls { overflow: auto;"]],
    async run({ open }) {
      const tab = await open("usual", "#open=matrix,cuts");
      await tab.emulateMedia({ media: "print" });
      const isWhole = (selector) => tab.evaluate((selector) => [...document.querySelectorAll(selector)].every((own) => getComputedStyle(own).overflowY === "visible" && getComputedStyle(own).maxHeight === "none"), selector);
      ok(await isWhole(".view"), "the table is cut off");
      for (const part of [".filters", "nav", ".theme"]) ok(await tab.locator(part).isHidden(), part);
      ok((await tab.pdf()).length > 10_000);
      const cell = await open("usual", "#cell=ejabberd-23.01-1/window[protocol=5.0,qos=1,limit=packet_size]");
      await cell.emulateMedia({ media: "print" });
      ok(await cell.evaluate(() => getComputedStyle(document.getElementById("panel")).overflowY === "visible"));
      ok(await cell.locator("main").isHidden());
    },
  },
  {
    name: "light and dark follow the system, and the switch",
    breakages: [["usual", ":root[data-theme=\"dark\"] { color-scheme: dark; }", ""]],
    async run({ open }) {
      const background = (tab) => tab.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
      const [light, dark] = [await open("usual", "", { colorScheme: "light" }), await open("usual", "", { colorScheme: "dark" })];
      const [white, black] = [await background(light), await background(dark)];
      ok(white !== black);
      await light.getByLabel("Theme").selectOption("dark");
      equal(await background(light), black);
      await light.reload();
      equal(await background(light), black);
    },
  },
  {
    name: "hostile texts are shown as they stand, and nothing of them runs",
    breakages: [["hostile", "node.append(...children", "children.flat(Infinity).forEach((own) => typeof own === \"string\" && node.insertAdjacentHTML?.(\"beforeend\", own)); node.append(...children"]],
    async run({ open }) {
      const tab = await open("hostile", "#open=all");
      await tab.locator("td.is-fail a").first().click();
      const said = await tab.locator("#panel").innerText();
      // The line separator is spelled out.
      const shown = HOSTILE.replace("\u2028", "\\u{2028}");
      ok(said.includes(shown), said.slice(0, 500));
      await tab.locator("#panel .where a").first().click();
      await tab.waitForFunction(() => location.hash.includes("broker="));
      ok((await heading(tab)).includes(shown));
      for (const view of ["statements", "choices", "brokers"]) await open("hostile", `#view=${view}`);
      const other = await open("hostile", `#text=${encodeURIComponent(HOSTILE)}&view=${encodeURIComponent(HOSTILE)}`);
      equal(await tab.evaluate(() => window.taken), undefined);
      equal(await other.evaluate(() => window.taken), undefined);
      equal(await count(tab, "img"), 0);
    },
  },
  {
    name: "storms: the chart is drawn, fits a phone, and hostile texts stay texts",
    breakages: [
      ["storms", "class=\"curve messages\" points", "class=\"curve messages\" data-points"],
      ["storms", ".return { display: block; width: 100%; max-width: 40rem;", ".return { display: block; width: 40rem;"],
      ["storms", "--page: light-dark(#ffffff, #14171a);", "--page: #ffffff;"],
      ["storms", "&#60;img", "<img"],
    ],
    async run({ open }) {
      for (const [name, options] of [["light", { colorScheme: "light" }], ["dark", { colorScheme: "dark" }], ["phone", PHONE]]) {
        const tab = await open("storms", "", options);
        await fitsItsWidth(tab);
        const frame = await tab.locator("svg.return").first().boundingBox();
        for (const curve of ["returned", "messages", "drained"]) {
          const drawn = await tab.locator(`svg.return polyline.${curve}`).first().boundingBox();
          ok(drawn && drawn.height > frame.height / 2 && drawn.width > frame.width / 2, `${name}: ${curve} is ${JSON.stringify(drawn)}`);
          ok(drawn.x >= frame.x && drawn.y >= frame.y, `${name}: ${curve} leaves the drawing`);
        }
        await tab.locator("summary").evaluateAll((all) => all.forEach((own) => own.click()));
        await isAccessible(tab, name);
        equal(await count(tab, "img"), 0);
        equal(await tab.evaluate(() => window.taken), undefined);
        const shown = HOSTILE.replace("\u2028", "\\u{2028}");
        ok((await tab.locator("h2").last().textContent()).includes(shown), name);
      }
    },
  },
];
