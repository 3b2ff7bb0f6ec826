"""Maps a classifier's probabilities to calibrated ones, in numpy and as ONNX nodes alike.

Every map is strictly increasing, so none changes a ranking, and flat enough that float32 rounding
(3e-7 in boosting) stays below the golden rows' tolerance.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

Probabilities = NDArray[np.float64]


class Calibration(Protocol):
    """A strictly increasing map of the probability of shill."""

    name: ClassVar[str]

    @classmethod
    def fit(cls, probabilities: Probabilities, labels: NDArray[np.int8]) -> Self:
        """Fit to out-of-fold probabilities, (n,), and their labels."""

    def __call__(self, probabilities: Probabilities) -> Probabilities:
        """Return calibrated probabilities, (n,)."""

    def onnx(self) -> str:
        """The body of an ONNX graph from `p` to `q`, both float32 (n, 1); empty for none."""


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

    def onnx(self) -> str:
        """No nodes."""
        return ""


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

    def onnx(self) -> str:
        """The same arithmetic."""
        return f"""
            <float one = {{1}}, float margin = {{{self.margin}}},
             float span = {{{1 - 2 * self.margin}}},
             float slope = {{{self.slope}}}, float intercept = {{{self.intercept}}}> {{
                spanned = Mul (p, span)
                inside = Add (spanned, margin)
                outside = Sub (one, inside)
                log_inside = Log (inside)
                log_outside = Log (outside)
                log_odds = Sub (log_inside, log_outside)
                sloped = Mul (log_odds, slope)
                shifted = Add (sloped, intercept)
                q = Sigmoid (shifted)
            }}"""


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

    def onnx(self) -> str:
        """Interpolation as a sum over the steps: how far into each, times its rise."""
        starts = ", ".join(str(start) for start in range(self.steps))
        rises = ", ".join(str(rise) for rise in np.diff(self.values).tolist())
        return f"""
            <float zero = {{0}}, float one = {{1}}, float steps = {{{self.steps}}},
             float[{self.steps}] starts = {{{starts}}}, float[{self.steps},1] rises = {{{rises}}},
             float lowest = {{{self.values[0]}}}> {{
                scaled = Mul (p, steps)
                passed = Sub (scaled, starts)
                into = Clip (passed, zero, one)
                risen = MatMul (into, rises)
                q = Add (risen, lowest)
            }}"""


CALIBRATIONS: tuple[type[Calibration], ...] = (
    NoCalibration,
    SigmoidCalibration,
    IsotonicCalibration,
)
"""The simplest first."""
