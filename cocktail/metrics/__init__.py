"""How good samples are: features of pictures, scores of features, and reports on a model."""

from cocktail.metrics.alarms import alarms
from cocktail.metrics.choosing import choose_features
from cocktail.metrics.comparison import Scores
from cocktail.metrics.convergence import Modes, class_modes, convergence_images, factor_modes, modes_covered
from cocktail.metrics.diversity import feature_diversity, picture_distance, picture_diversity, snapshot_distances
from cocktail.metrics.evaluate import Report, evaluate, evaluation
from cocktail.metrics.features import (
    DiscriminatorFeatures,
    FeatureExtractor,
    OracleFeatures,
    PixelFeatures,
    features_of,
)
from cocktail.metrics.inception import InceptionFeatures
from cocktail.metrics.intervals import HalfSamples, half_samples
from cocktail.metrics.kernels import kernel_distance, kernel_mmd, median_distance
from cocktail.metrics.lpips import Lpips
from cocktail.metrics.recommend import Recommendation, recommendation
from cocktail.metrics.references import DrawnDomains, reference
from cocktail.metrics.scores import (
    FeatureStatistics,
    class_accuracy,
    density_coverage,
    frechet_distance,
    precision_recall,
)
from cocktail.metrics.watch import Watch

__all__ = [
    "DiscriminatorFeatures",
    "DrawnDomains",
    "FeatureExtractor",
    "FeatureStatistics",
    "HalfSamples",
    "InceptionFeatures",
    "Lpips",
    "Modes",
    "OracleFeatures",
    "PixelFeatures",
    "Recommendation",
    "Report",
    "Scores",
    "Watch",
    "alarms",
    "choose_features",
    "class_accuracy",
    "class_modes",
    "convergence_images",
    "density_coverage",
    "evaluate",
    "evaluation",
    "factor_modes",
    "feature_diversity",
    "features_of",
    "frechet_distance",
    "half_samples",
    "kernel_distance",
    "kernel_mmd",
    "median_distance",
    "modes_covered",
    "picture_distance",
    "picture_diversity",
    "precision_recall",
    "recommendation",
    "reference",
    "snapshot_distances",
]
