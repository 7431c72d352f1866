"""What a simulation can be asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import date
from typing import Any, Self

from satdaemon.errors import ConfigError
from satdaemon.simulator.instrument import SWATHS

CASES = ("missing_burst", "duplicate", "split", "corrupt", "resorb_only", "no_orbit")
"""Special cases that `special_cases` can name; which date has which stands in truth.json."""

FEWEST_DATES_FOR_CASES = 10


@dataclass(frozen=True, slots=True)
class SimulationOptions:
    """Options of `simulate`. The same options give the same bytes."""

    dates: int = 14
    """Number of acquisition dates, 2..400."""
    seed: int = 1
    samples: int = 320
    """Range samples of each subswath, 96..2000."""
    range_overlap: int = 64
    """Range samples that neighbouring subswaths share."""
    bursts: int = 3
    """Bursts of each subswath, 1..9."""
    subswaths: int = 2
    """1: IW1; 2: IW1 and IW2."""
    polarisations: tuple[str, ...] = ("vv", "vh")
    """Co-polarised first. Ground motion and statistics are the same in both; speckle is not."""
    start: date = date(2021, 4, 4)
    """The first date is the first Sentinel-1A pass of the track on or after this day."""
    single_dates: int | None = None
    """Dates 12 days apart, of Sentinel-1A alone, before Sentinel-1B joins (6 days apart). Default: 2 in 7."""
    first_burst: int = 281691
    """ESA's relative burst id of the southernmost burst; track 132 ascending, over the English Midlands."""
    baseline_spread_m: float = 100.0
    """Largest perpendicular baseline to the reference orbit."""
    azimuth_shift_px: float = 0.02
    """Largest azimuth timing error of a date, lines; the smallest is a quarter of it."""
    motion: bool = True
    atmosphere_mm: float = 2.5
    """Standard deviation of the one-way atmospheric delay of a date."""
    thermal_noise: bool = True
    decorrelation: bool = True
    """False: every class but water keeps its speckle for ever."""
    special_cases: tuple[str, ...] | None = None
    """Subset of CASES. Default: all of them from 10 dates and 3 bursts on, none below."""
    compression: int = 1
    """Deflate level of the zips, 0..9."""

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated (ConfigError)."""
        _within("dates", self.dates, 2, 400)
        _within("seed", self.seed, 0, 2**32 - 1)
        _within("samples", self.samples, 96, 2000)
        _within("range_overlap", self.range_overlap, 40, self.samples // 2)
        _within("bursts", self.bursts, 1, 9)
        _within("subswaths", self.subswaths, 1, 2)
        _within("baseline_spread_m", self.baseline_spread_m, 0.0, 200.0)
        _within("azimuth_shift_px", self.azimuth_shift_px, 0.0, 0.1)
        _within("atmosphere_mm", self.atmosphere_mm, 0.0, 20.0)
        _within("compression", self.compression, 0, 9)
        _within("first_burst", self.first_burst, 281600, 281750)
        if self.single_dates is not None:
            _within("single_dates", self.single_dates, 1, self.dates)
        if self.polarisations not in (("vv",), ("vv", "vh")):
            raise ConfigError(f"polarisations: expected ('vv',) or ('vv', 'vh'), got {self.polarisations!r}")
        unknown = sorted(set(self.cases) - set(CASES))
        if unknown:
            raise ConfigError(f"special_cases: expected names out of {', '.join(CASES)}, got {', '.join(unknown)}")
        if self.cases and self.dates < FEWEST_DATES_FOR_CASES:
            raise ConfigError(
                f"special_cases: need at least {FEWEST_DATES_FOR_CASES} dates, got {self.dates}; "
                "ask for more dates or pass special_cases=()"
            )
        if "missing_burst" in self.cases and self.bursts < 2:
            raise ConfigError("special_cases: missing_burst needs at least 2 bursts a subswath, got 1")
        if "split" in self.cases and self.bursts < 3:
            raise ConfigError(f"special_cases: split needs at least 3 bursts a subswath, got {self.bursts}")

    @property
    def cases(self) -> tuple[str, ...]:
        """Special cases in force."""
        if self.special_cases is not None:
            return self.special_cases
        enough = self.dates >= FEWEST_DATES_FOR_CASES and self.bursts >= 3
        return CASES if enough else ()

    @property
    def swath_names(self) -> tuple[str, ...]:
        """Subswaths, near to far."""
        return tuple(SWATHS)[: self.subswaths]

    def to_json(self) -> dict[str, Any]:
        """A value that json can write and `from_json` reads back equal."""
        value = asdict(self)
        value["start"] = self.start.isoformat()
        value["polarisations"] = list(self.polarisations)
        value["special_cases"] = None if self.special_cases is None else list(self.special_cases)
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Inverse of `to_json`; ConfigError for unknown names."""
        unknown = sorted(set(value) - {f.name for f in fields(cls)})
        if unknown:
            raise ConfigError(f"simulation options: unknown {', '.join(unknown)}")
        cases = value.get("special_cases")
        return cls(
            **{
                **value,
                "start": date.fromisoformat(value["start"]),
                "polarisations": tuple(value["polarisations"]),
                "special_cases": None if cases is None else tuple(cases),
            }
        )


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{name}: expected {low} to {high}, got {value}")
