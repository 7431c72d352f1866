"""Pictures: what averages, palettes and files are held to truth that is known."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stack_products import SPACING_M, write_geometry
from stack_truth import WAVELENGTH_M

from satdaemon.errors import CorruptProduct, DataError
from satdaemon.insar.colours import LEVELS, palette
from satdaemon.insar.multilook import BLOCK_PX, averages
from satdaemon.insar.png import CLEAR, indices, write_png
from satdaemon.insar.quicklook_view import MOST_PX, View, view_of
from satdaemon.insar.rasters import create_radar, open_radar, write_window
from satdaemon.insar.rowrasters import read_raster, write_raster


def means_of(path: Path, shape: tuple[int, int], *kinds: str) -> list[np.ndarray]:
    with open_radar(path) as source:
        found = averages(source, shape, *kinds)
    return [found.values[kind] for kind in kinds]


def test_a_phase_ramp_averages_right_across_the_wrap(tmp_path: Path) -> None:
    """8 cycles over 800 columns; the mean of 10 columns is the phase of their middle, also where it jumps by 2 pi."""
    phase = 0.3 + 2 * np.pi * 8 * np.arange(800) / 800
    ifg = np.tile(0.7 * np.exp(1j * phase), (40, 1)).astype(np.complex64)
    write_raster(tmp_path / "ifg.tif", ifg)
    complex_mean, magnitude = means_of(tmp_path / "ifg.tif", (4, 80), "phase", "magnitude")
    middle = phase.reshape(80, 10).mean(1)
    assert np.abs(np.angle(complex_mean * np.exp(-1j * middle))).max() < 1e-5
    wrapped = np.angle(ifg[0]).reshape(80, 10)
    assert np.abs(wrapped.mean(1) - np.angle(complex_mean[0])).max() > 2, "cells lie across the wrap"
    assert magnitude == pytest.approx(0.7, abs=1e-6), "coherence is averaged as a magnitude, not as a vector"


def test_amplitude_is_the_mean_power_of_what_is_known(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    slc = (rng.normal(size=(96, 130)) + 1j * rng.normal(size=(96, 130))).astype(np.complex64)
    slc[:32] *= 10
    slc[5, 7], slc[50:60, 20:30] = np.nan, 0
    write_raster(tmp_path / "slc.tif", slc)
    (power,) = means_of(tmp_path / "slc.tif", (3, 1), "power")
    truth = np.abs(np.where(slc == 0, np.nan, slc)) ** 2
    wanted = [np.nanmean(truth[a : a + 32]) for a in (0, 32, 64)]
    assert power[:, 0] == pytest.approx(wanted, rel=1e-6)
    write_raster(tmp_path / "amplitude.tif", np.abs(np.nan_to_num(slc)).astype(np.float32))
    (of_real,) = means_of(tmp_path / "amplitude.tif", (3, 1), "power")
    assert of_real[:, 0] == pytest.approx(wanted, rel=1e-5), "an amplitude of zero is none"


@pytest.mark.parametrize("shape", [(7, 5), (13, 97), (96, 130), (1, 1), (96, 1)])
def test_cells_that_do_not_divide_the_raster_take_each_pixel_once(tmp_path: Path, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(shape[0])
    values = rng.normal(size=(96, 130)).astype(np.float32)
    values[rng.random(values.shape) < 0.3] = np.nan
    with create_radar(tmp_path / "v.tif", values.shape, "float32", nodata=np.nan, tiled=shape != (7, 5)) as target:
        write_window(target, 0, 0, values)
    (mean,) = means_of(tmp_path / "v.tif", shape, "value")
    row = np.searchsorted([-(-k * 96 // shape[0]) for k in range(shape[0])], np.arange(96), "right") - 1
    col = np.searchsorted([-(-k * 130 // shape[1]) for k in range(shape[1])], np.arange(130), "right") - 1
    wanted = np.full(shape, np.nan)
    for r in range(shape[0]):
        for c in range(shape[1]):
            cell = values[row == r][:, col == c]
            wanted[r, c] = np.nanmean(cell) if np.isfinite(cell).any() else np.nan
    np.testing.assert_allclose(mean, wanted, atol=1e-5)


def test_nodata_and_infinity_are_not_averaged(tmp_path: Path) -> None:
    values = np.array([[1, 3, -9999, -9999], [np.inf, 5, -9999, np.nan]], np.float32)
    write_raster(tmp_path / "v.tif", values, nodata=-9999)
    (mean,) = means_of(tmp_path / "v.tif", (1, 2), "value")
    assert mean[0, 0] == 3 and np.isnan(mean[0, 1])
    with open_radar(tmp_path / "v.tif") as source:
        assert averages(source, (1, 2), "value").known == 3 / 8


def test_wrong_or_broken_rasters_are_refused(tmp_path: Path) -> None:
    write_raster(tmp_path / "real.tif", np.ones((64, 64), np.float32))
    with pytest.raises(DataError, match="expected complex numbers, got float32"):
        means_of(tmp_path / "real.tif", (2, 2), "phase")
    write_raster(tmp_path / "complex.tif", np.ones((64, 64), np.complex64))
    with pytest.raises(DataError, match="expected real numbers, got complex64"):
        means_of(tmp_path / "complex.tif", (2, 2), "value")
    whole = (tmp_path / "complex.tif").read_bytes()
    (tmp_path / "complex.tif").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptProduct):
        means_of(tmp_path / "complex.tif", (2, 2), "phase")


def test_memory_is_that_of_some_tiles_whatever_the_size(tmp_path: Path) -> None:
    """A raster of 400 MB, empty but for a strip: Python's arrays stay below those of a few blocks."""
    with create_radar(tmp_path / "slc.tif", (2560, 20480), "complex64", nodata=np.nan) as target:
        write_window(target, 1024, 0, np.full((256, 20480), 2, np.complex64))
    tracemalloc.start()
    (power,) = means_of(tmp_path / "slc.tif", (10, 80), "power")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert power[4] == pytest.approx(4.0) and np.isnan(power[[3, 5]]).all()
    assert most < 5 * BLOCK_PX * 8


def oklab(rgb: np.ndarray) -> np.ndarray:
    """sRGB of 0..255 to Oklab, by the published matrices of the forward transform."""
    share = rgb / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    to_lms = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    to_lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return np.cbrt(linear @ to_lms.T) @ to_lab.T


@pytest.mark.parametrize("name", ["grey", "cyclic", "diverging", "reversed"])
def test_steps_of_a_palette_look_alike(name: str) -> None:
    colours = palette(name).astype(float)
    assert colours.shape == (LEVELS, 3)
    ring = np.concatenate([colours, colours[:1]]) if name == "cyclic" else colours
    eight = np.linalg.norm(oklab(ring[8::8]) - oklab(ring[:-8:8]), axis=1)
    assert eight.min() > 0.6 * eight.mean() and eight.max() < 1.5 * eight.mean()


def test_palettes_are_read_without_red_and_green() -> None:
    """Lightness and blue against yellow, all that people without red or green cones see, tell opposite values apart."""
    cyclic = oklab(palette("cyclic").astype(float))
    seen = cyclic[:, [0, 2]]
    assert np.linalg.norm(np.roll(seen, LEVELS // 2, axis=0) - seen, axis=1).min() > 0.15
    assert np.argmax(cyclic[:, 0]) == pytest.approx(LEVELS // 2, abs=2), "zero is the lightest"
    diverging = oklab(palette("diverging").astype(float))
    assert diverging[0, 2] < -0.05 < 0.03 < diverging[-1, 2] and np.argmax(diverging[:, 0]) == LEVELS // 2
    assert (np.diff(oklab(palette("grey").astype(float))[:, 0]) > -1e-3).all()
    assert (palette("reversed") == palette("diverging")[::-1]).all()
    with pytest.raises(KeyError):
        palette("jet")


def test_a_picture_is_read_back_as_it_was(tmp_path: Path) -> None:
    values = np.array([[0.0, 0.5, 1.0], [np.nan, -3.0, 7.0]])
    index = indices(values, 0.0, 1.0)
    assert index.tolist() == [[1, 128, 255], [CLEAR, 1, 255]]
    for name in ("a.png", "b.png"):
        write_png(tmp_path / name, index, "diverging", {"Title": "a title"})
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P" and image.text == {"Title": "a title"}
        rgba = np.asarray(image.convert("RGBA"))
    assert rgba[..., 3].tolist() == [[255, 255, 255], [0, 255, 255]]
    assert (rgba[0, 0, :3] == palette("diverging")[0]).all() and (rgba[0, 2, :3] == palette("diverging")[-1]).all()


def test_phases_that_are_a_turn_apart_have_one_colour() -> None:
    phase = np.array([-np.pi, np.pi, 0.3, 0.3 + 2 * np.pi, 0.3 - 2 * np.pi, np.pi - 1e-9])
    index = indices(phase, -np.pi, np.pi, cyclic=True)
    assert index[0] == index[1] == 1 and index[2] == index[3] == index[4] and index[5] == LEVELS


def test_pixels_are_square_on_the_ground_and_north_is_up(tmp_path: Path) -> None:
    """The made frame runs south with its rows and east with its columns; turned about, it is turned back."""
    shape = (300, 400)
    write_geometry(tmp_path, shape)
    view = view_of(tmp_path, shape)
    assert view.spacing_m == pytest.approx(SPACING_M, rel=0.01) and view.wavelength_m == WAVELENGTH_M
    assert (view.flip_rows, view.flip_cols) == (False, False)
    rows, cols = view.size(shape)
    assert max(rows, cols) == MOST_PX
    assert rows / cols == pytest.approx(300 * SPACING_M[0] / (400 * SPACING_M[1]), rel=0.01)
    assert view.pixel_m(shape, (rows, cols)) == pytest.approx((300 * SPACING_M[0] / 800,) * 2, rel=0.01)
    for name in ("lat.tif", "lon.tif"):
        write_raster(tmp_path / name, read_raster(tmp_path / name)[::-1, ::-1].copy())
    turned = view_of(tmp_path, shape)
    assert (turned.flip_rows, turned.flip_cols) == (True, True)
    picture = turned.turned(np.arange(6).reshape(2, 3), (4, 3))
    assert picture.tolist() == [[5, 4, 3], [5, 4, 3], [2, 1, 0], [2, 1, 0]]


def test_without_a_geometry_of_its_shape_a_raster_is_shown_as_it_is(tmp_path: Path) -> None:
    assert view_of(None, (30, 40)) == View() == view_of(tmp_path / "none", (30, 40))
    assert View().size((30, 40)) == (30, 40) and View().size((1600, 800)) == (800, 400)
    assert View().size((8000, 300)) == (800, 200) and View().size((1600, 80)) == (800, 80), "stretched as far as it goes"
    assert View().size((3000, 40_000)) == (200, 800) and View().pixel_m((30, 40), (30, 40)) is None
    assert View().wavelength_m == pytest.approx(0.05546576, rel=1e-7)
    write_geometry(tmp_path, (30, 41))
    assert view_of(tmp_path, (30, 40)) == View()
    (tmp_path / "lat.tif").write_bytes(b"no raster")
    with pytest.raises(CorruptProduct):
        view_of(tmp_path, (30, 41))
