// The page of a server: models, jobs as they go on, downloads and predictions.

import { KEY, act, ask, at, button, bytes, make, tell } from "/page/parts.js";

const STREAMS = 3; // a browser opens six connections; streams must not take them all
const LOOK_EVERY = 5000;
const ENDED = ["done", "failed", "cancelled"];

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const jobs = new Map(); // id → { job, item, watched }
let models = {};

// SHOWING

function row(facts, buttons) {
  const lines = facts.map(([kind, fact]) => (fact instanceof Node ? fact : make("div", { className: kind }, fact)));
  return [make("div", { className: "facts" }, ...lines), ...buttons];
}

function showJob({ job, item }) {
  const title = job.model_name || job.model_id;
  const over = ENDED.includes(job.state);
  const focused = item.contains(document.activeElement);
  const facts = [["title", title]];
  if (!over) {
    const bar = make("progress", { max: job.total_bytes || 1, ariaLabel: `Progress of ${title}` });
    if (job.total_bytes) bar.value = Math.min(job.done_bytes, job.total_bytes);
    facts.push(["", bar]);
  }
  const amount = over ? bytes(job.total_bytes) : `${bytes(job.done_bytes)} of ${bytes(job.total_bytes)}`;
  const tone = { done: "good", failed: "bad" }[job.state] || "hint";
  facts.push([tone, over && job.state !== "done" ? job.state : `${job.state}, ${amount}`]);
  if (job.error) facts.push(["bad", job.error.detail], ["hint", job.error.hint || ""]);
  const act = async (method, more) => look(await ask(method, `/models/jobs/${job.id}${more}`));
  const buttons = [];
  if (!over) buttons.push(button("Cancel", title, () => act("DELETE", "")));
  else if (job.state !== "done") buttons.push(button("Retry", title, () => act("POST", "/retry")));
  item.replaceChildren(...row(facts, buttons));
  if (focused) item.querySelector("button")?.focus();
}

function announce(job, before) {
  const quarter = (j) => (j?.total_bytes ? Math.floor((4 * j.done_bytes) / j.total_bytes) : 0);
  const title = job.model_name || job.model_id;
  if (before?.state !== job.state) at("progress").textContent = `${title}: ${job.state}`;
  else if (!ENDED.includes(job.state) && quarter(job) > quarter(before)) {
    at("progress").textContent = `${title}: ${quarter(job) * 25} %`;
  }
}

function showModels() {
  const rows = Object.values(models).map((model) => {
    const facts = [model.source, model.format, bytes(model.size), model.task, ...model.tags];
    const lines = [["title", model.name], ["hint", facts.filter(Boolean).join(" · ")]];
    const actions = Object.entries({ Try: choose, Remove: remove });
    const buttons = actions.map(([word, action]) => button(word, model.name, () => action(model.name)));
    return make("li", {}, ...row(lines, buttons));
  });
  at("models").replaceChildren(...rows);
  at("no-models").hidden = rows.length > 0;
  const chosen = at("model").value;
  at("model").replaceChildren(make("option", { value: "" }, "Choose…"),
    ...Object.keys(models).map((name) => make("option", { value: name }, name)));
  at("model").value = chosen in models ? chosen : "";
}

// MODELS AND JOBS

async function loadModels() {
  const [available, cache] = await Promise.all([ask("GET", "/models/available"), ask("GET", "/models/cache/info")]);
  models = available.available_models;
  showModels();
  const facts = { Store: cache.cache_directory, Models: cache.total_models, Size: bytes(cache.total_size_mb * 1e6) };
  at("cache").replaceChildren(...Object.entries(facts).map(([term, value]) =>
    make("div", {}, make("dt", {}, term), make("dd", {}, value))));
}

async function loadJobs() {
  const list = (await ask("GET", "/models/jobs")).jobs;
  for (const [id, entry] of jobs) {
    if (list.some((job) => job.id === id)) continue;
    entry.item.remove();
    jobs.delete(id);
  }
  list.reverse().forEach(look);
}

// Takes note of a job as the server describes it, and watches it while it goes on.
function look(job) {
  let entry = jobs.get(job.id);
  if (!entry) {
    jobs.set(job.id, (entry = { item: make("li") }));
    at("jobs").prepend(entry.item);
  }
  const before = entry.job;
  entry.job = job;
  if (JSON.stringify(before) !== JSON.stringify(job)) showJob(entry);
  if (before) announce(job, before);
  at("no-jobs").hidden = true;
  const over = ENDED.includes(job.state);
  if (over && before && !ENDED.includes(before.state)) loadModels().catch(tell);
  const watched = [...jobs.values()].filter((other) => other.watched).length;
  if (!over && !entry.watched && watched < STREAMS) watch(entry);
}

// EventSource can't send a token, so the stream is read by hand, and resumed where it broke.
async function watch(entry) {
  entry.watched = true;
  let last = "0";
  const path = `/models/jobs/${entry.job.id}`;
  try {
    while (!ENDED.includes(entry.job.state) && jobs.get(entry.job.id) === entry) {
      const headers = { "last-event-id": last };
      const answer = await ask("GET", `${path}/events`, { headers, raw: true });
      if (answer.status === 204) break;
      await readEvents(answer.body, (id, data) => {
        last = id;
        const known = Object.entries(data).filter(([key]) => key in entry.job);
        look({ ...entry.job, ...Object.fromEntries(known) });
      }).catch(() => pause(1000));
    }
    look(await ask("GET", path));
  } catch (problem) {
    if (problem.status === 0) await pause(LOOK_EVERY);
  } finally {
    entry.watched = false;
  }
}

async function readEvents(body, take) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const frames = (text + value).split("\n\n");
    text = frames.pop();
    for (const frame of frames) {
      const fields = Object.fromEntries(frame.split("\n").map((line) => line.split(/: (.*)/s)));
      if (fields.data) take(fields.id, JSON.parse(fields.data));
    }
  }
}

async function remove(name) {
  if (!confirm(`Remove ${name} from the store?`)) return;
  await ask("DELETE", `/models/download/${encodeURIComponent(name)}`);
  await loadModels();
  at("models-title").parentElement.querySelector("button")?.focus();
}

async function download() {
  const [source, model, name] = ["source", "model-id", "name"].map((id) => at(id).value.trim());
  const body = source ? { source, model_id: model } : { source: model };
  if (name) body.name = name;
  const answer = await ask("POST", "/models/download", { body });
  at("download-form").reset();
  at("progress").textContent = answer.job_id ? "the download was asked for" : `${answer.model_name} is here already`;
  await (answer.job_id ? loadJobs() : loadModels());
}

// PREDICTING

async function choose(name) {
  at("model").value = name;
  at("try-title").scrollIntoView({ block: "start" });
  at("model").focus();
  await learn();
}

// What the chosen model takes; the server loads it for that.
async function learn() {
  const name = at("model").value;
  at("takes").textContent = name ? "Loading…" : "";
  if (!name) return;
  const { inputs } = await ask("GET", `/v2/models/${encodeURIComponent(name)}`).catch((problem) => {
    at("takes").textContent = "";
    throw problem;
  });
  if (at("model").value !== name) return;
  const special = inputs.find((input) => input.optional)?.name;
  const arrays = inputs.filter((input) => !input.optional);
  const words = arrays.map((i) => `${i.name}: ${i.datatype}[${i.shape.join(", ").replaceAll("-1", "any")}]`);
  const thing = { image: "a picture, or ", text: "a text, or ", mapping: "a JSON object, or " }[special] || "";
  at("takes").textContent = `It takes ${thing}${words.join(", ") || "arrays"}.`;
  at("kind").value = { image: "file", text: "text" }[special] || "json";
  showKind();
}

function showKind() {
  for (const part of document.querySelectorAll("[data-kind]")) part.hidden = part.dataset.kind !== at("kind").value;
}

function input() {
  const kind = at("kind").value;
  if (kind === "text") return { inputs: at("text").value };
  if (kind === "json") return { inputs: JSON.parse(at("json").value) };
  const form = new FormData();
  form.append("file", at("file").files[0]);
  return form;
}

async function predict() {
  at("result").hidden = true;
  if (at("kind").value === "file" && !at("file").files.length) throw new Error("choose a file first");
  const began = performance.now();
  const answer = await ask("POST", `/models/${encodeURIComponent(at("model").value)}/predict`, { body: input() });
  const ms = performance.now() - began;
  const told = make("p", { className: "hint" }, `${answer.model} answered in ${ms.toFixed(ms < 10 ? 1 : 0)} ms`);
  at("result").replaceChildren(...shown(answer), told);
  at("result").hidden = false;
}

function shown({ result, outputs }) {
  const text = (value, indent) => make("pre", {}, JSON.stringify(value, null, indent).slice(0, 20000));
  if (outputs) {
    return Object.entries(outputs).flatMap(([name, array]) =>
      [make("h3", {}, `${name}: ${array.dtype}[${array.shape.join(", ")}]`), text(array.data)]);
  }
  if (typeof result === "string") return [make("pre", {}, result)];
  const isRows = Array.isArray(result) && result.length && result.every((row) => row?.label !== undefined);
  if (!isRows) return [text(result, 2)];
  return [make("table", {}, make("tbody", {}, ...result.map(({ label, score }) => {
    const share = typeof score === "number" && score >= 0 && score <= 1;
    const bar = share ? make("progress", { max: 1, value: score, ariaHidden: "true" }) : "";
    return make("tr", {}, make("th", { scope: "row" }, label),
      make("td", { className: "number" }, share ? `${(score * 100).toFixed(1)} %` : score ?? ""),
      make("td", { className: "bar" }, bar));
  })))];
}

// COMING AND GOING

function logOut() {
  sessionStorage.removeItem(KEY);
  at("jobs").replaceChildren();
  jobs.clear();
  models = {};
  showModels();
  at("cache").replaceChildren();
  at("result").hidden = true;
  at("content").hidden = at("forget").hidden = true;
  at("login").hidden = false;
  at("token").focus();
}

async function logIn() {
  await Promise.all([loadModels(), loadJobs()]);
  at("login").hidden = true;
  at("content").hidden = at("forget").hidden = false;
}

async function lookAgain() {
  if (document.hidden) return;
  const health = await fetch("/health", { cache: "no-store" }).then((answer) => answer.json()).catch(() => null);
  at("health").textContent = health ? [health.status, ...health.problems].join(" · ") : "the server does not answer";
  if (health && !at("content").hidden) await loadJobs().catch(() => {});
}

function onSubmit(form, action) {
  at(form).addEventListener("submit", (event) => {
    event.preventDefault();
    act(event.submitter || at(form).querySelector("button"), action);
  });
}

addEventListener("torchinf-refused", logOut);
onSubmit("token-form", async () => {
  sessionStorage.setItem(KEY, at("token").value.trim());
  at("token").value = "";
  await logIn();
  at("model-id").focus();
});
onSubmit("download-form", download);
onSubmit("try-form", predict);
at("forget").addEventListener("click", () => { tell(null); logOut(); });
at("kind").addEventListener("change", showKind);
at("model").addEventListener("change", () => { tell(null); learn().catch(tell); });
at("file").addEventListener("change", () => {
  const [file] = at("file").files;
  URL.revokeObjectURL(at("preview").src);
  at("preview").hidden = !file?.type.startsWith("image/");
  if (!at("preview").hidden) at("preview").src = URL.createObjectURL(file);
});

if (sessionStorage.getItem(KEY)) logIn().catch(tell);
else logOut();
lookAgain();
setInterval(lookAgain, LOOK_EVERY);
