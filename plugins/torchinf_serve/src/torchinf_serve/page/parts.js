// What the page is made of: questions to the server, and elements to show the answers with.
// Whatever comes from the server is put into text nodes, never read as HTML.

export const KEY = "torchinf-token";
export const at = (id) => document.getElementById(id);

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.error || `the server answered ${status}`);
    this.status = status;
    this.hint = body.hint || "";
  }
}

// ASKING

export async function ask(method, path, { body, headers = {}, raw = false } = {}) {
  headers = { authorization: `Bearer ${sessionStorage.getItem(KEY)}`, ...headers };
  if (body && !(body instanceof FormData)) {
    headers["content-type"] = "application/json";
    body = JSON.stringify(body);
  }
  const options = { method, headers, body, cache: "no-store", redirect: "error" };
  const answer = await fetch(path, options).catch(() => {
    throw new Problem(0, { detail: "the server does not answer" });
  });
  if (answer.ok) return raw ? answer : answer.json();
  const problem = new Problem(answer.status, await answer.json().catch(() => ({})));
  if (answer.status === 401) dispatchEvent(new Event("torchinf-refused"));
  throw problem;
}

export function tell(problem) {
  const box = at("message");
  box.hidden = !problem;
  box.replaceChildren(problem ? problem.message : "");
  if (problem?.hint) box.append(make("span", { className: "hint" }, problem.hint));
}

// Runs what a click or a form asks for; its button waits, and its failure is told.
export async function act(button, action) {
  tell(null);
  button.disabled = true;
  try {
    await action();
  } catch (problem) {
    tell(problem);
  } finally {
    button.disabled = false;
  }
}

// SHOWING

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

export function button(label, about, action) {
  const made = make("button", { type: "button", ariaLabel: `${label} ${about}` }, label);
  made.addEventListener("click", () => act(made, action));
  return made;
}

export function bytes(count) {
  if (count === null) return "unknown size";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; count >= 999.95 && unit < units.length - 1; unit += 1) count /= 1000;
  return unit ? `${count.toFixed(1)} ${units[unit]}` : `${count} B`;
}
