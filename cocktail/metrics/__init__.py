"""How good samples are: features of pictures, scores of features, and reports on a model."""

from cocktail.metrics.alarms import alarms
from cocktail.metrics.evaluate import Report, Scores, evaluate, evaluation
from cocktail.metrics.features import (
    DiscriminatorFeatures,
    FeatureExtractor,
    OracleFeatures,
    PixelFeatures,
    features_of,
)
from cocktail.metrics.recommend import Recommendation, recommendation
from cocktail.metrics.references import DrawnDomains, reference
from cocktail.metrics.scores import class_accuracy, frechet_distance, precision_recall
from cocktail.metrics.watch import Watch

__all__ = [
    "DiscriminatorFeatures",
    "DrawnDomains",
    "FeatureExtractor",
    "OracleFeatures",
    "PixelFeatures",
    "Recommendation",
    "Report",
    "Scores",
    "Watch",
    "alarms",
    "class_accuracy",
    "evaluate",
    "evaluation",
    "features_of",
    "frechet_distance",
    "precision_recall",
    "recommendation",
    "reference",
]
