"""How good samples are: features of pictures, scores of features, and reports on a model."""

from cocktail.metrics.evaluate import Report, Scores, evaluate, evaluation
from cocktail.metrics.features import FeatureExtractor, OracleFeatures
from cocktail.metrics.references import DrawnDomains, reference
from cocktail.metrics.scores import class_accuracy, frechet_distance, precision_recall

__all__ = [
    "DrawnDomains",
    "FeatureExtractor",
    "OracleFeatures",
    "Report",
    "Scores",
    "class_accuracy",
    "evaluate",
    "evaluation",
    "frechet_distance",
    "precision_recall",
    "reference",
]
