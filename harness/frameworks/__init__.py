"""Frameworks: how the model objects of workloads and users' functions are saved and trained."""
