"""What people look at: curves, scores, comparisons, evaluations and videos."""
