"""eos-sar and xarray-sentinel read simulated products, and agree with the simulator's own geometry."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from simulated import SMALL, index_of, small_archive, small_truth, zip_of

from satdaemon.simulator.geometry import to_geodetic
from satdaemon.simulator.instrument import LINE_INTERVAL_S, SPEED_OF_LIGHT_M_S
from satdaemon.simulator.mapping import RadarGrid
from satdaemon.simulator.scenario import near_range_time_s


def eos_product(path: Path):
    from eos.products.sentinel1.product import SafeFormat, Sentinel1SLCProductInfo

    class Zip(Sentinel1SLCProductInfo):
        def __init__(self) -> None:
            self.archive, self.root = zipfile.ZipFile(path), f"{path.stem}.SAFE"
            self.manifest = self.archive.read(f"{self.root}/manifest.safe").decode()
            self.format = SafeFormat.from_manifest(path.stem, self.manifest)
            super().__init__(path.stem)

        def text(self, swath: str, pol: str, prefix: str) -> str:
            return self.archive.read(f"{self.root}/{self.format.search(swath, pol, prefix)}").decode()

        def get_image_reader(self, swath: str, pol: str):
            return rasterio.open(f"/vsizip/{path}/{self.root}/{self.format.search(swath, pol, 'measurement/')}")

        def get_xml_annotation(self, swath: str, pol: str) -> str:
            return self.text(swath, pol, "annotation/")

        def get_xml_calibration(self, swath: str, pol: str) -> str:
            return self.text(swath, pol, "annotation/calibration/calibration-")

        def get_xml_noise(self, swath: str, pol: str) -> str:
            return self.text(swath, pol, "annotation/calibration/noise-")

        def get_manifest(self) -> str:
            return self.manifest

    return Zip()


def eos_assembly(*paths: Path):
    from eos.products.sentinel1.assembler import Sentinel1Assembler

    return Sentinel1Assembler.from_products([eos_product(p) for p in paths], "vv", None, swaths=["iw1", "iw2"])


@pytest.mark.parametrize("index", [0, 1])
def test_eos_sar_places_ground_points_where_the_simulator_does(index: int) -> None:
    truth = small_truth()
    acquisition = truth.ground.acquisitions[index]
    assembly = eos_assembly(zip_of(index))
    assert set(assembly.bsids) == {f"{SMALL.first_burst + k}_{s}" for k in range(SMALL.bursts) for s in SMALL.swath_names}
    model = assembly.get_mosaic_model()
    cutter = assembly.get_primary_cutter()
    row, col = np.meshgrid([30.0, 700.0, 1470.0], [10.0, 50.0, 85.0], indexing="ij")
    for name in assembly.bsids:
        place, swath = int(name.split("_")[0]) - SMALL.first_burst, name.split("_")[1]
        slant = near_range_time_s(SMALL, swath) * SPEED_OF_LIGHT_M_S / 2
        grid = RadarGrid(acquisition.annotated_orbit, acquisition.burst_start_s[swath][place], slant)
        height = np.array([[50.0], [150.0], [400.0]]) + np.zeros_like(col)
        lon, lat, _ = to_geodetic(grid.ground(row, col, height))
        time, distance, _ = model.projection(np.degrees(lon).ravel(), np.degrees(lat).ravel(), height.ravel(), as_azt_rng=True)
        found_row, found_col = cutter.to_row_col_in_burst(time, distance, name)
        meta = assembly.get_single_burst_meta(name)
        found_row = found_row + meta.burst_roi[1] % meta.lines_per_burst
        assert np.abs(found_row - row.ravel()).max() < 0.01
        assert np.abs(found_col + meta.burst_roi[0] - col.ravel()).max() < 0.01
    mosaic_row, mosaic_col = np.array([400.0, 1500.0]), np.array([30.0, 120.0])
    lon, lat, height = model.localization(mosaic_row, mosaic_col, np.array([120.0, 180.0]))
    time, distance = model.to_azt_rng(mosaic_row, mosaic_col)
    node = acquisition.node_utc.timestamp()
    point = RadarGrid(acquisition.annotated_orbit, 0.0, 0.0).ground(
        (np.asarray(time) - node) / LINE_INTERVAL_S,
        np.asarray(distance) / (SPEED_OF_LIGHT_M_S / 2 / 64.34523812571428e6),
        np.array([120.0, 180.0]),
    )
    own_lon, own_lat, _ = to_geodetic(point)
    metres = 111320 * np.hypot((lon - np.degrees(own_lon)) * np.cos(own_lat), lat - np.degrees(own_lat))
    assert metres.max() < 1.0


def test_eos_sar_joins_the_two_slices() -> None:
    k = index_of("split")
    assembly = eos_assembly(zip_of(k, 0), zip_of(k, 1))
    assert len(set(assembly.bsids)) == SMALL.bursts * SMALL.subswaths


def test_eos_sar_deramps_to_base_band() -> None:
    """Azimuth spectra of deramped bursts are centred on zero and fill the annotated bandwidth."""
    import eos.sar.io as eio
    from eos.sar.roi import Roi

    assembly = eos_assembly(zip_of(0))
    for name in sorted(assembly.bsids):
        meta = assembly.get_single_burst_meta(name)
        col, row, width, height = meta.burst_roi
        resampler = assembly.get_burst_resampler(name, (height, width), np.eye(3))
        product = eos_product(zip_of(0))
        with product.get_image_reader(name.split("_")[1].lower(), "vv") as file:
            samples = eio.read_window(file, Roi(col, row, width, height), True)
        power = (np.abs(np.fft.fft(resampler.deramp(samples), axis=0)) ** 2).mean(axis=1)
        frequency = np.fft.fftfreq(height, LINE_INTERVAL_S)
        inside = np.abs(frequency) <= 313.0 / 2 + 3
        assert power[inside].sum() > 0.995 * power.sum()
        assert abs((power * frequency).sum() / power.sum()) < 3.0


def test_xarray_sentinel_opens_bursts_orbits_and_calibration(tmp_path: Path) -> None:
    import xarray_sentinel

    path = zip_of(0)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
    safe = tmp_path / f"{path.stem}.SAFE"
    root = xarray_sentinel.open_sentinel1_dataset(safe)
    groups = root.attrs["subgroups"]
    assert {"IW1", "IW1/VV", "IW2/VV/orbit", "IW2/VV/calibration"} <= set(groups)
    orbit = xarray_sentinel.open_sentinel1_dataset(safe, group="IW1/VV/orbit")
    assert orbit.position.shape == (3, 17)
    calibration = xarray_sentinel.open_sentinel1_dataset(safe, group="IW1/VV/calibration")
    assert float(calibration.betaNought.mean()) == pytest.approx(237.0)
    noise = xarray_sentinel.open_sentinel1_dataset(safe, group="IW1/VV/noise_range")
    assert float(noise.noiseRangeLut.mean()) == pytest.approx(144.0)
    gcp = xarray_sentinel.open_sentinel1_dataset(safe, group="IW1/VV/gcp")
    lon, lat, height = gcp.longitude.values, gcp.latitude.values, gcp.height.values
    np.testing.assert_allclose(small_truth().ground.height_m(lon, lat), height, atol=1e-2)
    dc = xarray_sentinel.open_sentinel1_dataset(safe, group="IW1/VV/dc_estimate")
    assert dc.sizes["azimuth_time"] == SMALL.bursts + 2
    swath = xarray_sentinel.open_sentinel1_dataset(safe, group="IW1/VV")
    burst = xarray_sentinel.crop_burst_dataset(swath, burst_index=1)
    assert burst.measurement.shape == (1502, SMALL.samples)
    with rasterio.open(next((safe / "measurement").glob("*iw1*"))) as file:
        np.testing.assert_array_equal(burst.measurement.values, file.read(1)[1502:3004])


def test_dem_is_the_relief_of_the_truth() -> None:
    truth = small_truth()
    with rasterio.open(small_archive() / "dem.tif") as file:
        assert file.crs.to_epsg() == 4326
        assert file.dtypes == ("float32",)
        height, (west, step_x, north, step_y) = file.read(1), (file.bounds.left, file.res[0], file.bounds.top, file.res[1])
    row, col = np.meshgrid(np.arange(0, height.shape[0], 97), np.arange(0, height.shape[1], 101), indexing="ij")
    lon, lat = west + (col + 0.5) * step_x, north - (row + 0.5) * step_y
    assert np.abs(height[row, col] - truth.ground.height_m(lon, lat)).max() < 0.005
    assert np.ptp(height) > 50.0
