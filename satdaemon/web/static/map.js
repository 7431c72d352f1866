// The map: frames coloured by how they are, bursts to pick from.
import { line, makeMap } from "/static/basemap.js";

const form = document.getElementById("map-form");
const by = {
  done: ["interpolate", ["linear"], ["get", "done"], 0, "#b3261e", 0.5, "#c98a00", 1, "#1d7a46"],
  failed: ["step", ["get", "failed"], "#1d7a46", 1, "#c98a00", 10, "#b3261e"],
  age: ["case", ["has", "age"], ["interpolate", ["linear"], ["get", "age"], 0, "#1d7a46", 30, "#c98a00", 90, "#b3261e"], "#6b7480"],
  late: ["case", ["has", "late"], ["interpolate", ["linear"], ["get", "late"], 0, "#1d7a46", 7, "#c98a00", 30, "#b3261e"], "#6b7480"],
};
const keys = {
  done: [["#b3261e", "nothing done"], ["#c98a00", "half of all rows done"], ["#1d7a46", "all done"]],
  failed: [["#1d7a46", "no job failed"], ["#c98a00", "1 to 9 failed"], ["#b3261e", "10 or more failed"]],
  age: [["#1d7a46", "a date of today is done"], ["#c98a00", "30 days since the newest"], ["#b3261e", "90 days or more"], ["#6b7480", "no date is done"]],
  late: [["#1d7a46", "in the points at once"], ["#c98a00", "7 days after sensing"], ["#b3261e", "30 days or more"], ["#6b7480", "no date is in the points"]],
};
const picked = new Set();
const map = makeMap(
  {
    frames: { type: "vector", tiles: [`${location.origin}/tiles/frames/{z}/{x}/{y}`], maxzoom: 10 },
    bursts: { type: "vector", tiles: [burstTiles()], minzoom: 5, maxzoom: 9, promoteId: "id" },
    cells: { type: "geojson", data: { type: "FeatureCollection", features: [] } },
    lasso: { type: "geojson", data: { type: "FeatureCollection", features: [] } },
  },
  [
    { id: "cells", type: "circle", source: "cells", maxzoom: 5, layout: { visibility: "none" }, paint: { "circle-color": "#0b62a8", "circle-opacity": 0.45, "circle-radius": ["interpolate", ["linear"], ["sqrt", ["get", "bursts"]], 1, 1.5, 30, 7] } },
    { id: "bursts", type: "fill", source: "bursts", "source-layer": "bursts", layout: { visibility: "none" }, paint: { "fill-color": ["case", ["boolean", ["feature-state", "picked"], false], "#c98a00", "#0b62a8"], "fill-opacity": ["case", ["boolean", ["feature-state", "picked"], false], 0.65, 0.12] } },
    { id: "burst-edges", type: "line", source: "bursts", "source-layer": "bursts", layout: { visibility: "none" }, paint: { "line-color": "#0b62a8", "line-width": 0.8 } },
    { id: "frames", type: "fill", source: "frames", "source-layer": "frames", filter: ["==", ["geometry-type"], "Polygon"], paint: { "fill-color": by.done, "fill-opacity": 0.45 } },
    { id: "frame-edges", type: "line", source: "frames", "source-layer": "frames", filter: ["==", ["geometry-type"], "Polygon"], paint: { "line-color": line, "line-width": 1 } },
    { id: "frame-points", type: "circle", source: "frames", "source-layer": "frames", filter: ["==", ["geometry-type"], "Point"], paint: { "circle-color": by.done, "circle-radius": 6, "circle-stroke-width": 1, "circle-stroke-color": line } },
    { id: "lasso", type: "line", source: "lasso", paint: { "line-color": line, "line-width": 2, "line-dasharray": [2, 1] } },
  ],
  { hash: "at", center: [10, 30], zoom: 1.5 },
);

function burstTiles() {
  const query = new URLSearchParams();
  if (["A", "D"].includes(form.bursts.value)) query.set("direction", form.bursts.value);
  if (form.track.value) query.set("track", form.track.value);
  return `${location.origin}/tiles/bursts/{z}/{x}/{y}?${query}`;
}

// What the colours mean; between those named they change evenly.
function showKeys(named) {
  document.getElementById("colours").replaceChildren(...named.map(([colour, words]) => {
    const item = document.createElement("li");
    const patch = document.createElement("i");
    patch.style.background = colour;
    item.append(patch, words);
    return item;
  }));
}

let cellsRead = false;
async function show() {
  const bursts = form.bursts.value === "none" ? "none" : "visible";
  for (const id of ["bursts", "burst-edges", "cells"]) map.setLayoutProperty(id, "visibility", bursts);
  map.getSource("bursts").setTiles([burstTiles()]);
  const colour = by[form.by.value];
  showKeys(keys[form.by.value] ?? []);
  for (const id of ["frames", "frame-edges", "frame-points"]) map.setLayoutProperty(id, "visibility", colour ? "visible" : "none");
  if (colour) {
    map.setPaintProperty("frames", "fill-color", colour);
    map.setPaintProperty("frame-points", "circle-color", colour);
  }
  if (bursts === "visible" && !cellsRead) {
    cellsRead = true;
    map.getSource("cells").setData(await (await fetch("/map/cells")).json());
  }
}

function pick(ids, is) {
  for (const id of ids) {
    if (is) picked.add(id); else picked.delete(id);
    map.setFeatureState({ source: "bursts", sourceLayer: "bursts", id }, { picked: is });
  }
  document.getElementById("picked-words").textContent = picked.size ? `${picked.size} bursts` : "No burst is picked.";
  htmx.ajax("GET", `/map/preview?bursts=${encodeURIComponent([...picked].sort().join(","))}`, { target: "#preview" });
}

map.on("load", show);
form.addEventListener("change", show);
form.addEventListener("submit", (event) => event.preventDefault());
document.getElementById("clear").addEventListener("click", () => pick([...picked], false));
map.on("click", (event) => {
  const bursts = form.bursts.value === "none" ? [] : map.queryRenderedFeatures(event.point, { layers: ["bursts"] });
  if (bursts.length) {
    const ids = [...new Set(bursts.map((one) => one.properties.id))];
    pick(ids, !ids.every((id) => picked.has(id)));
    return;
  }
  const [frame] = map.queryRenderedFeatures(event.point, { layers: ["frames", "frame-points"] });
  if (frame) location.href = `/frames/${encodeURIComponent(frame.properties.id)}`;
});
for (const layer of ["frames", "frame-points", "bursts"]) {
  map.on("mouseenter", layer, () => { map.getCanvas().classList.add("points"); });
  map.on("mouseleave", layer, () => { map.getCanvas().classList.remove("points"); });
}
const word = document.getElementById("picked-words");
map.on("mousemove", "frames", (event) => {
  const { id, done, failed, late } = event.features[0].properties;
  const points = late === undefined ? "" : `, its newest date in the points ${late.toFixed(1)} days after sensing`;
  if (!picked.size) word.textContent = `${id}: ${Math.round(100 * done)} % done${failed ? `, ${failed} failed` : ""}${points}`;
});

// A lasso: drag around bursts while the tick is set; those are picked whose middle is inside.
let path = [];
const drawn = () => map.getSource("lasso").setData({
  type: "Feature", properties: {}, geometry: { type: "LineString", coordinates: path.map((point) => map.unproject(point).toArray()) },
});

function isInside(x, y) {
  let inside = false;
  for (let i = 0, j = path.length - 1; i < path.length; j = i++) {
    const [a, b] = [path[i], path[j]];
    if (a.y > y !== b.y > y && x < ((b.x - a.x) * (y - a.y)) / (b.y - a.y) + a.x) inside = !inside;
  }
  return inside;
}

// The middle of what is drawn of each burst: one that lies over several tiles comes in parts.
function middles(features) {
  const ranges = new Map();
  for (const { properties, geometry } of features) {
    const range = ranges.get(properties.id) ?? [Infinity, Infinity, -Infinity, -Infinity];
    for (const corner of geometry.coordinates.flat(geometry.type === "MultiPolygon" ? 2 : 1)) {
      const { x, y } = map.project(corner);
      range[0] = Math.min(range[0], x); range[1] = Math.min(range[1], y);
      range[2] = Math.max(range[2], x); range[3] = Math.max(range[3], y);
    }
    ranges.set(properties.id, range);
  }
  return [...ranges].map(([id, [west, north, east, south]]) => [id, (west + east) / 2, (north + south) / 2]);
}

map.on("mousedown", (event) => {
  if (!form.lasso.checked) return;
  event.preventDefault();
  path = [event.point];
});
map.on("mousemove", (event) => {
  if (!path.length) return;
  path.push(event.point);
  drawn();
});
map.on("mouseup", () => {
  if (!path.length) return;
  const [xs, ys] = [path.map((point) => point.x), path.map((point) => point.y)];
  const corners = [[Math.min(...xs), Math.min(...ys)], [Math.max(...xs), Math.max(...ys)]];
  if (path.length > 3 && Math.hypot(corners[1][0] - corners[0][0], corners[1][1] - corners[0][1]) >= 5) {
    const found = middles(map.queryRenderedFeatures(corners, { layers: ["bursts"] }));
    pick(found.filter(([, x, y]) => isInside(x, y)).map(([id]) => id), true);
  }
  path = [];
  drawn();
});
