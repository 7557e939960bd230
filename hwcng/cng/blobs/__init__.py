"""Layouts of key blobs that no kind of pair owns."""
