// The points of a frame: pictures by velocity, series by click, the mean of a box by dragging.
import { line, makeMap } from "/static/basemap.js";

const form = document.getElementById("points-form");
const frame = encodeURIComponent(form.dataset.frame);
const [west, south, east, north] = form.dataset.bounds.split(",").map(Number);
const map = makeMap(
  {
    points: { type: "raster", tiles: [tiles()], tileSize: 512, maxzoom: 18 },
    box: { type: "geojson", data: { type: "FeatureCollection", features: [] } },
  },
  [
    { id: "points", type: "raster", source: "points", paint: { "raster-resampling": "nearest", "raster-fade-duration": 0 } },
    { id: "box", type: "line", source: "box", paint: { "line-color": line, "line-width": 2 } },
  ],
  { bounds: [[west, south], [east, north]], fitBoundsOptions: { padding: 30 } },
);

function tiles() {
  return `${location.origin}/points/${frame}/${form.dataset.version}/{z}/{x}/{y}?most=${form.most.value}`;
}

function ask(address) {
  htmx.ajax("GET", address, { target: "#series" });
}

form.addEventListener("submit", (event) => event.preventDefault());
form.most.addEventListener("change", () => map.getSource("points").setTiles([tiles()]));
map.on("click", (event) => {
  if (form.area.checked) return;
  const query = new URLSearchParams({ lon: event.lngLat.wrap().lng, lat: event.lngLat.lat });
  const shown = document.getElementById("shown-ids")?.dataset.ids;
  if (form.compare.checked && shown) for (const id of shown.split(",")) query.append("ids", id);
  ask(`/points/${frame}/series?${query}`);
});
let from = null;
map.on("mousedown", (event) => {
  if (!form.area.checked) return;
  event.preventDefault();
  from = event.lngLat;
});
map.on("mousemove", (event) => { if (from) drawBox(from, event.lngLat); });
map.on("mouseup", (event) => {
  if (!from) return;
  const [a, b] = [from, event.lngLat];
  from = null;
  if (a.lng === b.lng || a.lat === b.lat) return;
  drawBox(a, b);
  ask(`/points/${frame}/area?${new URLSearchParams({ west: Math.min(a.lng, b.lng), south: Math.min(a.lat, b.lat), east: Math.max(a.lng, b.lng), north: Math.max(a.lat, b.lat) })}`);
});

function drawBox(a, b) {
  const ring = [[a.lng, a.lat], [b.lng, a.lat], [b.lng, b.lat], [a.lng, b.lat], [a.lng, a.lat]];
  map.getSource("box").setData({ type: "Feature", properties: {}, geometry: { type: "LineString", coordinates: ring } });
}
