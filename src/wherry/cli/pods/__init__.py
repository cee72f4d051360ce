"""Pods, by hand and from Kubernetes' manifests."""
