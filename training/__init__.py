"""The container's `train`, and how a model is packed for serving."""
