// The map below all others: MapLibre, land and borders, in the colours of the page's scheme.
import * as maplibre from "/static/vendor/maplibre-gl.mjs";

maplibre.setWorkerUrl("/static/vendor/maplibre-gl-worker.mjs");
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
export const line = dark ? "#e8edf2" : "#17202a";
const [sea, land, border] = dark ? ["#12171c", "#242d36", "#46535f"] : ["#dfe8ee", "#f8f8f4", "#b6bfc7"];

// A map in the element `map`, with these sources and layers above the land.
export function makeMap(sources, layers, options) {
  const map = new maplibre.Map({
    container: "map",
    attributionControl: { compact: true, customAttribution: "Natural Earth" },
    style: {
      version: 8,
      sources: { world: { type: "geojson", data: "/static/vendor/world.json" }, ...sources },
      layers: [
        { id: "sea", type: "background", paint: { "background-color": sea } },
        { id: "land", type: "fill", source: "world", filter: ["==", ["get", "kind"], "land"], paint: { "fill-color": land } },
        { id: "border", type: "line", source: "world", filter: ["==", ["get", "kind"], "border"], paint: { "line-color": border, "line-width": 0.7 } },
        ...layers,
      ],
    },
    ...options,
  });
  map.addControl(new maplibre.NavigationControl({ showCompass: false }));
  map.addControl(new maplibre.ScaleControl());
  window.satdaemonMap = map; // for those who look from outside
  return map;
}
