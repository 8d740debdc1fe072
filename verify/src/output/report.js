"use strict";
// The table of packages: every word must be in a row.
const box = document.getElementById("search");
const rows = Array.from(document.querySelectorAll("#packages tbody tr"));
const shown = document.getElementById("shown");
function filter() {
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const row of rows) {
    row.hidden = !words.every((word) => row.dataset.text.includes(word));
    if (!row.hidden) count += 1;
  }
  shown.textContent = count + " of " + rows.length + " packages";
}
if (box) { box.addEventListener("input", filter); filter(); }

// The graph of one binary: around one package, from the root down as a tree, or as a whole.
const MOST = 36; // nodes in one column; more cannot be read
const inventories = JSON.parse(document.getElementById("inventory")?.textContent ?? "[]");
const graphs = inventories.map((inventory) => {
  const nodes = inventory.packages.map((p, at) => ({ ...p, at, neededBy: [], depth: Infinity, via: null }));
  for (const node of nodes) for (const need of node.needs) nodes[need]?.neededBy.push(node.at);
  const root = nodes.find((node) => node.name === inventory.root) ?? nodes.find((node) => !node.neededBy.length) ?? nodes[0];
  root.depth = 0;
  for (let queue = [root]; queue.length;) { // the shortest way from the root to each
    const node = queue.shift();
    for (const next of node.needs.map((need) => nodes[need])) {
      if (next.depth !== Infinity) continue;
      next.depth = node.depth + 1; next.via = node.at; queue.push(next);
    }
  }
  return { binary: inventory.binary, nodes, root };
});
const place = document.getElementById("graph");
const [binaries, views, way] = ["binaries", "views", "way"].map((id) => document.getElementById(id));
let graph = graphs[0], focus = graph?.root, view = "near";
const SVG = "http://www.w3.org/2000/svg";
function make(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}
function html(name, text, className) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}
const label = (node) => node.name + " " + node.version;
const kind = (node) => (node.advisories.length ? "bad" : node.linked_in ? "linked" : "build");
const told = (node) => [label(node), node.linked_in ? "linked in" : "build only", node.source, ...node.advisories].join(" · ");
function choose(node, to) {
  focus = node; if (to) view = to;
  draw();
}
function pressable(element, node) {
  element.setAttribute("tabindex", "0");
  element.setAttribute("role", "button");
  element.setAttribute("aria-label", told(node));
  element.append(make("title", {}, told(node)));
  element.addEventListener("click", () => choose(node, "near"));
  element.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(node, "near"); }
  });
  return element;
}
function curve(from, to, className) {
  const half = (to.x - from.x) / 2;
  return make("path", { class: className, d: `M${from.x},${from.y}C${from.x + half},${from.y} ${to.x - half},${to.y} ${to.x},${to.y}` });
}
function near() { // who needs it, itself, what it needs, and what those need
  const unique = (list) => [...new Set(list)].filter((at) => at !== focus.at);
  const direct = unique(focus.needs);
  const columns = [unique(focus.neededBy), [focus.at], direct, unique(direct.flatMap((at) => graph.nodes[at].needs)).filter((at) => !direct.includes(at))];
  const [width, height, gap] = [200, 24, 70];
  const tall = Math.max(...columns.map((column) => Math.min(column.length, MOST) + (column.length > MOST ? 1 : 0)), 4);
  const svg = make("svg", { viewBox: `0 0 ${4 * width + 3 * gap + 8} ${tall * (height + 6) + 30}`, role: "group", "aria-label": "packages around " + label(focus) });
  const spots = columns.map(() => new Map());
  const heads = ["needed by", "", "needs", "which need"];
  const cards = [];
  columns.forEach((column, x) => {
    const left = 4 + x * (width + gap);
    if (heads[x]) svg.append(make("text", { class: "head", x: left, y: 14 }, heads[x] + " (" + column.length + ")"));
    const kept = column.slice(0, MOST);
    const top = 26;
    kept.forEach((at, row) => {
      const node = graph.nodes[at], y = top + row * (height + 6);
      spots[x].set(at, { left, right: left + width, y: y + height / 2 });
      const card = pressable(make("g", { class: "node " + kind(node) + (at === focus.at ? " focus" : "") }), node);
      card.append(make("rect", { x: left, y, width, height, rx: 4 }));
      const text = label(node);
      card.append(make("text", { x: left + 8, y: y + 16 }, (node.advisories.length ? "! " : "") + (text.length > 27 ? text.slice(0, 26) + "…" : text)));
      cards.push(card);
    });
    if (column.length > MOST) svg.append(make("text", { class: "head", x: left, y: top + MOST * (height + 6) + 14 }, "and " + (column.length - MOST) + " more: see the table"));
  });
  for (let x = 0; x < 3; x += 1) for (const [from, a] of spots[x]) for (const need of graph.nodes[from].needs) {
    const b = spots[x + 1].get(need);
    if (b) svg.append(curve({ x: a.right, y: a.y }, { x: b.left, y: b.y }, "edge"));
  }
  svg.append(...cards);
  return svg;
}
function whole() { // a column for each distance from the root
  const columns = [];
  for (const node of graph.nodes) if (node.depth !== Infinity) (columns[node.depth] ??= []).push(node);
  const tall = Math.max(...columns.map((column) => column.length));
  const [width, height] = [Math.max(90, 1080 / columns.length), Math.max(6, Math.min(16, 640 / tall))];
  const spots = new Map();
  columns.forEach((column, depth) => {
    const middle = (node) => node.neededBy.filter((at) => spots.has(at)).reduce((sum, at, _, all) => sum + spots.get(at).y / all.length, 0);
    if (depth) column.sort((a, b) => middle(a) - middle(b));
    column.forEach((node, row) => spots.set(node.at, { x: 12 + depth * width, y: 12 + (row + (tall - column.length) / 2) * height }));
  });
  const onWay = new Set(path(focus));
  const svg = make("svg", { viewBox: `0 0 ${columns.length * width + 20} ${tall * height + 24}`, role: "group", "aria-label": "all packages of " + graph.binary });
  for (const [from, a] of spots) for (const need of graph.nodes[from].needs) {
    if (spots.has(need)) svg.append(curve(a, spots.get(need), onWay.has(from) && onWay.has(need) && graph.nodes[need].via === from ? "edge way" : "edge"));
  }
  for (const [at, spot] of spots) {
    const node = graph.nodes[at];
    const dot = pressable(make("g", { class: "node " + kind(node) + (onWay.has(at) ? " focus" : "") }), node);
    dot.append(make("circle", { cx: spot.x, cy: spot.y, r: node === focus ? 6 : Math.min(3.5, height / 2.4) }));
    svg.append(dot);
  }
  return svg;
}
function branch(node, above) { // one package of the tree; what it needs is made when it is opened
  const item = html("li");
  const line = html("button", label(node), "leaf " + kind(node) + (node === focus ? " focus" : ""));
  line.title = told(node);
  line.addEventListener("click", () => choose(node, "near"));
  if (!node.needs.length || above.has(node.at)) { item.append(line); return item; }
  const details = html("details"), summary = html("summary");
  summary.append(line, html("span", " " + node.needs.length, "dim"));
  details.append(summary);
  details.addEventListener("toggle", () => {
    if (!details.open || details.children.length > 1) return;
    const list = html("ul");
    for (const need of node.needs) list.append(branch(graph.nodes[need], new Set([...above, node.at])));
    details.append(list);
  });
  if (path(focus).includes(node.at) && node !== focus) details.open = true;
  item.append(details);
  return item;
}
function path(node) {
  const steps = [];
  for (let at = node?.at; at !== null && at !== undefined; at = graph.nodes[at].via) steps.unshift(at);
  return steps;
}
function buttons(into, names, chosen, press) {
  into.replaceChildren(...names.map(([value, text]) => {
    const button = html("button", text);
    button.setAttribute("aria-pressed", String(value === chosen));
    button.addEventListener("click", () => press(value));
    return button;
  }));
}
function draw() {
  buttons(binaries, graphs.map((one) => [one, one.binary]), graph, (one) => { graph = one; choose(one.root); });
  buttons(views, [["near", "Around one package"], ["tree", "Tree"], ["whole", "Whole graph"]], view, (to) => choose(focus, to));
  way.replaceChildren(html("span", "Why it is in: ", "dim"));
  path(focus).forEach((at, step) => {
    if (step) way.append(html("span", " → ", "dim"));
    const button = html("button", label(graph.nodes[at]), kind(graph.nodes[at]));
    button.addEventListener("click", () => choose(graph.nodes[at], "near"));
    way.append(button);
  });
  for (const id of focus.advisories) way.append(html("span", " " + id, "bad"));
  if (view === "tree") {
    const list = html("ul", undefined, "tree");
    list.append(branch(graph.root, new Set()));
    place.replaceChildren(list);
  } else place.replaceChildren(view === "near" ? near() : whole());
}
if (graph && focus) {
  document.getElementById("graphs").hidden = false;
  for (const row of rows) {
    const button = row.querySelector("button");
    button.addEventListener("click", () => {
      graph = graphs[Number(row.dataset.graph)];
      choose(graph.nodes[Number(row.dataset.node)], "near");
      document.getElementById("graphs").scrollIntoView();
    });
  }
  const asked = /^#(near|tree|whole)(?:=(.*))?$/.exec(decodeURIComponent(location.hash));
  if (asked) { view = asked[1]; focus = graph.nodes.find((node) => node.name === asked[2]) ?? focus; }
  draw();
}
