"use strict";
// Elements. Whatever comes out of a results file becomes a text node or the value of an attribute, and never markup.

/// An element with attributes and children; false, null and undefined are left out. An attribute that is a function is a listener.
function element(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/// The same for a drawing.
function shape(tag, attributes, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/// A text that is read out and not seen.
const unseen = (text) => element("span", { class: "unseen" }, text);

/// `1 cell`, `2 cells`.
const counted = (count, one) => `${count} ${one}${count === 1 ? "" : "s"}`;

/// A list of values without those that were there before.
const unique = (values) => [...new Set(values)];

/// A command, and the button that copies it.
function command(text) {
  const button = element("button", { type: "button", class: "copy", "aria-label": `Copy the command ${text}` }, "Copy");
  button.addEventListener("click", () => copied(text, button));
  return element("div", { class: "command" }, element("code", { tabindex: "0" }, text), button);
}

/// Copies, and says so on the button. A page from a file may have no clipboard, so that a selection has to do.
async function copied(text, button) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    const code = button.parentElement.querySelector("code");
    if (code) getSelection().selectAllChildren(code);
    button.textContent = code ? "Selected" : "Not copied";
  }
  setTimeout(() => (button.textContent = before), 1500);
}
