// The chart: who the patient is, what they have and take, and how a vital sign went over time.
import { all, authorize, leave, read, ready } from "./smart.js";

const find = (id) => document.getElementById(id);
const say = (text) => (find("status").textContent = text);
const shown = (concept) => concept?.text ?? concept?.coding?.[0]?.display ?? concept?.coding?.[0]?.code ?? "unnamed";
const time = (it) => it.effectiveDateTime ?? it.effectivePeriod?.start;

function list(id, items) {
  const nothing = ["Nothing is recorded."];
  find(id).replaceChildren(
    ...(items.length ? items : nothing).map((text) => Object.assign(document.createElement("li"), { textContent: text })),
  );
}

function draw(observations) {
  const points = observations
    .filter((it) => it.valueQuantity && time(it))
    .map((it) => ({ at: new Date(time(it)).getTime(), value: it.valueQuantity.value, unit: it.valueQuantity.unit }))
    .sort((one, other) => one.at - other.at);
  const svg = find("plot");
  const make = (name, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text) element.textContent = text;
    return element;
  };
  svg.replaceChildren();
  if (!points.length) return svg.append(make("text", { x: 20, y: 120 }, "No values."));
  const values = points.map((it) => it.value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const [first, last] = [points[0].at, points.at(-1).at];
  const x = (at) => 60 + (last > first ? (at - first) / (last - first) : 0.5) * 560;
  const y = (value) => 200 - (high > low ? (value - low) / (high - low) : 0.5) * 170;
  for (const value of high > low ? [low, high] : [low]) {
    svg.append(make("line", { class: "grid", x1: 60, x2: 620, y1: y(value), y2: y(value) }));
    svg.append(make("text", { x: 4, y: y(value) + 4 }, `${value} ${points[0].unit ?? ""}`));
  }
  svg.append(make("polyline", { class: "line", points: points.map((it) => `${x(it.at)},${y(it.value)}`).join(" ") }));
  for (const it of points) {
    const point = make("circle", { class: "point", cx: x(it.at), cy: y(it.value), r: 4 });
    point.append(make("title", {}, `${new Date(it.at).toLocaleDateString()}: ${it.value} ${it.unit ?? ""}`));
    svg.append(point);
  }
  svg.append(make("text", { x: 60, y: 228 }, new Date(first).toLocaleDateString()));
  svg.append(make("text", { x: 620, y: 228, "text-anchor": "end" }, new Date(last).toLocaleDateString()));
}

async function show(session) {
  const id = session.token.patient;
  if (!id) throw new Error("The sign-in chose no patient.");
  say("Reading the chart…");
  const [patient, vitals, problems, medications] = await Promise.all([
    read(session, `Patient/${id}`),
    all(session, `Observation?patient=${id}&category=vital-signs&_count=200`),
    all(session, `Condition?patient=${id}&_count=200`),
    all(session, `MedicationRequest?patient=${id}&_count=200`),
  ]);
  const name = patient.name?.[0] ?? {};
  find("name").textContent = name.text ?? [...(name.given ?? []), name.family].filter(Boolean).join(" ");
  find("facts").textContent = [patient.gender, patient.birthDate && `born ${patient.birthDate}`].filter(Boolean).join(", ");
  list("problems", problems.map((it) => shown(it.code)));
  list("medications", medications.map((it) => shown(it.medicationCodeableConcept)));
  const byCode = Map.groupBy(vitals.filter((it) => it.valueQuantity), (it) => shown(it.code));
  const names = [...byCode.keys()].sort((one, other) => byCode.get(other).length - byCode.get(one).length);
  find("code").replaceChildren(...names.map((it) => new Option(it, it)));
  find("code").onchange = () => draw(byCode.get(find("code").value) ?? []);
  draw(byCode.get(names[0]) ?? []);
  find("chart").hidden = false;
  say("");
}

find("start").onsubmit = (event) => {
  event.preventDefault();
  authorize(find("iss").value, null).catch((error) => say(error.message));
};

try {
  const session = await ready();
  if (session) {
    find("leave").onclick = () => leave(session).finally(() => location.replace("./"));
    await show(session);
  } else {
    find("start").hidden = false;
  }
} catch (error) {
  say(error.message);
  find("start").hidden = false;
}
