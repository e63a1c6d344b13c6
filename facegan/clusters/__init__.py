"""k-means on discriminator features: settings, clusters, scores, reports, saved clusters."""
