// Values under the pointer, commands that copy themselves, and everything unfolded in print.
"use strict";
const tip = document.body.appendChild(Object.assign(document.createElement("div"), { id: "tip" }));

function axis(text) {
  const [low, high, from, to, kind, linear] = text.split(" ");
  const forward = { linear: v => v, log: Math.log10, symlog: v => Math.sign(v) * Math.log10(1 + Math.abs(v) / linear) }[kind];
  const back = { linear: v => v, log: v => 10 ** v, symlog: v => Math.sign(v) * linear * (10 ** Math.abs(v) - 1) }[kind];
  const [a, b] = [forward(+low), forward(+high)];
  return at => back(a + (b - a) * (at - from) / (to - from));
}

function written(value) {
  const size = Math.abs(value);
  if (size >= 1e6) return (value / 1e6).toPrecision(3) + "M";
  if (size >= 1e4) return (value / 1e3).toPrecision(3) + "k";
  if (size && size < 1e-3) return value.toExponential(2);
  return String(+value.toPrecision(4));
}

function show(svg, event) {
  const box = svg.getBoundingClientRect(), view = svg.viewBox.baseVal;
  const at = (event.clientX - box.left) * view.width / box.width;
  const x = axis(svg.dataset.x), y = axis(svg.dataset.y);
  const nearest = new Map();
  for (const line of svg.querySelectorAll("polyline[data-name]"))
    for (const point of line.points) {
      const distance = Math.abs(point.x - at), name = line.dataset.name;
      if (!nearest.has(name) || distance < nearest.get(name).distance)
        nearest.set(name, { distance, point, kind: line.getAttribute("class") });
    }
  const hits = [...nearest];
  if (!hits.length) return hide(svg);
  const closest = hits.reduce((a, b) => a[1].distance <= b[1].distance ? a : b)[1].point;
  const rows = hits.filter(([, hit]) => Math.abs(hit.point.x - closest.x) < 25);
  let mark = svg.querySelector(".axis.pointer");
  if (!mark) {
    mark = document.createElementNS("http://www.w3.org/2000/svg", "path");
    mark.setAttribute("class", "axis pointer");
    svg.append(mark);
  }
  mark.setAttribute("d", `M${closest.x} 10V${view.height - 34}`);
  tip.replaceChildren();
  const head = document.createElement("div");
  head.textContent = `${written(x(closest.x))} ${svg.dataset.unit || ""}`;
  tip.append(head);
  for (const [name, hit] of rows.slice(0, 12)) {
    const row = document.createElement("div"), value = document.createElement("b");
    value.textContent = written(y(hit.point.y));
    row.append(name + "  ", value);
    tip.append(row);
  }
  tip.style.display = "block";
  tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)) + "px";
  tip.style.top = Math.max(4, Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8)) + "px";
}

function hide(svg) {
  tip.style.display = "none";
  svg.querySelector(".axis.pointer")?.remove();
}

for (const svg of document.querySelectorAll("svg[data-x]")) {
  svg.addEventListener("pointermove", event => show(svg, event));
  svg.addEventListener("pointerdown", event => show(svg, event));
  svg.addEventListener("pointerleave", () => hide(svg));
}
for (const pre of document.querySelectorAll(".command pre")) {
  if (!navigator.clipboard) break;
  const text = pre.textContent, button = document.createElement("button");
  button.textContent = "copy";
  button.onclick = () => navigator.clipboard.writeText(text).then(() => { button.textContent = "copied"; });
  pre.append(button);
}
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const part of folded) part.open = true;
});
addEventListener("afterprint", () => { for (const part of folded) part.open = false; });
