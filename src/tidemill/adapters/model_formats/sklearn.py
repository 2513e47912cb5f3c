"""Store scikit-learn estimators and pipelines with skops, which names every type and calls no pickle."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from tempfile import TemporaryFile
from typing import IO, Any

from tidemill.adapters.model_formats.library import map_written, require_library
from tidemill.core.errors import TidemillError, UsageError
from tidemill.core.payload import Payload
from tidemill.workflow.model import ClassLabel, Feed

# What may be constructed beside the types that skops trusts. This list is ours, not that of a file.
TRUSTED = (
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRegressor",
    "numpy.dtype",
    "numpy.mean",
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "scipy.interpolate._bsplines.BSpline",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogLink",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.loss.HalfTweedieLoss",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._IsotonicCalibration",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.cluster._bisect_k_means._BisectingTree",
    "sklearn.cluster._kmeans._kmeans_single_elkan",
    "sklearn.cluster._kmeans._kmeans_single_lloyd",
    "sklearn.compose._column_transformer._RemainderColsList",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.feature_selection._mutual_info.mutual_info_classif",
    "sklearn.feature_selection._mutual_info.mutual_info_regression",
    "sklearn.feature_selection._univariate_selection.chi2",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.feature_selection._univariate_selection.f_regression",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels.CompoundKernel",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.DotProduct",
    "sklearn.gaussian_process.kernels.ExpSineSquared",
    "sklearn.gaussian_process.kernels.Exponentiation",
    "sklearn.gaussian_process.kernels.Matern",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.RBF",
    "sklearn.gaussian_process.kernels.RationalQuadratic",
    "sklearn.gaussian_process.kernels.Sum",
    "sklearn.gaussian_process.kernels.WhiteKernel",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.metrics._dist_metrics.MinkowskiDistance64",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
    "xgboost.sklearn.XGBRegressor",
)
_SCHEMA = "schema.json"
# Every entry has this time, so that equal estimators give equal bytes.
_EPOCH = (1980, 1, 1, 0, 0, 0)


class SklearnSkops:
    """Store a scikit-learn estimator, or a pipeline with its preprocessing, with skops."""

    name = "sklearn"
    # With the estimators that take long to import: who loads many files imports them once.
    modules: tuple[str, ...] = ("sklearn.ensemble", "sklearn.compose", "skops.io")
    # BLAS sums may depend on how many rows there are.
    is_rowwise = False

    def accepts(self, model: Any) -> bool:
        """Whether `model` is an estimator that predicts; this imports no library."""
        bases = (base.__module__.partition(".")[0] for base in type(model).__mro__)
        return (
            "sklearn" in bases and hasattr(type(model), "get_params") and hasattr(model, "predict")
        )

    def feed(self, model: Any) -> Feed:
        """A frame if the estimator was fitted on named columns."""
        return "frame" if getattr(model, "feature_names_in_", None) is not None else "matrix"

    def classes(self, model: Any) -> Sequence[ClassLabel]:
        """The labels of a classifier; UsageError if it predicts no probabilities, or several labels."""
        known = getattr(model, "classes_", None)
        if known is None:
            return ()
        if not hasattr(known, "tolist"):
            raise UsageError("it predicts several labels at once: train one model per label")
        if not hasattr(model, "predict_proba"):
            raise UsageError(
                f"{type(model).__name__} has no predict_proba, and a classifier predicts probabilities: "
                "wrap it in sklearn.calibration.CalibratedClassifierCV"
            )
        return list(known.tolist())

    def function(self, model: Any) -> Callable[[Any], Any]:
        """Its `predict_proba`, or the `predict` of a regression."""
        known = getattr(model, "classes_", None)
        function: Callable[[Any], Any] = model.predict if known is None else model.predict_proba
        return function

    def dump(self, model: Any) -> Payload:
        """The estimator in skops' format; UsageError for types that couldn't be loaded again."""
        return map_written(lambda path: self._write(model, path))

    def _write(self, model: Any, path: str) -> None:
        skops = require_library("skops.io")
        with TemporaryFile() as written:
            try:
                skops.dump(model, written)
            except OSError:
                raise
            except Exception as error:
                raise UsageError(
                    f"skops can't store it: {type(error).__name__}: {error}"
                ) from error
            _write_canonical(written, path)
        if foreign := self._foreign_types(file=path):
            raise UsageError(
                f"it contains {', '.join(foreign)}, which isn't loaded from a file: use estimators of "
                "scikit-learn, LightGBM or XGBoost, compute it in a transform, or register a format of "
                "your own ([tool.tidemill] model_formats)"
            )

    def load(self, payload: bytes) -> Callable[[Any], Any]:
        """The estimator's prediction function; TidemillError if the file has a type that isn't trusted."""
        return self.function(self.restore(payload))

    def restore(self, payload: bytes) -> Any:
        """The estimator, for `partial_fit` or `warm_start`."""
        require_library("sklearn")
        skops = require_library("skops.io")
        if foreign := self._foreign_types(data=payload):
            raise TidemillError(
                f"the model file contains {', '.join(foreign)}, which isn't trusted"
            )
        return skops.loads(payload, trusted=list(TRUSTED))

    @staticmethod
    def _foreign_types(**source: Any) -> list[str]:
        found = require_library("skops.io").get_untrusted_types(**source)
        return sorted(set(found) - set(TRUSTED))


def _write_canonical(written: IO[bytes], path: str) -> None:
    """Write a skops file again without what differs between equal estimators: object ids and times."""
    with (
        zipfile.ZipFile(written) as source,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        ids, names = dict[int, int](), dict[str, str]()
        schema = _renumber(json.loads(source.read(_SCHEMA)), ids, names)
        entries = {names.get(info.filename, info.filename): info for info in source.infolist()}
        for name in sorted(entries):
            # One entry after the other, because a model may be large.
            text = (
                json.dumps(schema, indent=2).encode()
                if name == _SCHEMA
                else source.read(entries[name])
            )
            target.writestr(zipfile.ZipInfo(name, _EPOCH), text, zipfile.ZIP_DEFLATED)


def _renumber(node: Any, ids: dict[int, int], names: dict[str, str]) -> Any:
    """Replace the memory addresses by which nodes are known, also in names of files, by their order."""
    if isinstance(node, list):
        return [_renumber(item, ids, names) for item in node]
    if not isinstance(node, dict):
        return node
    found = {}
    for key, value in node.items():
        if key == "__id__" and isinstance(value, int):
            value = ids.setdefault(value, len(ids))
        elif key == "file" and isinstance(value, str):
            value = names.setdefault(value, f"{len(names)}.{value.rpartition('.')[2]}")
        found[key] = _renumber(value, ids, names)
    return found
