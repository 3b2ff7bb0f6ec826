"""Maps a classifier's probabilities to calibrated ones, in numpy and as ONNX nodes alike.

Every map is strictly increasing, so none changes a ranking, and flat enough that float32 rounding
(3e-7 in boosting) stays below the golden rows' tolerance.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol, Self

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx.helper import make_node
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

Probabilities = NDArray[np.float64]


class Nodes(NamedTuple):
    """ONNX nodes that take `p` to `q`, both float32 (n, 1), and the float32 constants they use."""

    nodes: tuple[onnx.NodeProto, ...]
    constants: Mapping[str, ArrayLike]


class Calibration(Protocol):
    """A strictly increasing map of the probability of shill."""

    name: ClassVar[str]

    @classmethod
    def fit(cls, probabilities: Probabilities, labels: NDArray[np.int8]) -> Self:
        """Fit to out-of-fold probabilities, (n,), and their labels."""

    def __call__(self, probabilities: Probabilities) -> Probabilities:
        """Return calibrated probabilities, (n,)."""

    def to_onnx(self) -> Nodes:
        """Return the same map as ONNX nodes."""


@dataclass(frozen=True)
class NoCalibration:
    """Leaves probabilities as they are."""

    name: ClassVar[str] = "none"

    @classmethod
    def fit(cls, probabilities: Probabilities, labels: NDArray[np.int8]) -> Self:  # noqa: ARG003
        """Nothing to fit."""
        return cls()

    def __call__(self, probabilities: Probabilities) -> Probabilities:
        """Return `probabilities`."""
        return probabilities

    def to_onnx(self) -> Nodes:
        """Return `p` as `q`."""
        return Nodes((make_node("Identity", ["p"], ["q"]),), {})


@dataclass(frozen=True)
class SigmoidCalibration:
    """Platt's: a logistic regression on the log-odds.

    The log-odds are taken of probabilities moved 1 % away from 0 and 1, where float32 has none.
    """

    slope: float
    intercept: float

    name: ClassVar[str] = "sigmoid"
    margin: ClassVar[float] = 0.01

    @classmethod
    def _log_odds(cls, probabilities: Probabilities) -> Probabilities:
        inside = cls.margin + (1 - 2 * cls.margin) * probabilities
        return np.log(inside) - np.log(1 - inside)

    @classmethod
    def fit(cls, probabilities: Probabilities, labels: NDArray[np.int8]) -> Self:
        """Fit by maximum likelihood."""
        regression = LogisticRegression(C=np.inf, solver="newton-cholesky")
        regression.fit(cls._log_odds(probabilities)[:, np.newaxis], labels)
        return cls(slope=float(regression.coef_[0, 0]), intercept=float(regression.intercept_[0]))

    def __call__(self, probabilities: Probabilities) -> Probabilities:
        """Return the fitted logistic function of the log-odds."""
        return 1 / (1 + np.exp(-(self.slope * self._log_odds(probabilities) + self.intercept)))

    def to_onnx(self) -> Nodes:
        """Return the arithmetic of `__call__`."""
        nodes = (
            make_node("Mul", ["p", "span"], ["spanned"]),
            make_node("Add", ["spanned", "margin"], ["inside"]),
            make_node("Sub", ["one", "inside"], ["outside"]),
            make_node("Log", ["inside"], ["log_inside"]),
            make_node("Log", ["outside"], ["log_outside"]),
            make_node("Sub", ["log_inside", "log_outside"], ["log_odds"]),
            make_node("Mul", ["log_odds", "slope"], ["sloped"]),
            make_node("Add", ["sloped", "intercept"], ["shifted"]),
            make_node("Sigmoid", ["shifted"], ["q"]),
        )
        constants = {
            "one": 1.0,
            "margin": self.margin,
            "span": 1 - 2 * self.margin,
            "slope": self.slope,
            "intercept": self.intercept,
        }
        return Nodes(nodes, constants)


@dataclass(frozen=True)
class IsotonicCalibration:
    """Isotonic regression, read off at eighths and linear between them.

    The regression has level stretches and vertical steps, so it is mixed with the identity: 1 % of
    it, or as much as keeps the slope to 3. Eighths are exact in float32.
    """

    values: tuple[float, ...]

    name: ClassVar[str] = "isotonic"
    steps: ClassVar[int] = 8
    steepest: ClassVar[float] = 3.0
    largest_share: ClassVar[float] = 0.99

    @classmethod
    def fit(cls, probabilities: Probabilities, labels: NDArray[np.int8]) -> Self:
        """Fit by least squares."""
        regression = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
        regression.fit(probabilities, labels)
        eighths = np.linspace(0, 1, cls.steps + 1)
        values = regression.predict(eighths)
        excess = cls.steps * np.diff(values).max() - 1
        share = min(cls.largest_share, (cls.steepest - 1) / max(excess, 1.0))
        values = share * values + (1 - share) * eighths
        return cls(values=tuple(values.tolist()))

    def __call__(self, probabilities: Probabilities) -> Probabilities:
        """Return the interpolated values."""
        return np.interp(probabilities, np.linspace(0, 1, self.steps + 1), self.values)

    def to_onnx(self) -> Nodes:
        """Return the interpolation as a sum over the steps: how far into each, times its rise."""
        nodes = (
            make_node("Mul", ["p", "steps"], ["scaled"]),
            make_node("Sub", ["scaled", "starts"], ["passed"]),
            make_node("Clip", ["passed", "zero", "one"], ["into"]),
            make_node("MatMul", ["into", "rises"], ["risen"]),
            make_node("Add", ["risen", "lowest"], ["q"]),
        )
        constants: dict[str, ArrayLike] = {
            "zero": 0.0,
            "one": 1.0,
            "steps": self.steps,
            "starts": np.arange(self.steps),
            "rises": np.diff(self.values)[:, np.newaxis],
            "lowest": self.values[0],
        }
        return Nodes(nodes, constants)


CALIBRATIONS: tuple[type[Calibration], ...] = (
    NoCalibration,
    SigmoidCalibration,
    IsotonicCalibration,
)
"""The simplest first."""
