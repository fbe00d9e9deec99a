// The chart: who the patient is, what they have and take, and how a vital sign went over time.
import { NotShared, all, authorize, leave, read, ready } from "./smart.js";

const find = (id) => document.getElementById(id);
const say = (text) => (find("status").textContent = text);
const shown = (concept) => concept?.text ?? concept?.coding?.[0]?.display ?? concept?.coding?.[0]?.code ?? "unnamed";
const time = (it) => it.effectiveDateTime ?? it.effectivePeriod?.start;
const day = (at) => new Date(at).toLocaleDateString();
const make = (name, text) => Object.assign(document.createElement(name), { textContent: text });

/** What was found; nothing where the user does not share it. */
const shared = (promise) =>
  promise.catch((error) => {
    if (error instanceof NotShared) return null;
    throw error;
  });

function list(id, items) {
  const texts = items === null ? ["You have not shared these."] : items.length ? items : ["Nothing is recorded."];
  find(id).replaceChildren(...texts.map((text) => make("li", text)));
  find(id).classList.toggle("empty", !items?.length);
}

function draw(observations) {
  const points = observations
    .map((it) => ({ at: new Date(time(it)).getTime(), value: it.valueQuantity.value, unit: it.valueQuantity.unit ?? "" }))
    .sort((one, other) => one.at - other.at);
  const svg = find("plot");
  const shape = (name, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text) element.textContent = text;
    return element;
  };
  const values = points.map((it) => it.value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const [first, last] = [points[0].at, points.at(-1).at];
  const x = (at) => 70 + (last > first ? (at - first) / (last - first) : 0.5) * 545;
  const y = (value) => 195 - (high > low ? (value - low) / (high - low) : 0.5) * 165;
  svg.replaceChildren();
  const lines = high > low ? [low, (low + high) / 2, high] : [low];
  for (const value of lines) {
    svg.append(shape("line", { class: "grid", x1: 70, x2: 620, y1: y(value), y2: y(value) }));
    svg.append(shape("text", { x: 60, y: y(value) + 5, "text-anchor": "end" }, String(Number(value.toPrecision(4)))));
  }
  svg.append(shape("polyline", { class: "line", points: points.map((it) => `${x(it.at)},${y(it.value)}`).join(" ") }));
  for (const it of points) {
    const point = shape("circle", { class: "point", cx: x(it.at), cy: y(it.value), r: 4 });
    point.append(shape("title", {}, `${day(it.at)}: ${it.value} ${it.unit}`));
    svg.append(point);
  }
  svg.append(shape("text", { x: 70, y: 228 }, day(first)));
  svg.append(shape("text", { x: 620, y: 228, "text-anchor": "end" }, day(last)));
  const latest = points.at(-1);
  find("latest").textContent = `${latest.value} ${latest.unit} on ${day(latest.at)}`;
  const rows = points.toReversed().map((it) => {
    const row = document.createElement("tr");
    row.append(make("td", day(it.at)), make("td", `${it.value} ${it.unit}`));
    return row;
  });
  find("values").replaceChildren(...rows);
}

function measure(vitals) {
  const measured = vitals?.filter((it) => it.valueQuantity && time(it)) ?? [];
  find("measurements").hidden = !measured.length;
  find("no-measurements").hidden = Boolean(measured.length);
  find("no-measurements").textContent = vitals ? "Nothing is recorded." : "You have not shared these.";
  if (!measured.length) return;
  const byCode = Map.groupBy(measured, (it) => shown(it.code));
  const names = [...byCode.keys()].sort((one, other) => byCode.get(other).length - byCode.get(one).length);
  find("code").replaceChildren(...names.map((it) => new Option(it, it)));
  find("code").onchange = () => draw(byCode.get(find("code").value));
  draw(byCode.get(names[0]));
}

function age(born) {
  const [birth, now] = [new Date(born), new Date()];
  const had = now.getMonth() > birth.getMonth() || (now.getMonth() === birth.getMonth() && now.getDate() >= birth.getDate());
  return now.getFullYear() - birth.getFullYear() - (had ? 0 : 1);
}

async function show(session) {
  const id = session.token.patient;
  if (!id) throw new Error("The sign-in chose no patient.");
  say("Reading the chart…");
  const [patient, vitals, problems, medications] = await Promise.all([
    shared(read(session, `Patient/${id}`)),
    shared(all(session, `Observation?patient=${id}&category=vital-signs&_count=200`)),
    shared(all(session, `Condition?patient=${id}&_count=200`)),
    shared(all(session, `MedicationRequest?patient=${id}&_count=200`)),
  ]);
  const name = patient?.name?.[0] ?? {};
  const words = name.text ?? [...(name.given ?? []), name.family].filter(Boolean).join(" ");
  find("name").textContent = words || "Patient chart";
  const born = patient?.birthDate;
  const facts = [patient?.gender, born && `born ${born}`, born?.length === 10 && `${age(born)} years`].filter(Boolean);
  find("facts").textContent = patient ? facts.join(" · ") : "Who this is was not shared.";
  measure(vitals);
  list("problems", problems?.map((it) => shown(it.code)) ?? null);
  list("medications", medications?.map((it) => shown(it.medicationCodeableConcept)) ?? null);
  find("leave").onclick = () => leave(session).catch((error) => say(error.message));
  find("start").hidden = true;
  find("chart").hidden = false;
  say("");
}

find("iss").value = sessionStorage.getItem("iss") ?? find("iss").value;
find("start").onsubmit = (event) => {
  event.preventDefault();
  authorize(find("iss").value, null).catch((error) => say(error.message));
};

try {
  const session = await ready();
  if (session) await show(session);
  else find("start").hidden = false;
} catch (error) {
  say(error.message);
  find("start").hidden = false;
}
