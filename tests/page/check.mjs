// Opens the page of `report --export-html` in a browser and checks what people do with it.
//
//     node check.mjs BINARY RESULTS...      checks the page of these files, and pages of files that are made up
//     node check.mjs --self-test ...        breaks the page once for each check, and fails where a check does not see it

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { checks } from "./checks.mjs";
import { hostile, large, storms } from "./made.mjs";

// The packages stand in the folder of the tools, and not beside this file.
const { chromium } = createRequire(join(process.env.PAGE_TOOLS, "package.json"))("playwright-core");
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const PATIENCE_MS = 10_000;

const isSelfTest = process.argv[2] === "--self-test";
const [binary, ...results] = process.argv.slice(isSelfTest ? 3 : 2);
const folder = mkdtempSync(join(tmpdir(), "page-"));
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });

/// Makes the page of these files, and returns its path.
function page(name, files) {
  const path = join(folder, `${name}.html`);
  execFileSync(binary, ["report", ...files, "--export-html", path]);
  return path;
}

/// What a check gets: the pages, and a way to open one. All that goes wrong in a page is noted.
function bench(paths) {
  const wrong = [];
  const contexts = [];
  return {
    paths,
    wrong,
    async open(name, hash = "", options = {}) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
      contexts.push(context);
      const tab = await context.newPage();
      tab.setDefaultTimeout(PATIENCE_MS);
      const url = pathToFileURL(paths[name]).href;
      tab.on("console", (message) => ["error", "warning"].includes(message.type()) && wrong.push(`console: ${message.text()}`));
      tab.on("pageerror", (error) => wrong.push(`error: ${error.message}`));
      tab.on("dialog", (dialog) => (wrong.push(`dialog: ${dialog.message()}`), dialog.dismiss()));
      tab.on("request", (request) => request.url().split("#")[0] !== url && wrong.push(`request: ${request.url()}`));
      await tab.goto(url + hash);
      return tab;
    },
    close: () => Promise.all(contexts.map((context) => context.close())),
  };
}

/// What is wrong, in a sentence; nothing where all is right.
async function fault(check, paths) {
  const own = bench(paths);
  try {
    await check.run(own);
    return own.wrong.length ? own.wrong.join("\n") : null;
  } catch (error) {
    return [error.message, ...own.wrong].join("\n");
  } finally {
    await own.close();
  }
}

/// The pages with one of them broken: the policy is left out, since it would not let a changed script run.
function broken(paths, [name, before, after]) {
  const text = readFileSync(paths[name], "utf8");
  if (!text.includes(before)) throw new Error(`the page has no ${before} that could be broken`);
  const path = join(folder, "broken.html");
  writeFileSync(path, text.replace(/<meta http-equiv="Content-Security-Policy"[^>]*>/, "").replaceAll(before, () => after));
  return { ...paths, [name]: path };
}

let failed = 0;
const tell = (is_right, name, said) => {
  failed += is_right ? 0 : 1;
  console.log(`${is_right ? "ok  " : "FAIL"} ${name}${said ? `\n     ${said.replaceAll("\n", "\n     ")}` : ""}`);
};

try {
  const paths = {
    usual: page("usual", results),
    large: page("large", large(folder, results)),
    hostile: page("hostile", [hostile(folder, results[0])]),
    storms: page("storms", storms(folder, binary)),
  };
  paths.markdown = join(folder, "page.md");
  execFileSync(binary, ["report", ...results, "--export-markdown", paths.markdown]);
  for (const check of checks) {
    if (!isSelfTest) {
      const began = Date.now();
      const why = await fault(check, paths);
      tell(!why, `${check.name} (${Date.now() - began} ms)`, why);
      continue;
    }
    for (const breakage of check.breakages) {
      const why = await fault(check, broken(paths, breakage));
      tell(why, `${check.name}, without ${breakage[1].slice(0, 60)}`, why ? why.split("\n")[0].slice(0, 160) : "it was not noticed");
    }
  }
} finally {
  await browser.close();
  rmSync(folder, { recursive: true });
}
console.log(failed ? `${failed} failed` : "all is right");
process.exit(failed ? 1 : 0);
